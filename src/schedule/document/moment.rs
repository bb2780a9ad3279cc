use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};

use super::notation::notation;

/// A day (`2026-12-24`) or a minute of it (`2026-12-24T18:00`), in the schedule's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A whole day.
    Day(Date),
    /// A minute, or a second.
    Time(DateTime),
}

notation!(
    Moment,
    "a date (2026-12-24) or a date and time (2026-12-24T18:00)",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$"
);

impl Moment {
    /// Its first instant by the clock on the wall.
    pub fn begins(self) -> DateTime {
        match self {
            Self::Day(day) => day.to_datetime(Time::midnight()),
            Self::Time(time) => time,
        }
    }

    /// The first instant that is not in a range up to it: a day is included, a time is not. `None` past the year 9999.
    pub fn ends(self) -> Option<DateTime> {
        match self {
            Self::Day(day) => Some(day.tomorrow().ok()?.to_datetime(Time::midnight())),
            Self::Time(time) => Some(time),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a date (2026-12-24) or a date and time (2026-12-24T18:00)");
        let at_least_a_date = text.len() >= 10 && text.starts_with(|first: char| first.is_ascii_digit());
        let has_zone = text.get(10..).is_none_or(|rest| rest.contains(['Z', 'z', '+', '-', '[']));
        if !at_least_a_date || has_zone {
            let hint = if at_least_a_date { "; times are in the schedule's `timeZone`" } else { "" };
            return Err(refuse() + hint);
        }
        if text.len() == 10 {
            return text.parse().map(Self::Day).map_err(|_| refuse());
        }
        text.parse().map(Self::Time).map_err(|_| refuse())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(formatter, "{day}"),
            Self::Time(time) if time.second() == 0 => write!(formatter, "{}", time.strftime("%Y-%m-%dT%H:%M")),
            Self::Time(time) => write!(formatter, "{time}"),
        }
    }
}
