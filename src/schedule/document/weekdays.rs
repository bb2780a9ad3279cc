use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;

use super::notation::notation;

/// Days of the week: `mon-fri`, `sat,sun`, `fri-mon`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

notation!(
    Weekdays,
    "days of the week, such as mon-fri or sat,sun",
    r"^\s*[A-Za-z]{3,9}(\s*-\s*[A-Za-z]{3,9})?(\s*,\s*[A-Za-z]{3,9}(\s*-\s*[A-Za-z]{3,9})?)*\s*$"
);

const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0b111_1111);

    /// Whether a day is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << number(day)) != 0
    }

    /// Their numbers, from 0 for Monday.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u32> {
        (0..7).filter(move |day| self.0 & (1 << day) != 0)
    }
}

/// 0 for Monday.
pub(crate) fn number(day: Weekday) -> u32 {
    u32::from(day.to_monday_zero_offset().unsigned_abs())
}

impl Default for Weekdays {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Weekdays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = |name: &str| {
            let name = name.trim().to_lowercase();
            let position = NAMES.iter().position(|full| *full == name || name.len() == 3 && full.starts_with(&name));
            position.ok_or_else(|| format!("`{text}` is not days of the week, such as mon-fri or sat,sun"))
        };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut next, last) = (day(first)?, day(last)?);
            days |= 1 << last;
            while next != last {
                days |= 1 << next;
                next = (next + 1) % 7;
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut day = 0;
        while day < 7 {
            let end = (day..7).find(|next| self.0 & (1 << next) == 0).unwrap_or(7);
            let name = |day: usize| NAMES.get(day).and_then(|name| name.get(..3)).unwrap_or_default();
            match end - day {
                0 => {}
                1 => parts.push(name(day).to_owned()),
                2 => parts.push(format!("{},{}", name(day), name(end - 1))),
                _ => parts.push(format!("{}-{}", name(day), name(end - 1))),
            }
            day = end.max(day) + 1;
        }
        formatter.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_ranges_lists_and_weeks_that_wrap() {
        for (text, expected) in [
            ("mon-fri", "mon-fri"),
            ("Sat, Sunday", "sat,sun"),
            ("fri-mon", "mon,fri-sun"),
            ("wed", "wed"),
            ("mon,tue,wed,sun", "mon-wed,sun"),
        ] {
            assert_eq!(text.parse::<Weekdays>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "mo", "mon-", "mon--fri", "funday", "mon;tue", "1-5"] {
            assert!(text.parse::<Weekdays>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(days in 1u8..128) {
            prop_assert_eq!(Weekdays(days).to_string().parse(), Ok(Weekdays(days)));
        }
    }
}
