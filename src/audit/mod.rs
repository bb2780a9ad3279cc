//! The audit log as a chain of hashes: the pure part. Who did what to which object, and what came of it.
//!
//! Each record carries the hash of the one before it, so that a record which was changed, removed, inserted or moved
//! is found by [`verify()`]. The chain has no key: whoever can write the whole log can also make a new, consistent one,
//! and cutting off its newest records leaves a chain that is consistent too. Both are found only by comparing with a
//! [`Head`] that was kept elsewhere (printed, sent to another system): see [`Verifier::must_contain`].
//!
//! # The hash
//!
//! SHA-256 over these bytes, in this order. Every text is preceded by its length, so no two records have the same bytes:
//!
//! | bytes | what |
//! |-------|------|
//! | 18 | `faultline-audit-1\n` in ASCII |
//! | 32 | the previous record's hash; zeroes for the first |
//! | 8 | the sequence number, an unsigned integer, most significant byte first; the first record has 1 |
//! | 8 | the time in microseconds since 1970-01-01 UTC, a signed integer, most significant byte first |
//! | 8 + n, five times | actor, action, object, outcome, details: length in bytes as above, then UTF-8 |

mod verify;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

pub use self::verify::{Broken, Fault, Verifier, verify};

const DOMAIN: &[u8] = b"faultline-audit-1\n";

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first record.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(bytes);
        Self::finish(context)
    }

    fn finish(context: Context) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256 of 64 lower-case hexadecimal digits")]
pub struct NotAHash(String);

impl std::str::FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let wrong = || NotAHash(text.to_owned());
        if text.len() != 64 {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let (Some(high), Some(low)) = (digit(digits[0]), digit(digits[1])) else { return Err(wrong()) };
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is to be recorded. The log gives it its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Who: `token/ci`, `agent/db-1`, `controller/a`, `schedule/nightly`.
    pub actor: String,
    /// What was done or asked for: `run.submit`, `halt`, `token.create`.
    pub action: String,
    /// To what: `run/2026-11-21-a1`, `fleet`.
    pub object: String,
    /// What came of it: `done`, `refused: role viewer may not`.
    pub outcome: String,
    /// The rest, a JSON text. It is kept and hashed letter for letter, since a number may change when it is read and
    /// written again.
    pub details: String,
}

impl Deed {
    /// A deed with these details.
    pub fn new(
        actor: impl Into<String>,
        action: impl Into<String>,
        object: impl Into<String>,
        outcome: impl Into<String>,
        details: &serde_json::Value,
    ) -> Self {
        Self {
            actor: actor.into(),
            action: action.into(),
            object: object.into(),
            outcome: outcome.into(),
            details: details.to_string(),
        }
    }
}

/// One record of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; the first has 1, and none is left out.
    pub sequence: u64,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// Who did what.
    #[serde(flatten)]
    pub deed: Deed,
    /// The hash of the record before it; zero for the first.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

impl Record {
    /// The record that follows `head` in the chain. Of the time, what is finer than a microsecond is dropped.
    pub fn following(head: &Head, at: Timestamp, deed: Deed) -> Self {
        let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        let mut record = Self { sequence: head.sequence + 1, at, deed, previous: head.hash, hash: Hash::ZERO };
        record.hash = record.computed();
        record
    }

    /// The hash that a record with these contents must have.
    pub fn computed(&self) -> Hash {
        let mut context = Context::new(&SHA256);
        context.update(DOMAIN);
        context.update(&self.previous.0);
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.at.as_microsecond().to_be_bytes());
        let Deed { actor, action, object, outcome, details } = &self.deed;
        for text in [actor, action, object, outcome, details] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        Hash::finish(context)
    }

    /// The chain's head when this is the newest record.
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }
}

/// Where a chain ends. Printed and kept elsewhere, it is the proof that nothing before it was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the newest record; 0 when there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// The head of a log without records.
    pub const EMPTY: Self = Self { sequence: 0, hash: Hash::ZERO };
}

impl std::fmt::Display for Head {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let wrong = || NotAHash(text.to_owned());
        let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Self { sequence: sequence.parse().map_err(|_| wrong())?, hash: hash.parse()? })
    }
}

#[cfg(test)]
mod tests;
