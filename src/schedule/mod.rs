//! Schedules: when experiments run, and when never.
//!
//! A document ([`document`]) is compiled to rules ([`Rule`]), which know slots and when each is due; [`decide()`] says
//! from a rule, its stored state and the time what is to be done. All of it is pure: the time comes in, nothing is
//! read, stored or waited for here, and every draw follows from the seed, so every controller comes to the same slots
//! with the same keys. [`preview()`] lists what will be.
//!
//! Local times are those of the schedule's zone. One that does not exist (clocks go forward) is the first instant after
//! the gap; one that exists twice (clocks go back) is the first of the two; so each fires once, and a time that jitter
//! or daylight saving moves out of the windows does not fire at all. Windows go by the clock on the wall: one in a gap
//! is not there on that day, one in an hour that exists twice is open twice.

pub mod calendar;
mod calendar_files;
pub(crate) mod check;
mod decide;
pub mod document;
mod draw;
pub mod local;
mod open_times;
mod preview;
mod probabilistic;
mod rule;
#[cfg(test)]
mod tests;

pub use calendar_files::CalendarFileError;
pub use decide::{Decision, NotNow, SkipReason, State, decide};
pub use open_times::{Closed, OpenTimes};
pub use preview::{Entry, Outcome, Preview, preview};
pub use rule::{LastRun, Rule, RuleError, Slot};
