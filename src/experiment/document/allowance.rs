use std::fmt;
use std::str::FromStr;

use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may come on top of a reference: `+10%` of it, `+0.5pp` (percentage points), or `+20ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowance {
    /// So many percent of the reference: 10 is `+10%`. Not negative, and finite.
    Percent(f64),
    /// So many percentage points, from 0 to 100: 0.5 is `+0.5pp`.
    Points(f64),
    /// So much time.
    Time(TimeSpan),
}

const EXPECTED: &str = "what is allowed on top of the reference, such as +10%, +0.5pp or +20ms";

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not {EXPECTED}");
        let rest = text.trim().strip_prefix('+').ok_or_else(refuse)?;
        let number = |text: &str, most: f64| {
            let is_plain = text.starts_with(|first: char| first.is_ascii_digit());
            text.trim_end().parse::<f64>().ok().filter(|number| is_plain && (0.0..=most).contains(number))
        };
        if let Some(percent) = rest.strip_suffix('%') {
            return number(percent, 1e6).map(Self::Percent).ok_or_else(refuse);
        }
        if let Some(points) = rest.strip_suffix("pp") {
            return number(points, 100.0).map(Self::Points).ok_or_else(refuse);
        }
        rest.parse().map(Self::Time).map_err(|_| refuse())
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(formatter, "+{percent}%"),
            Self::Points(points) => write!(formatter, "+{points}pp"),
            Self::Time(time) => write!(formatter, "+{time}"),
        }
    }
}

impl Serialize for Allowance {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowance {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Allowance {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Allowance".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": EXPECTED,
            "type": "string",
            "pattern": r"^\+[0-9]+(\.[0-9]+)?( ?%| ?pp|[0-9. a-zµ]*[a-z])$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        for text in ["+10%", "+0.5pp", "+20ms", "+1m30s", "+0%", "+150%"] {
            assert_eq!(text.parse::<Allowance>().expect(text).to_string(), text);
        }
        for text in ["10%", "+", "+10", "+-3%", "-3%", "+101pp", "+NaN%", "+inf%", "+5 parsecs", ""] {
            assert!(text.parse::<Allowance>().is_err(), "{text}");
        }
    }
}
