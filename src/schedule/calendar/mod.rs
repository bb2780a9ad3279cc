//! iCalendar files (RFC 5545) as blackouts.
//!
//! A blackout that is not understood must never be ignored, so this reader is strict where common ones are lenient:
//! whatever it does not know for certain to be without meaning for the time of an event is an error, and a schedule
//! whose calendar has an error does not fire. That is why it is written here and no library taken: those that read
//! whatever they can leave out the rest without a word.
//!
//! Understood: `VEVENT` with `DTSTART` (a day, local time, UTC, or with a `TZID` of the IANA database), `DTEND` or
//! `DURATION`, `RRULE` (see [`recurrence`]), `RDATE`, `EXDATE`, `STATUS:CANCELLED` (no blackout), `RECURRENCE-ID`
//! (the moved event blocks, and so does the time from which it was moved). Events that are marked as free
//! (`TRANSP:TRANSPARENT`), as those of public holidays are, block as well.

mod event;
mod lines;
mod recurrence;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use lines::{Line, unfold};

/// The events of a calendar.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    events: Vec<event::Event>,
}

/// Why a calendar is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct CalendarError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is not understood.
    pub message: String,
}

impl CalendarError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The longest text that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

/// Some time during which an event lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence<'a> {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// What the event is called.
    pub summary: &'a str,
}

impl Calendar {
    /// Reads a calendar; times without a zone are meant in `zone`.
    ///
    /// # Errors
    /// With the first line that is not understood.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, CalendarError> {
        if text.len() > LONGEST {
            return Err(CalendarError::new(1, "it is longer than 1 MiB"));
        }
        let lines = unfold(text)?;
        let mut lines = lines.iter();
        let mut events = Vec::new();
        let first = lines.next().filter(|line| line.is("BEGIN", "VCALENDAR"));
        let Some(first) = first else {
            return Err(CalendarError::new(1, "it does not begin with BEGIN:VCALENDAR"));
        };
        let mut open = true;
        while let Some(line) = lines.next() {
            if !open {
                if !line.is("BEGIN", "VCALENDAR") {
                    return Err(CalendarError::new(line.number, "there is something behind END:VCALENDAR"));
                }
                open = true;
                continue;
            }
            match (line.name.as_str(), line.value.to_ascii_uppercase().as_str()) {
                ("BEGIN", "VEVENT") => {
                    let body = body(&mut lines, "VEVENT", line.number)?;
                    events.extend(event::read(&body, line.number, zone)?);
                }
                // Zones are taken from the IANA database by their names; a name that is not there is an error of the
                // event that uses it.
                ("BEGIN", "VTIMEZONE") => drop(body(&mut lines, "VTIMEZONE", line.number)?),
                ("BEGIN", other) => {
                    return Err(CalendarError::new(line.number, format!("{other} is not understood, only VEVENT is")));
                }
                ("END", "VCALENDAR") => open = false,
                ("END", _) => return Err(CalendarError::new(line.number, format!("{} ends nothing", line.value))),
                ("VERSION", "2.0") => {}
                ("VERSION", other) => {
                    return Err(CalendarError::new(
                        line.number,
                        format!("version {other} is not understood, only 2.0"),
                    ));
                }
                ("CALSCALE", "GREGORIAN") => {}
                ("CALSCALE", other) => {
                    return Err(CalendarError::new(line.number, format!("the calendar {other} is not understood")));
                }
                // Other properties of a calendar say nothing of the times of its events.
                _ => {}
            }
        }
        if open {
            return Err(CalendarError::new(first.number, "it has no END:VCALENDAR: is the file complete?"));
        }
        Ok(Self { events })
    }

    /// How many events it has; each counts once, however often it recurs.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Every time during which an event lasts and which overlaps the time from one instant until another.
    pub fn overlapping(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Occurrence<'_>> {
        self.events.iter().flat_map(move |event| event.overlapping(from, until))
    }
}

/// The lines up to the END of a component, without those of components in it.
fn body<'a>(
    lines: &mut impl Iterator<Item = &'a Line>,
    component: &str,
    begun: usize,
) -> Result<Vec<&'a Line>, CalendarError> {
    let mut body = Vec::new();
    let mut inner: Vec<&str> = Vec::new();
    for line in lines {
        match (line.name.as_str(), inner.last()) {
            ("BEGIN", _) => inner.push(&line.value),
            ("END", None) if line.value.eq_ignore_ascii_case(component) => return Ok(body),
            ("END", Some(open)) if line.value.eq_ignore_ascii_case(open) => drop(inner.pop()),
            ("END", _) => return Err(CalendarError::new(line.number, format!("{} ends nothing", line.value))),
            (_, None) => body.push(line),
            (_, Some(_)) => {}
        }
    }
    Err(CalendarError::new(begun, format!("this {component} has no end: is the file complete?")))
}

#[cfg(test)]
mod tests;
