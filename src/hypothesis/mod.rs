//! Whether a steady-state hypothesis holds: from samples to verdicts. Pure: no clock, no input or output.

mod bound;
mod cadence;
mod decide;
mod error;
mod guardrail;
mod judge;
#[cfg(test)]
mod judge_tests;
mod phases;
mod rejudge;
mod run_verdict;
pub mod statistics;
mod stream;
mod tally;
#[cfg(test)]
mod trial;
pub mod verdict;
mod watch;
mod words;

pub use error::JudgeError;
pub use judge::{Judge, Steady};
pub use rejudge::rejudge;
pub use run_verdict::{FaultFacts, Injection, RunFacts, run_verdict};
