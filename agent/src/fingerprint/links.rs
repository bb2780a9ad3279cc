use std::collections::BTreeMap;

use crate::kernel::raw_netlink::{Answer, ROUTE, RawNetlink, attribute, attributes, text};

const GET_LINK: u16 = 18;
const HEADER: usize = 16;
const NAME: u16 = 3;

/// The interfaces of this thread's namespace, with what a fault can change of them; no counters, and no state that the
/// other end of the cable decides.
pub(super) fn read() -> Result<Vec<String>, String> {
    let answers = list()?;
    let names = names_of(&answers);
    Ok(answers.iter().filter_map(|link| line(link, &names)).collect())
}

/// The names of the interfaces by their index.
pub(super) fn names() -> Result<BTreeMap<u32, String>, String> {
    Ok(names_of(&list()?))
}

fn list() -> Result<Vec<Answer>, String> {
    let mut netlink = RawNetlink::open(ROUTE).map_err(|error| error.to_string())?;
    netlink.dump(GET_LINK, &[0; HEADER]).map_err(|refusal| refusal.to_string())
}

fn names_of(answers: &[Answer]) -> BTreeMap<u32, String> {
    let name = |link: &Answer| Some((index(link)?, text(attribute(link.payload.get(HEADER..)?, NAME)?)));
    answers.iter().filter_map(name).collect()
}

fn index(link: &Answer) -> Option<u32> {
    Some(u32::from_ne_bytes(*link.payload.get(4..)?.first_chunk()?))
}

fn line(link: &Answer, names: &BTreeMap<u32, String>) -> Option<String> {
    const ADDRESS: u16 = 1;
    const MTU: u16 = 4;
    const MASTER: u16 = 10;
    const QUEUE_LENGTH: u16 = 13;
    const XDP: u16 = 43;
    const ATTACHED: u16 = 2;
    const UP: u32 = 0x1;
    const NO_ARP: u32 = 0x80;
    let flags = u32::from_ne_bytes(*link.payload.get(8..)?.first_chunk()?);
    let mut line = names.get(&index(link)?)?.clone();
    line.push_str(if flags & UP != 0 { " up" } else { " down" });
    if flags & NO_ARP != 0 {
        line.push_str(" noarp");
    }
    for (kind, value) in attributes(link.payload.get(HEADER..)?) {
        let number = || value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        match kind {
            ADDRESS => line.push_str(&format!(" address {}", hexadecimal(value))),
            MTU => line.push_str(&format!(" mtu {}", number())),
            QUEUE_LENGTH => line.push_str(&format!(" txqueuelen {}", number())),
            MASTER => {
                let master = names.get(&number()).map_or("elsewhere", String::as_str);
                line.push_str(&format!(" master {master}"));
            }
            // Whether a program is attached; there is an attribute for none, too.
            XDP if attribute(value, ATTACHED).is_some_and(|how| how != [0]) => {
                line.push_str(&format!(" xdp {}", hexadecimal(value)));
            }
            _ => {}
        }
    }
    Some(line)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
