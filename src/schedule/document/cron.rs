use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;

use super::notation::notation;

/// A cron pattern of five fields: minute, hour, day of the month, month, day of the week.
///
/// Seconds are refused: a schedule starts experiments, and no experiment should start more than once a minute. As in
/// POSIX and Vixie cron, and as croner has it, a pattern that restricts both the day of the month and the day of the
/// week matches days that fit either of them (`0 9 13 * fri`: each 13th and each Friday); `+` before the day of the
/// week (`0 9 13 * +fri`) asks for both. `L`, `W` and `#` are understood in days (`fri#L` is the month's last Friday).
#[derive(Debug, Clone, PartialEq)]
pub struct CronPattern {
    text: String,
    cron: Box<Cron>,
}

notation!(
    CronPattern,
    "a cron pattern of five fields (minute hour day-of-month month day-of-week), such as \"0 10 * * mon-fri\"",
    r"^\s*(@(yearly|annually|monthly|weekly|daily|hourly)|(\S+\s+){4}\S+)\s*$"
);

impl CronPattern {
    /// The first local time after another that the pattern matches; `None` if there is none before the year 5000.
    pub fn next_after(&self, after: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&after, false).ok()
    }

    /// Whether the pattern restricts the day of the month and the day of the week, of which either then suffices.
    pub fn is_either_day(&self) -> bool {
        let pattern = &self.cron.pattern;
        !pattern.is_dom_wildcard() && !pattern.is_dow_wildcard() && !pattern.matches_dom_and_dow()
    }
}

impl FromStr for CronPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields = text.split_whitespace().count();
        if fields != 5 && !text.trim_start().starts_with('@') {
            return Err(match fields {
                6 | 7 => format!("`{text}` has {fields} fields, and five are understood: leave out the seconds"),
                _ => format!("`{text}` has {fields} fields; a cron pattern has five: minute hour day month weekday"),
            });
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            let error = error.to_string();
            let reason = error.split_once(": ").map_or(error.as_str(), |(_, reason)| reason);
            format!("`{text}` is no cron pattern: {}", reason.trim_end_matches('.').replace("CronPattern", "it"))
        })?;
        Ok(Self { text: text.trim().to_owned(), cron: Box::new(cron) })
    }
}

impl fmt::Display for CronPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
