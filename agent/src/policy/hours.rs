use jiff::civil::{DateTime, Time, Weekday};
use serde::Deserialize;

/// When faults may be injected, in the host's time zone. A span past midnight belongs to the day on which it began.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hours {
    /// On which days; every day when absent.
    #[serde(default)]
    pub days: Option<Vec<Day>>,
    /// From this time of day on, `HH:MM`.
    pub from: Time,
    /// Before this time of day; the same as `from` for the whole day.
    pub until: Time,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the days say themselves")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

impl Hours {
    pub(super) fn permit(&self, now: DateTime) -> Result<(), String> {
        let time = now.time();
        let (is_within, began) = if self.from < self.until {
            (self.from <= time && time < self.until, now.weekday())
        } else if time >= self.from {
            (true, now.weekday())
        } else {
            (time < self.until, now.weekday().previous())
        };
        let is_day = self.days.as_ref().is_none_or(|days| days.contains(&began.into()));
        if is_within && is_day {
            return Ok(());
        }
        Err(format!("it is {} and its hours are {}", now.strftime("%A %H:%M"), self.describe()))
    }

    fn describe(&self) -> String {
        let days = self.days.as_ref().map(|days| format!(" on {days:?}")).unwrap_or_default();
        format!("{} to {}{days}", self.from.strftime("%H:%M"), self.until.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_hold_by_day_and_across_midnight() {
        let hours = |text: &str| serde_saphyr::from_str::<Hours>(text).unwrap();
        let at = |text: &str| text.parse::<DateTime>().unwrap();
        let office = hours("{ days: [monday, friday], from: '09:00', until: '17:00' }");
        let night = hours("{ days: [friday], from: '22:00', until: '06:00' }");
        // The 20th of November 2026 is a Friday.
        for (hours, time, expected) in [
            (&office, "2026-11-20T09:00", true),
            (&office, "2026-11-20T16:59:59", true),
            (&office, "2026-11-20T17:00", false),
            (&office, "2026-11-21T12:00", false),
            (&night, "2026-11-20T23:00", true),
            (&night, "2026-11-21T05:59", true),
            (&night, "2026-11-20T05:59", false),
            (&night, "2026-11-21T23:00", false),
        ] {
            assert_eq!(hours.permit(at(time)).is_ok(), expected, "{hours:?} {time}");
        }
        assert!(office.permit(at("2026-11-21T12:00")).unwrap_err().contains("Saturday 12:00"));
    }
}
