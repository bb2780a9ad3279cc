//! When a schedule may start runs: within its windows, outside its blackouts.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::calendar::Calendar;
use super::document::{Blackout, Moment, Window, weekday_number};
use super::local::{clock_changes, first_instant};

/// Windows and blackouts of a schedule, ready to be asked.
#[derive(Debug, Clone)]
pub struct OpenTimes {
    zone: TimeZone,
    /// Seconds of the week, from Monday's midnight, at which a window is open: sorted, without overlaps.
    week: Vec<(i64, i64)>,
    spans: Vec<ClosedSpan>,
    calendars: Vec<Calendar>,
    /// Why it is not known when the schedule may run.
    not_understood: Option<String>,
}

#[derive(Debug, Clone)]
struct ClosedSpan {
    start: Timestamp,
    end: Timestamp,
    reason: Option<String>,
}

/// Why no run may start at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because", content = "detail")]
pub enum Closed {
    /// No window is open.
    OutsideWindows,
    /// A blackout, by its reason or its event's name.
    Blackout(String),
    /// A blackout could not be understood; it may be any time, so it is every time.
    NotUnderstood(String),
}

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideWindows => formatter.write_str("outside the windows"),
            Self::Blackout(reason) if reason.is_empty() => formatter.write_str("blackout"),
            Self::Blackout(reason) => write!(formatter, "blackout: {reason}"),
            Self::NotUnderstood(what) => write!(formatter, "a blackout is not understood: {what}"),
        }
    }
}

const WEEK: i64 = 7 * 86_400;

impl OpenTimes {
    /// Takes windows and blackouts in. A blackout that is not understood closes the schedule for good, and says so.
    pub fn new(zone: &TimeZone, windows: &[Window], blackouts: &[Blackout]) -> Self {
        let mut times = Self {
            zone: zone.clone(),
            week: week_of(windows),
            spans: Vec::new(),
            calendars: Vec::new(),
            not_understood: None,
        };
        for (index, blackout) in blackouts.iter().enumerate() {
            if let Err(why) = times.close(blackout) {
                times.not_understood.get_or_insert(format!("blackouts[{index}]: {why}"));
            }
        }
        times
    }

    fn close(&mut self, blackout: &Blackout) -> Result<(), String> {
        let reason = blackout.reason.clone();
        match blackout {
            Blackout { date: Some(day), from: None, to: None, calendar: None, calendar_text: None, .. } => {
                if matches!(day, Moment::Time(_)) {
                    return Err(format!("`{day}` is a time, not a day"));
                }
                self.close_span(*day, *day, reason)
            }
            Blackout { date: None, from: Some(from), to: Some(to), calendar: None, calendar_text: None, .. } => {
                self.close_span(*from, *to, reason)
            }
            Blackout { date: None, from: None, to: None, calendar: None, calendar_text: Some(text), .. } => {
                let calendar = Calendar::parse(text, &self.zone).map_err(|error| error.to_string())?;
                self.calendars.push(calendar);
                Ok(())
            }
            Blackout { date: None, from: None, to: None, calendar: Some(file), calendar_text: None, .. } => {
                Err(format!("the calendar {} was not read", file.display()))
            }
            _ => Err("it is not exactly one of a date, a range and a calendar".into()),
        }
    }

    fn close_span(&mut self, from: Moment, to: Moment, reason: Option<String>) -> Result<(), String> {
        let instant = |local| first_instant(&self.zone, local);
        let (start, end) = (instant(from.begins()), to.ends().and_then(instant));
        match (start, end) {
            (Some(start), Some(end)) if start < end => self.spans.push(ClosedSpan { start, end, reason }),
            _ => return Err(format!("from {from} to {to} is no time at all")),
        }
        Ok(())
    }

    /// Why no run may start at an instant; `None` if one may.
    pub fn closed_at(&self, at: Timestamp) -> Option<Closed> {
        if let Some(why) = &self.not_understood {
            return Some(Closed::NotUnderstood(why.clone()));
        }
        if let Some(reason) = self.blackout_at(at) {
            return Some(Closed::Blackout(reason));
        }
        (!self.window_open_at(at)).then_some(Closed::OutsideWindows)
    }

    /// What is not understood, so that no run may ever start.
    pub fn not_understood(&self) -> Option<&str> {
        self.not_understood.as_deref()
    }

    fn blackout_at(&self, at: Timestamp) -> Option<String> {
        if let Some(span) = self.spans.iter().find(|span| span.start <= at && at < span.end) {
            return Some(span.reason.clone().unwrap_or_default());
        }
        let until = at.checked_add(SignedDuration::from_secs(1)).unwrap_or(at);
        let mut events = self.calendars.iter().flat_map(|calendar| calendar.overlapping(at, until));
        events.find(|event| event.start <= at && at < event.end).map(|event| event.summary.to_owned())
    }

    /// Whether a window is open at an instant, whatever the blackouts.
    pub fn window_open_at(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let second = i64::from(weekday_number(local.weekday())) * 86_400
            + i64::from(local.hour()) * 3600
            + i64::from(local.minute()) * 60
            + i64::from(local.second());
        self.week.iter().any(|(from, until)| (*from..*until).contains(&second))
    }

    /// The spans in which windows are open, from one instant until another, in order, joined where they meet.
    pub fn windows_between(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut piece = from;
        let ends = clock_changes(&self.zone, from, until).into_iter().map(|change| change.at).chain([until]);
        for end in ends {
            // Between two changes of clocks, local time is the instant and a constant.
            let offset = i64::from(self.zone.to_offset(piece).seconds());
            let (first, last) = (piece.as_second() + offset, end.as_second() + offset);
            let monday = first - (first + MONDAY).rem_euclid(WEEK);
            let mut week = monday;
            while week < last {
                for (opens, closes) in &self.week {
                    let (opens, closes) = ((week + opens).max(first), (week + closes).min(last));
                    if opens < closes {
                        join(&mut spans, opens - offset, closes - offset);
                    }
                }
                week += WEEK;
            }
            piece = end;
        }
        spans
    }

    /// The spans in which a run may start, from one instant until another, in order. Blackouts that are not understood
    /// are left out here: [`closed_at`](Self::closed_at) then answers for each run.
    pub fn open_between(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut open = self.windows_between(from, until);
        if open.is_empty() {
            return open;
        }
        let closed = self.spans.iter().map(|span| (span.start, span.end));
        let events = self.calendars.iter().flat_map(|calendar| calendar.overlapping(from, until));
        for (start, end) in closed.chain(events.map(|event| (event.start, event.end))) {
            if end > from && start < until {
                open = open.into_iter().flat_map(|span| without(span, (start, end))).collect();
            }
        }
        open
    }
}

/// Seconds from a Monday's midnight to the epoch, a Thursday's.
const MONDAY: i64 = 3 * 86_400;

fn join(spans: &mut Vec<(Timestamp, Timestamp)>, from: i64, until: i64) {
    let (Ok(from), Ok(until)) = (Timestamp::from_second(from), Timestamp::from_second(until)) else { return };
    match spans.last_mut() {
        Some((_, end)) if *end >= from => *end = until.max(*end),
        _ => spans.push((from, until)),
    }
}

fn without(
    (from, until): (Timestamp, Timestamp),
    (start, end): (Timestamp, Timestamp),
) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    [(from, until.min(start)), (from.max(end), until)].into_iter().filter(|(from, until)| from < until)
}

fn week_of(windows: &[Window]) -> Vec<(i64, i64)> {
    if windows.is_empty() {
        return vec![(0, WEEK)];
    }
    let mut spans = Vec::new();
    for window in windows {
        let (from, until) = window.hours.seconds();
        for day in window.days.numbers() {
            let midnight = i64::from(day) * 86_400;
            let (from, until) = (midnight + i64::from(from), midnight + i64::from(until));
            spans.push((from, until.min(WEEK)));
            if until > WEEK {
                spans.push((0, until - WEEK));
            }
        }
    }
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, until) in spans {
        match joined.last_mut() {
            Some((_, end)) if *end >= from => *end = until.max(*end),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// The instants of a local day's two midnights, or of what comes first after them.
pub(crate) fn day_of(zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
    let midnight = |date: Date| first_instant(zone, date.at(0, 0, 0, 0));
    Some((midnight(date)?, midnight(date.tomorrow().ok()?)?))
}
