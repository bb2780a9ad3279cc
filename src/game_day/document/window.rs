use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schedule::local::first_instant;

/// When a game day may be held. Nothing starts before or after it, and what runs at its end is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayWindow")]
pub struct Window {
    /// Its first moment.
    pub from: Time,
    /// The moment at which everything is undone.
    pub until: Time,
}

/// A moment: with its offset (RFC 3339, `2026-12-01T10:00:00+01:00`), or as clocks show it in the game day's `timeZone`
/// (`2026-12-01T10:00`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(rename = "GameDayTime", with = "String")]
pub enum Time {
    /// The same everywhere.
    Instant(Timestamp),
    /// By the clocks of a place.
    Local(DateTime),
}

impl Time {
    /// The instant, by the rules of a zone; `None` only at the ends of time (the years -9999 and 9999).
    pub fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Local(local) => first_instant(zone, local),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("`{text}` is not a time: write 2026-12-01T10:00 (in `timeZone`), or 2026-12-01T10:00:00+01:00");
        let clock = text.get(10..).filter(|rest| rest.len() > 3).ok_or_else(refuse)?;
        if clock.contains('[') {
            return Err(refuse());
        }
        if clock.contains(['Z', 'z', '+', '-']) {
            text.parse().map(Self::Instant).map_err(|_| refuse())
        } else {
            text.parse().map(Self::Local).map_err(|_| refuse())
        }
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => instant.fmt(formatter),
            Self::Local(local) => local.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_offset_or_is_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, instant) in [
            ("2026-12-01T10:00", "2026-12-01T09:00:00Z"),
            ("2026-07-01T10:00:30", "2026-07-01T08:00:30Z"),
            ("2026-12-01T10:00:00+05:30", "2026-12-01T04:30:00Z"),
            ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z"),
            // Clocks go forward over it.
            ("2027-03-28T02:30", "2027-03-28T01:00:00Z"),
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.instant(&berlin).unwrap().to_string(), instant, "{text}");
            assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }
        for text in ["", "10:00", "2026-12-01", "tomorrow", "2026-13-01T10:00", "2026-12-01T10:00[Europe/Berlin]"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
