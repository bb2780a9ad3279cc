use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, unit};

/// How often something happens: `50/s`, `600/m`, `0.5/s`; above 0 and up to 1,000,000 a second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

const EXPECTED: &str = "a rate with its unit of time, such as 50/s or 600/m (up to 1000000/s)";

unit!(Rate, "Rate", EXPECTED, { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|m|h)$" });

impl Rate {
    /// So many a second; `None` outside the range.
    pub fn per_second(count: f64) -> Option<Self> {
        (count > 0.0 && count <= 1_000_000.0).then_some(Self(count))
    }

    /// How many a second.
    pub fn count_per_second(self) -> f64 {
        self.0
    }

    /// The time between two events at an even pace.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = || UnitError::new(text, EXPECTED);
        let (count, unit) = text.trim().split_once('/').ok_or_else(refuse)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(refuse()),
        };
        let count: f64 = count.trim().parse().map_err(|_| refuse())?;
        Self::per_second(count / seconds).ok_or_else(refuse)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}/s", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_unit_of_time_and_refuses_a_bare_number() {
        for (text, per_second) in [("50/s", 50.0), ("600/m", 10.0), ("1800/h", 0.5)] {
            assert_eq!(text.parse::<Rate>().map(Rate::count_per_second), Ok(per_second), "{text}");
        }
        for text in ["50", "0/s", "-1/s", "1/fortnight", "inf/s", "NaN/s", "2000000/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
