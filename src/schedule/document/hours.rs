use std::fmt;
use std::str::FromStr;

use super::notation::notation;

/// Hours of a day by the clock on the wall, from and until (not included): `09:00-17:00`, `22:00-06:00`, `00:00-24:00`.
///
/// Hours that end before they begin go on past midnight and belong to the day on which they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    /// The minute of the day with which they begin, 0 to 1439.
    from: u32,
    /// The minute, counted from the same midnight, with which they end: 1 to 2879.
    until: u32,
}

notation!(
    Hours,
    "hours of a day, such as 09:00-17:00, or 22:00-06:00 past midnight",
    r"^([01]?[0-9]|2[0-3]):[0-5][0-9] ?- ?(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$"
);

/// Minutes of a day.
const DAY: u32 = 24 * 60;

impl Hours {
    /// All 24.
    pub const ALL: Self = Self { from: 0, until: DAY };

    /// Seconds from the midnight with which their day begins: the first, and the first behind them (up to two days).
    pub(crate) fn seconds(self) -> (u32, u32) {
        (self.from * 60, self.until * 60)
    }
}

impl Default for Hours {
    fn default() -> Self {
        Self::ALL
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not hours of a day, such as 09:00-17:00, or 22:00-06:00 past midnight");
        let (from, until) = text.split_once('-').ok_or_else(refuse)?;
        let (from, until) = (minute(from).ok_or_else(refuse)?, minute(until).ok_or_else(refuse)?);
        if from == until || from == DAY {
            return Err(format!("`{text}` has no length; the whole day is 00:00-24:00"));
        }
        Ok(Self { from, until: if until < from { until + DAY } else { until } })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let until = if self.until > DAY { self.until - DAY } else { self.until };
        write!(formatter, "{}-{}", clock(self.from), clock(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hours_of_one_day_and_past_midnight() {
        for (text, printed, seconds) in [
            ("09:00-17:00", "09:00-17:00", (32_400, 61_200)),
            ("9:30-17:00", "09:30-17:00", (34_200, 61_200)),
            ("22:00-06:00", "22:00-06:00", (79_200, 108_000)),
            ("22:00-00:00", "22:00-24:00", (79_200, 86_400)),
            ("00:00-24:00", "00:00-24:00", (0, 86_400)),
        ] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!((hours.to_string().as_str(), hours.seconds()), (printed, seconds));
        }
        for text in ["", "9-17", "09:00", "09:00-25:00", "09:60-10:00", "10:00-10:00", "24:00-01:00", "9:0-10:00"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }
}
