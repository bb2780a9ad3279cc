use std::fmt;
use std::str::FromStr;

use super::notation::notation;

/// A number of slots, written with the length of the slots: `5d` is five days, `40h` forty hours, of those in which a
/// run could start at all. With windows on `mon-fri`, `5d` is a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCount {
    /// How many, 1 to 10,000.
    pub count: u32,
    /// How long one is.
    pub length: SlotLength,
}

/// How long a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotLength {
    /// A day of the calendar, from midnight to midnight by the clock on the wall.
    Day,
    /// An hour of it.
    Hour,
}

notation!(
    SlotCount,
    "a whole number of eligible days or hours, such as 5d or 40h: those in which a window is open",
    r"^[1-9][0-9]{0,4}[dh]$"
);

impl FromStr for SlotCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("`{text}` is not a whole number of days or hours in which a window is open, such as 5d or 40h");
        let (digits, length) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
            (Some(digits), _) => (digits, SlotLength::Day),
            (_, Some(digits)) => (digits, SlotLength::Hour),
            _ => return Err(refuse()),
        };
        let count = digits.trim().parse().ok().filter(|count| (1..=10_000).contains(count)).ok_or_else(refuse)?;
        Ok(Self { count, length })
    }
}

impl fmt::Display for SlotCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.length {
            SlotLength::Day => 'd',
            SlotLength::Hour => 'h',
        };
        write!(formatter, "{}{unit}", self.count)
    }
}
