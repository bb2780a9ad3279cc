use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, unit};

/// A length of time, from 0 to 366 days, written with its unit: `250ms`, `1m30s`, `2h`.
///
/// A bare number is refused, since nobody can tell seconds from milliseconds; only `0` needs no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeSpan(Duration);

const EXPECTED: &str = "a duration with its unit, such as 100ms, 30s or 1m30s (up to 366 days)";
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

unit!(TimeSpan, "Duration", EXPECTED, { "type": ["string", "integer"], "pattern": r"^(0|([0-9.]+ ?(ns|us|µs|ms|s|m|h|d) ?)+)$", "minimum": 0, "maximum": 0 });

impl TimeSpan {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A span of whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The standard library's view of it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for TimeSpan {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Self {
        span.0
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || UnitError::new(text, EXPECTED);
        if text == "0" {
            return Ok(Self::ZERO);
        }
        // jiff leaves days out of absolute durations, since those of a calendar have 23 to 25 hours; ours have 24.
        let whole_days = text.split_once('d').and_then(|(days, rest)| Some((days.trim().parse::<u64>().ok()?, rest)));
        let (days, rest) = whole_days.unwrap_or((0, text));
        let shorter = match rest.trim() {
            "" if whole_days.is_some() => Duration::ZERO,
            rest => {
                let signed: jiff::SignedDuration = rest.parse().map_err(|_| refuse())?;
                Duration::try_from(signed).map_err(|_| refuse())?
            }
        };
        let days = days.checked_mul(24 * 3600).map(Duration::from_secs).ok_or_else(refuse)?;
        let duration = days.checked_add(shorter).ok_or_else(refuse)?;
        // jiff also reads ISO 8601 (`PT1S`); one notation is enough for people to learn.
        if text.starts_with(['P', 'p', '+']) || duration > LONGEST {
            return Err(refuse());
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        if nanoseconds == 0 {
            return formatter.pad("0s");
        }
        let mut rest = nanoseconds;
        let mut text = String::new();
        for (unit, size) in [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ] {
            let count = rest / size;
            if count > 0 {
                text.push_str(&format!("{count}{unit}"));
                rest %= size;
            }
        }
        formatter.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_notations_people_write() {
        for (text, milliseconds) in
            [("100ms", 100), ("1m30s", 90_000), ("2h", 7_200_000), ("0.5s", 500), ("0", 0), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse::<TimeSpan>(), Ok(TimeSpan::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_ambiguous_negative_or_absurd() {
        for text in ["100", "", "-5s", "5 parsecs", "PT5S", "9999999d", "NaN", "1d-5s", "dd", "1dx"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(nanoseconds in 0u64..31_000_000_000_000_000) {
            let span = TimeSpan::from(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(span.to_string().parse::<TimeSpan>(), Ok(span));
        }
    }
}
