//! `RRULE` (RFC 5545, 3.3.10) as a question about a day: does the event recur on it?
//!
//! Understood are `FREQ` `DAILY`, `WEEKLY`, `MONTHLY` and `YEARLY` with `INTERVAL`, `COUNT`, `UNTIL`, `BYMONTH`,
//! `BYMONTHDAY`, `BYDAY` (with numbers in months and years) and `WKST`. Anything else (`BYSETPOS`, `BYWEEKNO`,
//! `BYYEARDAY`, parts of hours, shorter frequencies) is refused.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::event::{parse_date, parse_time};
use crate::schedule::document::weekday_number;

/// A rule by which an event recurs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recurrence {
    start: Date,
    frequency: Frequency,
    interval: i32,
    /// The last day on which it may recur.
    last: Date,
    months: Vec<i8>,
    month_days: Vec<i8>,
    /// Days of the week, each with its number in the month or year; 0 is each of them.
    week_days: Vec<(i16, Weekday)>,
    week_start: Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Recurrence {
    /// Reads a rule of an event that starts at a local time of a zone.
    pub(super) fn parse(text: &str, start: DateTime, zone: &TimeZone) -> Result<Self, String> {
        let mut frequency = None;
        let (mut count, mut until) = (None, None);
        let mut rule = Self {
            start: start.date(),
            frequency: Frequency::Daily,
            interval: 1,
            last: Date::MAX,
            months: Vec::new(),
            month_days: Vec::new(),
            week_days: Vec::new(),
            week_start: Weekday::Monday,
        };
        let mut seen = Vec::new();
        for part in text.trim_end_matches(';').split(';') {
            let refuse = || format!("`{part}` of a recurrence rule is not understood");
            let (name, value) = part.split_once('=').ok_or_else(refuse)?;
            let (name, value) = (name.to_ascii_uppercase(), value.to_ascii_uppercase());
            if seen.contains(&name) {
                return Err(format!("the recurrence rule has more than one {name}"));
            }
            match name.as_str() {
                "FREQ" => {
                    frequency = Some(match value.as_str() {
                        "DAILY" => Frequency::Daily,
                        "WEEKLY" => Frequency::Weekly,
                        "MONTHLY" => Frequency::Monthly,
                        "YEARLY" => Frequency::Yearly,
                        _ => return Err(refuse()),
                    });
                }
                "INTERVAL" => rule.interval = in_range(&value, 1, 10_000).ok_or_else(refuse)?,
                "COUNT" => count = Some(in_range(&value, 1, 100_000).ok_or_else(refuse)?),
                "UNTIL" => until = Some(parse_until(&value, zone).ok_or_else(refuse)?),
                "BYMONTH" => rule.months = list(&value, |value| in_range(value, 1, 12)).ok_or_else(refuse)?,
                "BYMONTHDAY" => {
                    let day = |value: &str| in_range(value, -31, 31).filter(|day: &i8| *day != 0);
                    rule.month_days = list(&value, day).ok_or_else(refuse)?;
                }
                "BYDAY" => rule.week_days = list(&value, numbered_day).ok_or_else(refuse)?,
                "WKST" => rule.week_start = day_of_week(&value).ok_or_else(refuse)?,
                _ => return Err(refuse()),
            }
            seen.push(name);
        }
        rule.frequency = frequency.ok_or("the recurrence rule has no FREQ")?;
        let numbered = rule.week_days.iter().any(|(number, _)| *number != 0);
        let monthly = matches!(rule.frequency, Frequency::Monthly | Frequency::Yearly);
        if numbered && (!monthly || !rule.month_days.is_empty()) {
            return Err("numbered days of the week (BYDAY=1MO) are understood in months and years alone".into());
        }
        if rule.frequency == Frequency::Weekly && !rule.month_days.is_empty() {
            return Err("BYMONTHDAY has no meaning in a weekly rule".into());
        }
        rule.end(count, until, start.time())?;
        Ok(rule)
    }

    /// Finds the last day from COUNT or UNTIL.
    fn end(&mut self, count: Option<i32>, until: Option<DateTime>, time: Time) -> Result<(), String> {
        match (count, until) {
            (Some(_), Some(_)) => return Err("the recurrence rule has COUNT and UNTIL".into()),
            (None, Some(until)) if until.time() < time => {
                self.last = until.date().yesterday().map_err(|_| "UNTIL is too far off")?;
            }
            (None, Some(until)) => self.last = until.date(),
            (Some(count), None) => {
                // DTSTART counts as the first, whether it fits the rule or not. A count that is not reached within
                // this many days is as good as none: the event then recurs longer, which blocks more, not less.
                let mut left = count - 1;
                let mut date = self.start;
                for _ in 0..80_000 {
                    if left == 0 {
                        self.last = date;
                        break;
                    }
                    let Ok(next) = date.tomorrow() else { break };
                    date = next;
                    left -= i32::from(self.occurs_on(date));
                }
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Whether it recurs on a day. Its first day is not asked for: an event takes place then in any case.
    pub(super) fn occurs_on(&self, date: Date) -> bool {
        if date < self.start || date > self.last {
            return false;
        }
        if !self.months.is_empty() && !self.months.contains(&date.month()) {
            return false;
        }
        let years = i32::from(date.year()) - i32::from(self.start.year());
        match self.frequency {
            Frequency::Daily => {
                self.on_interval(days(self.start, date)) && self.fits_month_day(date) && self.fits_week_day(date)
            }
            Frequency::Weekly => {
                let begun = |date: Date| {
                    let days = (weekday_number(date.weekday()) + 7 - weekday_number(self.week_start)) % 7;
                    days_since_epoch(date) - i32::try_from(days).unwrap_or(0)
                };
                let day = if self.week_days.is_empty() {
                    date.weekday() == self.start.weekday()
                } else {
                    self.fits_week_day(date)
                };
                day && self.on_interval((begun(date) - begun(self.start)) / 7)
            }
            Frequency::Monthly => {
                let months = years * 12 + i32::from(date.month()) - i32::from(self.start.month());
                let same_day = self.month_days.is_empty() && self.week_days.is_empty();
                self.on_interval(months)
                    && (!same_day || date.day() == self.start.day())
                    && self.fits_month_day(date)
                    && self.fits_week_day(date)
            }
            Frequency::Yearly => {
                let same_day = self.month_days.is_empty() && self.week_days.is_empty();
                let same_month = same_day && self.months.is_empty();
                self.on_interval(years)
                    && (!same_day || date.day() == self.start.day())
                    && (!same_month || date.month() == self.start.month())
                    && self.fits_month_day(date)
                    && self.fits_week_day(date)
            }
        }
    }

    fn on_interval(&self, passed: i32) -> bool {
        passed % self.interval == 0
    }

    fn fits_month_day(&self, date: Date) -> bool {
        let from_end = date.day() - date.days_in_month() - 1;
        self.month_days.is_empty() || self.month_days.iter().any(|day| *day == date.day() || *day == from_end)
    }

    fn fits_week_day(&self, date: Date) -> bool {
        // In a yearly rule without months, days of the week are numbered within the year.
        let in_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let (day, length) = if in_year {
            (date.day_of_year(), date.days_in_year())
        } else {
            (i16::from(date.day()), i16::from(date.days_in_month()))
        };
        let (from_start, from_end) = ((day - 1) / 7 + 1, -((length - day) / 7 + 1));
        self.week_days.is_empty()
            || self.week_days.iter().any(|(number, weekday)| {
                *weekday == date.weekday() && (*number == 0 || *number == from_start || *number == from_end)
            })
    }
}

fn days(from: Date, to: Date) -> i32 {
    days_since_epoch(to) - days_since_epoch(from)
}

fn days_since_epoch(date: Date) -> i32 {
    Date::constant(1970, 1, 1).until(date).map_or(0, |span| span.get_days())
}

fn in_range<N: TryFrom<i32>>(text: &str, least: i32, most: i32) -> Option<N> {
    let number: i32 = text.parse().ok()?;
    (least..=most).contains(&number).then(|| N::try_from(number).ok())?
}

fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(item).collect()
}

/// `MO`, `1MO`, `-1FR`.
fn numbered_day(text: &str) -> Option<(i16, Weekday)> {
    let split = text.len().checked_sub(2)?;
    let (number, day) = (text.get(..split)?, text.get(split..)?);
    let number = if number.is_empty() { 0 } else { in_range(number, -53, 53).filter(|number: &i16| *number != 0)? };
    Some((number, day_of_week(day)?))
}

fn day_of_week(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// The last local time, of an UNTIL in UTC, in local time, or as a day, which is included.
fn parse_until(text: &str, zone: &TimeZone) -> Option<DateTime> {
    let (digits, utc) = text.strip_suffix('Z').map_or((text, false), |digits| (digits, true));
    let Some((date, time)) = digits.split_once('T') else {
        return Some(parse_date(digits).filter(|_| !utc)?.at(23, 59, 59, 0));
    };
    let local = parse_date(date)?.to_datetime(parse_time(time)?);
    if !utc {
        return Some(local);
    }
    Some(zone.to_datetime(TimeZone::UTC.to_timestamp(local).ok()?))
}
