//! Whether a steady-state hypothesis holds: from samples to verdicts. Pure: no clock, no input or output.

mod bound;
mod cadence;
mod decide;
mod error;
#[cfg(test)]
mod false_greens;
mod guardrail;
#[cfg(test)]
mod guardrail_tests;
mod judge;
#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod kinds_tests;
mod phases;
#[cfg(test)]
mod recovery_tests;
mod rejudge;
mod run_verdict;
#[cfg(test)]
mod run_verdict_tests;
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
