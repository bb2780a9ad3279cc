//! Whether a steady-state hypothesis holds: from samples to verdicts. Pure: no clock, no input or output.
//!
//! # What is judged
//! An objective bounds one signal in each phase of a run: before the first fault, during the faults, after the undo. A
//! sample belongs to the phase in which its `at` lies, and a request to the moment at which it was meant to start,
//! however late its answer comes. A verdict is a function of the samples and of the moments at which the phases began
//! and ended. The order in which samples come and the number of looks change nothing, to the last bit, so that
//! [`rejudge()`] gives from the journal what the run itself came to.
//!
//! # How it is decided
//! | objective | what is counted | rule |
//! |---|---|---|
//! | `errors` | failed requests, or what a counter of bad events grew by | share of bad events, sequential test |
//! | `latency` | requests at or over the bound, and failed ones | share of bad events: a p99 allows 1%; sequential test |
//! | `errors`, `latency` with `atMost` | the same, and all latencies | against the baseline or a control: sequential test of two samples |
//! | `traffic` | good events a second | Poisson rate against the number, the baseline or a control, sequential test |
//! | `saturation`, `value` | readings | mean by time over the phase, and no run of 10 s (and 3 readings) outside |
//!
//! The sequential test ([`statistics`]) may be looked at at any moment and as often as one likes. Its two sides are
//! "shown to hold" and "shown not to hold"; whatever it has not shown is inconclusive, and the verdict says how much
//! more data would decide it. At an error rate of 5% a bound of 1% takes 377 requests without a failure.
//!
//! # How often it is wrong
//! The document states one error rate (5% unless told), and two promises are kept with it:
//! - *No false green*: a run in which any one objective is broken in any one phase is held with at most this probability.
//!   All of them must be shown to hold, so no division is needed (intersection-union test).
//! - *No false alarm*: a run in which all is well is refused, violated or aborted by chance with at most this
//!   probability. It is divided by three phases of each objective and by each guardrail (Bonferroni).
//!
//! These are the probabilities for the worst system, which lies exactly at its bound.
//!
//! An objective on bad events that the fault violated says when that began, as the likelihood of a change has it.
//! Every verdict bears its effect: what was measured, or its difference from the reference, with an interval that holds
//! the truth at every look with the probability that the document states.
//!
//! The mathematics takes one event to tell nothing of the next. Errors that come in bursts make every rate above too
//! small. What the baseline shows of them is corrected: bad events and good ones are divided by its dispersion in the
//! later phases, for guardrails too. That is an approximation, and cannot correct bursts that are rarer than the baseline
//! is long: leave a margin between the bound and what is normal. `docs/error-rates.md` has what was measured.
//!
//! A signal whose baseline shows that it cannot be judged so, since its bursts are as long as the baseline or since the
//! baseline differs from itself, is *unfit* ([`statistics::unfit`]): its objectives are inconclusive in every phase, and
//! the gate stays shut on them. A healthy signal is called so with at most a tenth of the error rate over all objectives.
//!
//! Counters that are read every so often smear by up to one interval over the beginning of a phase.
//!
//! # What is missing
//! Nothing is ever taken for zero, nor for good. No reading, no event, or no reference to compare with is *no data*; so
//! is a control that fell silent. A
//! signal that says nothing more until the end of the phase (two stretches of three intervals, at least a second each)
//! is no data from then on, however well it looked before. More than a fifth of the readings missing is *inconclusive*.
//! Harm that is shown by what there is stays shown. A guardrail whose signal is silent for three intervals (at least
//! three seconds, after the time that an answer may take) is breached.
//!
//! # Before the fault and after it
//! The gate before the fault opens when every objective is shown to hold. While a phase runs, requests that may still
//! be under way are left out (as long as their timeout), since the answers that come first are not like the rest.
//! After the undo, the test starts anew 0, 1, 2, 3, 4, 6, 8, 12, 16 … seconds later with shares of the error rate that add
//! up to it, so that the errors of the recovery itself are left behind. Recovery is the first window that proves health;
//! what is not proven in time is judged by the second half of the phase.
//!
//! # The run
//! [`run_verdict()`] is a chain, and the first link that is missing names the verdict: cleaned up, applied with an effect,
//! not aborted, not interrupted, steady before, nothing violated, no data missing, nothing open, recovered. Only then
//! held.

mod again;
#[cfg(test)]
mod again_tests;
mod baseline;
mod beatwise;
mod bound;
mod cadence;
mod decide;
mod effect;
mod error;
mod error_rates;
#[cfg(test)]
mod false_greens;
#[cfg(test)]
mod fitness_tests;
mod guardrail;
mod guardrail_budget;
#[cfg(test)]
mod guardrail_slo_tests;
#[cfg(test)]
mod guardrail_tests;
mod intake;
mod judge;
#[cfg(test)]
mod judge_tests;
mod judgement;
#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod law_tests;
mod needs;
mod onset;
mod phases;
mod place;
#[cfg(test)]
mod recovery_tests;
mod rejudge;
#[cfg(test)]
mod relative_tests;
mod replay;
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

pub use again::{Again, AgainError, judge_again};
pub use error::JudgeError;
pub use guardrail::BURSTS_SHOWN;
pub use judge::{Judge, Steady};
pub use needs::Need;
pub use rejudge::rejudge;
pub use run_verdict::{FaultFacts, Injection, InjectionFacts, PLACEBO, RunFacts, run_verdict};
