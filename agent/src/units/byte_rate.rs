use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Bytes, UnitError, unit};

/// How many bytes a second: `100MiB/s`, `5MB/s`; above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRate(Bytes);

const EXPECTED: &str = "a number of bytes a second, such as 100MiB/s";

unit!(ByteRate, "ByteRate", EXPECTED, { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?([KMGTPkmgtp][Ii]?)?[Bb]?/s$" });

impl ByteRate {
    /// So many a second; `None` for none at all.
    pub fn per_second(bytes: Bytes) -> Option<Self> {
        (bytes.count() > 0).then_some(Self(bytes))
    }

    /// How many bytes go in so much time.
    pub fn within(self, time: Duration) -> Bytes {
        let bytes = u128::from(self.0.count()) * time.as_nanos() / 1_000_000_000;
        Bytes::new(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// How long so many bytes take.
    pub fn time_for(self, bytes: Bytes) -> Duration {
        let nanoseconds = u128::from(bytes.count()) * 1_000_000_000 / u128::from(self.0.count());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

impl FromStr for ByteRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || UnitError::new(text, EXPECTED);
        let bytes = text.trim().strip_suffix("/s").ok_or_else(refuse)?;
        bytes.parse().ok().and_then(Self::per_second).ok_or_else(refuse)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}/s", self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn needs_its_unit_of_time_and_something_to_move() {
        assert_eq!("1KiB/s".parse::<ByteRate>().map(|rate| rate.to_string()), Ok("1KiB/s".into()));
        for text in ["1KiB", "0/s", "-1MiB/s", "MiB/s", ""] {
            assert!(text.parse::<ByteRate>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn time_and_bytes_are_each_other_s_inverse(rate in 1u64..1 << 40, bytes in 0u64..1 << 40) {
            let rate = ByteRate::per_second(Bytes::new(rate)).unwrap();
            let there = rate.within(rate.time_for(Bytes::new(bytes))).count();
            // A nanosecond is lost to rounding: at these rates a kilobyte or so.
            prop_assert!(there <= bytes && bytes - there <= 1 + (rate.0.count() / 1_000_000_000));
        }
    }
}
