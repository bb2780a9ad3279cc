use std::fmt;
use std::str::FromStr;

use super::{UnitError, unit};

/// A number of bytes: `512MiB`, `20GB`, `4096`. Binary suffixes count in 1024, decimal ones in 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

const EXPECTED: &str = "a number of bytes, such as 4096, 512MiB or 20GB";

unit!(Bytes, "Bytes", EXPECTED, { "type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)? ?([KMGTPkmgtp][Ii]?)?[Bb]?$", "minimum": 0 });

const SUFFIXES: [(&str, u64); 10] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl Bytes {
    /// That many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bare number.
    pub const fn count(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || UnitError::new(text, EXPECTED);
        let trimmed = text.trim();
        let lower = trimmed.to_ascii_lowercase();
        let (digits, size) = SUFFIXES
            .iter()
            .find_map(|(suffix, size)| {
                let short = suffix.trim_end_matches('B').to_ascii_lowercase();
                let full = suffix.to_ascii_lowercase();
                lower.strip_suffix(&full).or_else(|| lower.strip_suffix(&short)).map(|digits| (digits, *size))
            })
            .unwrap_or((lower.strip_suffix('b').unwrap_or(&lower), 1));
        let digits = digits.trim();
        if let Ok(whole) = digits.parse::<u64>() {
            return whole.checked_mul(size).map(Self).ok_or_else(refuse);
        }
        let number: f64 = digits.parse().map_err(|_| refuse())?;
        #[expect(clippy::cast_precision_loss, reason = "a suffix is at most 2^50, exact in an f64")]
        let bytes = number * size as f64;
        if !(0.0..9.0e18).contains(&bytes) || bytes.fract() != 0.0 {
            return Err(refuse());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range and wholeness checked above"
        )]
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SUFFIXES.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        match exact {
            Some((suffix, size)) => formatter.pad(&format!("{}{suffix}", self.0 / size)),
            None => formatter.pad(&format!("{}B", self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tells_binary_from_decimal() {
        for (text, count) in [
            ("1KiB", 1024),
            ("1KB", 1000),
            ("1.5GiB", 3 << 29),
            ("4096", 4096),
            ("7B", 7),
            ("2G", 2_000_000_000),
            ("2Gi", 2 << 30),
        ] {
            assert_eq!(text.parse::<Bytes>(), Ok(Bytes::new(count)), "{text}");
        }
        for text in ["", "-1", "1.0001KB1", "1e30", "0.3B", "99999999PiB", "ten"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(count: u64) {
            prop_assert_eq!(Bytes::new(count).to_string().parse::<Bytes>(), Ok(Bytes::new(count)));
        }
    }
}
