use std::fmt;
use std::str::FromStr;

use super::{UnitError, unit};

/// A share of a whole, from 0 to 100 percent: `50%`, `0.1%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Percent(f64);

const EXPECTED: &str = "a percentage from 0% to 100%, such as 50% or 0.1%";

unit!(Percent, "Percent", EXPECTED, { "type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?%?$", "minimum": 0, "maximum": 100 });

impl Percent {
    /// Nothing of it.
    pub const ZERO: Self = Self(0.0);
    /// All of it.
    pub const HUNDRED: Self = Self(100.0);

    /// A percentage from 0 to 100, else `None`.
    pub fn new(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// As a number from 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }

    /// As a number from 0 to 100.
    pub fn number(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let digits = text.strip_suffix('%').unwrap_or(text).trim();
        digits.parse().ok().and_then(Self::new).ok_or_else(|| UnitError::new(text, EXPECTED))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}%", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_with_and_without_its_sign_and_refuses_the_rest() {
        assert_eq!("50%".parse::<Percent>().map(Percent::fraction), Ok(0.5));
        assert_eq!("0.1".parse::<Percent>().map(|percent| percent.to_string()), Ok("0.1%".into()));
        for text in ["101%", "-1%", "NaN", "inf", "", "%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
