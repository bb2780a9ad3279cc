//! The pure state machine of a game day: `step(Option<State>, at, Event) -> (State, Vec<Command>)`. No clock: the time
//! comes in with each event.
//!
//! ```text
//! drafted → approvals → checklist → (hold) → experiment → alerts settle → (hold) → … → finished | aborted
//! ```
//!
//! Invariants, each kept here and tested over random histories:
//! - no experiment is started unless enough people approve the plan as it is at that moment, each of them entitled, none
//!   of them the one who asked, and every required question was answered by go;
//! - a no to a required question, or at a hold, ends it, and nothing is started afterwards;
//! - nothing is started outside the window, and what runs at its end is asked to stop;
//! - it is over only when every experiment that was started has ended;
//! - a plan that was made anew voids every approval and every go at a hold; the plan of what has begun stays as it is;
//! - an event that makes no sense in a state is an error, never ignored.

mod asked;
mod command;
mod event;
mod illegal;
mod people;
mod planning;
mod records;
mod said;
mod state;
mod transitions;

pub use asked::Asked;
pub use command::Command;
pub use event::{Answer, Entry, Event, HoldPoint, Identity, Milestone, Opened, ResolvedExperiment};
pub use illegal::Illegal;
pub use records::{Approval, Course, Decision, Ending, EndingKind, Given, Replan};
pub use said::{Finding, FindingSeverity, Note};
pub use state::{Stage, State};
pub use transitions::{replay, step};

#[cfg(test)]
mod tests;
