//! The gate: many experiments, one answer. What is selected, which may run beside one another, what fits into the time
//! box, what is retried, what counts, and how it compares with the runs before. Pure but for [`drive`].
//!
//! Nothing that did not run ever counts as passed, and nothing selected is no pass either.

pub mod agenda;
pub mod baseline;
pub mod candidate;
pub mod drive;
pub mod length;
pub mod meet;
pub mod placebo_rate;
pub mod quarantine;
pub mod result;
pub mod select;
pub mod settle;

pub use agenda::Agenda;
pub use candidate::Candidate;
pub use length::Length;
pub use quarantine::Quarantine;
pub use result::{Attempt, GateResult};
pub use settle::Rules;
