//! The text of a record file: one JSON object with the format's version and a checksum in front of the record.
//!
//! `{"version":1,"crc32":"01234567","record":{…}}` and a line feed. The checksum (CRC-32/ISO-HDLC, RFC 1952) is over
//! the bytes of the record exactly as they stand there.

use super::Record;

/// The version that this program writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// The text of the file of a record.
pub(super) fn seal(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_string(record)?;
    let checksum = crc32fast::hash(body.as_bytes());
    Ok(format!("{{\"version\":{VERSION},\"crc32\":\"{checksum:08x}\",\"record\":{body}}}\n").into_bytes())
}

/// The record in the text of a file, or what is wrong with it, as a sentence.
pub(super) fn open(text: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let cut = || "it is cut short or was changed by hand".to_owned();
    let (version, rest) = text.strip_prefix("{\"version\":").and_then(|rest| rest.split_once(',')).ok_or_else(cut)?;
    if version != VERSION.to_string() {
        return Err(format!(
            "it has version {version}, and this program knows version {VERSION}: recover with the program that wrote it"
        ));
    }
    let (checksum, rest) =
        rest.strip_prefix("\"crc32\":\"").and_then(|rest| rest.split_once("\",\"record\":")).ok_or_else(cut)?;
    let body = rest.strip_suffix("}\n").ok_or_else(cut)?;
    if checksum != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
        return Err("its checksum is wrong: it was damaged or changed by hand".into());
    }
    serde_json::from_str(body).map_err(|error| format!("it cannot be understood: {error}"))
}
