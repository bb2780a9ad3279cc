use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

use super::lines::Line;
use super::recurrence::Recurrence;
use super::{CalendarError, Occurrence};
use crate::schedule::local::first_instant;

/// One event, with all its recurrences.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    summary: String,
    /// The zone of its local times.
    zone: TimeZone,
    start: DateTime,
    length: Length,
    recurrence: Option<Recurrence>,
    /// Further starts.
    extra: BTreeSet<DateTime>,
    /// Starts that do not take place.
    excluded: BTreeSet<DateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Days of the calendar, whose length in hours differs.
    Days(i64),
    /// Time that passes.
    Exactly(SignedDuration),
}

/// What a value of time may be.
struct When {
    /// By the clock on the wall of `zone`.
    local: DateTime,
    zone: TimeZone,
    is_day: bool,
}

/// Properties without meaning for the time of an event.
const WITHOUT_MEANING: [&str; 22] = [
    "UID",
    "DTSTAMP",
    "CREATED",
    "LAST-MODIFIED",
    "SEQUENCE",
    "DESCRIPTION",
    "LOCATION",
    "ORGANIZER",
    "ATTENDEE",
    "CATEGORIES",
    "CLASS",
    "COMMENT",
    "CONTACT",
    "GEO",
    "PRIORITY",
    "RESOURCES",
    "URL",
    "ATTACH",
    "TRANSP",
    "COLOR",
    "IMAGE",
    "CONFERENCE",
];

/// Reads the lines of a VEVENT; `None` if it is cancelled.
pub(super) fn read(lines: &[&Line], begun: usize, zone: &TimeZone) -> Result<Option<Event>, CalendarError> {
    let mut once: [(&str, Option<&Line>); 7] = [
        ("DTSTART", None),
        ("DTEND", None),
        ("DURATION", None),
        ("RRULE", None),
        ("SUMMARY", None),
        ("STATUS", None),
        ("RECURRENCE-ID", None),
    ];
    let (mut extra, mut excluded) = (Vec::new(), Vec::new());
    for line in lines {
        let name = line.name.as_str();
        if let Some((_, seen)) = once.iter_mut().find(|(known, _)| *known == name) {
            if seen.replace(line).is_some() {
                return Err(line.wrong(format!("this event has more than one {name}")));
            }
        } else if name == "RDATE" {
            extra.push(*line);
        } else if name == "EXDATE" {
            excluded.push(*line);
        } else if !name.starts_with("X-") && !WITHOUT_MEANING.contains(&name) {
            return Err(line.wrong(format!("{name} of an event is not understood")));
        }
    }
    let [(_, start), (_, end), (_, duration), (_, rule), (_, summary), (_, status), (_, replaced)] = once;
    match status.map(|line| (line, line.value.to_ascii_uppercase())) {
        Some((_, status)) if status == "CANCELLED" => return Ok(None),
        Some((line, status)) if status != "CONFIRMED" && status != "TENTATIVE" => {
            return Err(line.wrong(format!("the status {status} is not understood")));
        }
        _ => {}
    }
    if let Some(line) = replaced.filter(|line| line.parameter("RANGE").is_some()) {
        return Err(line.wrong("a change of this and all later events (RANGE) is not understood"));
    }
    let start = start.ok_or_else(|| CalendarError::new(begun, "this event has no DTSTART"))?;
    let when = when(start, &start.value, zone)?;
    let length = length(&when, end, duration, zone)?;
    let recurrence = rule.map(|line| {
        let rule = Recurrence::parse(&line.value, when.local, &when.zone);
        rule.map_err(|message| line.wrong(message))
    });
    let dates = |lines: &[&Line]| -> Result<BTreeSet<DateTime>, CalendarError> {
        let mut dates = BTreeSet::new();
        for line in lines {
            for value in line.value.split(',') {
                let other = self::when(line, value, zone)?;
                if other.is_day != when.is_day {
                    return Err(line.wrong(format!("{} and DTSTART are not both days or both times", line.name)));
                }
                let instant = first_instant(&other.zone, other.local).ok_or_else(|| line.wrong("it is too far off"))?;
                dates.insert(if other.is_day { other.local } else { when.zone.to_datetime(instant) });
            }
        }
        Ok(dates)
    };
    Ok(Some(Event {
        summary: summary.map_or_else(|| "an event without a name".into(), |line| text(&line.value)),
        start: when.local,
        length,
        recurrence: recurrence.transpose()?,
        extra: dates(&extra)?,
        excluded: dates(&excluded)?,
        zone: when.zone,
    }))
}

/// A text without its escapes (RFC 5545, 3.3.11), in one line.
fn text(value: &str) -> String {
    value.replace("\\n", " ").replace("\\N", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
}

fn when(line: &Line, value: &str, zone: &TimeZone) -> Result<When, CalendarError> {
    let refuse = || line.wrong(format!("`{value}` is no date (20261224) or time (20261224T180000)"));
    let is_day = match line.parameter("VALUE").map(str::to_ascii_uppercase).as_deref() {
        Some("DATE") => true,
        None | Some("DATE-TIME") => false,
        Some(other) => return Err(line.wrong(format!("values of type {other} are not understood"))),
    };
    let named = match line.parameter("TZID") {
        None => None,
        Some(name) => {
            let known = TimeZone::get(name).ok().filter(|_| name.contains('/') || name.eq_ignore_ascii_case("utc"));
            let unknown = || line.wrong(format!("the time zone `{name}` is not in the IANA database"));
            Some(known.ok_or_else(unknown)?)
        }
    };
    let (digits, utc) = value.strip_suffix('Z').map_or((value, false), |digits| (digits, true));
    let (date, time) = match digits.split_once('T') {
        Some((date, time)) if !is_day => (date, Some(time)),
        // Many programs leave VALUE=DATE out.
        None if !utc => (digits, None),
        _ => return Err(refuse()),
    };
    let is_day = time.is_none();
    let local = parse_date(date).ok_or_else(refuse)?;
    let time = time.map_or(Some(Time::midnight()), parse_time).ok_or_else(refuse)?;
    let zone = match named {
        // A day is the same day everywhere: that of the schedule.
        _ if is_day => zone.clone(),
        _ if utc => TimeZone::UTC,
        Some(named) => named,
        None => zone.clone(),
    };
    Ok(When { local: local.to_datetime(time), zone, is_day })
}

fn numbers<const N: usize>(text: &str, widths: [usize; N]) -> Option<[i16; N]> {
    if text.len() != widths.iter().sum::<usize>() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut at = 0;
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = text.get(at..at + width)?.parse().ok()?;
        at += width;
    }
    Some(numbers)
}

/// `20261224`.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, [4, 2, 2])?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `180000`; a leap second is the second before it.
pub(super) fn parse_time(text: &str) -> Option<Time> {
    let [hour, minute, second] = numbers(text, [2, 2, 2])?;
    let second = if second == 60 { 59 } else { second };
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()
}

fn length(start: &When, end: Option<&Line>, duration: Option<&Line>, zone: &TimeZone) -> Result<Length, CalendarError> {
    let length = match (end, duration) {
        (Some(_), Some(line)) => return Err(line.wrong("this event has DTEND and DURATION")),
        (None, None) => {
            // RFC 5545, 3.6.1: a day without an end lasts that day; a time without an end lasts no time at all.
            return Ok(if start.is_day { Length::Days(1) } else { Length::Exactly(SignedDuration::ZERO) });
        }
        (Some(line), None) => {
            let end = when(line, &line.value, zone)?;
            if end.is_day != start.is_day {
                return Err(line.wrong("DTEND and DTSTART are not both days or both times"));
            }
            if start.is_day {
                (Length::Days(i64::from(days_between(start.local.date(), end.local.date()))), line)
            } else {
                let ends = first_instant(&end.zone, end.local).ok_or_else(|| line.wrong("it is too far off"))?;
                let starts = first_instant(&start.zone, start.local).ok_or_else(|| line.wrong("it is too far off"))?;
                (Length::Exactly(ends.duration_since(starts)), line)
            }
        }
        (None, Some(line)) => {
            let refuse = || line.wrong(format!("`{}` is no duration, such as PT1H or P1D", line.value));
            let span: Span = line.value.parse().map_err(|_| refuse())?;
            let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
            let rest = span.get_hours() != 0 || span.get_minutes() != 0 || span.get_seconds() != 0;
            if span.get_years() != 0 || span.get_months() != 0 || start.is_day && rest {
                return Err(refuse());
            }
            if start.is_day {
                (Length::Days(days), line)
            } else {
                let seconds =
                    days * 86_400 + i64::from(span.get_hours()) * 3600 + span.get_minutes() * 60 + span.get_seconds();
                (Length::Exactly(SignedDuration::from_secs(seconds)), line)
            }
        }
    };
    match length {
        (Length::Days(days), line) if !(1..=36_600).contains(&days) => {
            Err(line.wrong("this event ends before it begins, or lasts for a century"))
        }
        (Length::Exactly(length), line) if length.is_negative() || length.as_secs() > 36_600 * 86_400 => {
            Err(line.wrong("this event ends before it begins, or lasts for a century"))
        }
        (length, _) => Ok(length),
    }
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

impl Event {
    /// Its occurrences that overlap the time from one instant until another.
    pub(super) fn overlapping(&self, from: Timestamp, until: Timestamp) -> Vec<Occurrence<'_>> {
        let mut found = Vec::new();
        let mut add = |local: DateTime| {
            if let Some((start, end)) = self.span(local).filter(|(start, end)| *start < until && *end > from) {
                found.push(Occurrence { start, end, summary: &self.summary });
            }
        };
        for extra in self.extra.iter().filter(|extra| !self.excluded.contains(extra)) {
            add(*extra);
        }
        if !self.excluded.contains(&self.start) {
            add(self.start);
        }
        let Some(recurrence) = &self.recurrence else { return found };
        let days = match self.length {
            Length::Days(days) => days,
            Length::Exactly(length) => length.as_secs() / 86_400 + 1,
        };
        // A day more on either side: local dates differ from those of UTC.
        let first = self.zone.to_datetime(from).date().checked_sub((days + 1).days()).unwrap_or(Date::MIN);
        let last = self.zone.to_datetime(until).date().checked_add(1.days()).unwrap_or(Date::MAX);
        let mut date = first.max(self.start.date());
        while date <= last {
            let local = date.to_datetime(self.start.time());
            if local != self.start && recurrence.occurs_on(date) && !self.excluded.contains(&local) {
                add(local);
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        found
    }

    fn span(&self, local: DateTime) -> Option<(Timestamp, Timestamp)> {
        let start = first_instant(&self.zone, local)?;
        let end = match self.length {
            Length::Days(days) => first_instant(&self.zone, local.checked_add(days.days()).ok()?)?,
            Length::Exactly(length) => start.checked_add(length).ok()?,
        };
        Some((start, end))
    }
}
