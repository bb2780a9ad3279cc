use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::canonical;

/// A SHA-256, shown as `sha256:` with 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The hash of a plan: what approvals are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(Digest);

/// Why a text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hash, `sha256:` with 64 hexadecimal digits in lower case")]
pub struct DigestError(String);

const PREFIX: &str = "sha256:";

impl Digest {
    /// Of a value in its canonical text. `what` keeps hashes of different kinds of things apart.
    pub(crate) fn of(what: &str, value: &Value) -> Self {
        let hash = digest(&SHA256, format!("{what}\n{}", canonical(value)).as_bytes());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(hash.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Self(bytes)
    }

    /// Short enough to be compared by eye: its first twelve digits. Not for approving anything.
    pub fn short(&self) -> String {
        self.to_string().chars().take(PREFIX.len() + 12).collect()
    }
}

impl PlanHash {
    pub(super) fn of(value: &Value) -> Self {
        Self(Digest::of("faultline plan 1", value))
    }

    /// Short enough to be compared by eye: its first twelve digits. Not for approving anything.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let wrong = || DigestError(text.into());
        let digits = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() != 64 || !digits.bytes().all(is_digit) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for PlanHash {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_text_and_reads_back() {
        let hash = Digest::of("faultline document 1", &serde_json::json!({ "b": 1, "a": [] }));
        // printf 'faultline document 1\n{"a":[],"b":1}' | sha256sum
        assert_eq!(hash.to_string(), "sha256:7a3df5e1bd27ad3237f19a413dbf450de12b6d296707cb0273aca0e779ada432");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.short(), hash.to_string()[..19]);
        for text in ["", "sha256:", "sha256:00", &hash.to_string().to_uppercase(), &format!("{hash}0"), &"0".repeat(64)]
        {
            assert!(text.parse::<PlanHash>().is_err(), "{text}");
        }
    }
}
