//! From what a stretch of time holds to a verdict on one bound. One file a kind of bound.
//!
//! The order of the questions is the same everywhere, and each step can only make the verdict worse:
//! 1. nothing to judge by: no data;
//! 2. harm is shown by what there is: violated, whatever else is missing;
//! 3. the signal fell silent, and stayed so: no data from then on, never held;
//! 4. more than a fifth of the readings are missing: inconclusive;
//! 5. health is shown: held;
//! 6. otherwise inconclusive.

mod number;
mod ratio;
mod relative;
mod traffic;

pub(super) use number::mean;
pub(super) use traffic::{Baseline, covered, lowest};

use std::sync::Arc;

use super::bound::Bound;
use super::cadence::Coverage;
use super::statistics::{DecisionRule, Events, Pace, Ranked, Unfit};
use super::tally::Counts;
use super::verdict::Verdict;

/// More missing readings than this share, and what there is may not be like what there was.
pub(super) const MOST_MISSING: f64 = 0.2;

/// A stretch of time and what was read in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) counts: Counts,
    /// Numbers and when they were read, in order.
    pub(super) numbers: &'a [(f64, f64)],
    pub(super) coverage: Coverage,
    /// Seconds between two readings.
    pub(super) interval: f64,
    /// So many events count as one, since bad ones come in bursts; 1 where they do not.
    pub(super) dispersion: f64,
    /// Whether each reading is one event, rather than what counters grew by.
    pub(super) single: bool,
}

impl Window<'_> {
    /// Its events, as many as independent ones would be.
    pub(super) fn events(&self) -> Events {
        Events { bad: self.counts.bad() / self.dispersion, good: self.counts.good() / self.dispersion }
    }
}

/// The probability of being wrong that each answer may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ErrorRates {
    /// Of "violated" about an objective that holds.
    pub(super) harm: f64,
    /// Of "held" about an objective that does not hold.
    pub(super) health: f64,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cause {
    /// Nothing came at all.
    NothingCame,
    /// Every reading was missing.
    AllMissing,
    /// There were readings, but not one event.
    NoEvents,
    /// The signal said nothing more since then.
    SilentSince(f64),
    /// So large a share of the readings is missing.
    Gaps(f64),
    /// The test passed its threshold.
    Shown,
    /// Readings were on the wrong side without a break from the first of these moments to the second.
    Sustained(f64, f64),
    /// The test passed neither threshold.
    Undecided,
    /// Fewer readings than three.
    FewReadings,
    /// There is nothing to compare with.
    NoReference,
    /// The control said nothing more since then.
    ControlSilentSince(f64),
    /// So large a share of the readings of the control is missing.
    ControlGaps(f64),
    /// This is the baseline itself.
    IsBaseline,
    /// The baseline says that the signal cannot be judged at the stated error rate.
    Unfit(Unfit),
}

/// A verdict and its cause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) cause: Cause,
}

impl Outcome {
    fn new(verdict: Verdict, cause: Cause) -> Self {
        Self { verdict, cause }
    }
}

/// What a relative bound is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    /// The window is the baseline.
    Itself,
    /// The reference, if there is one.
    With(Option<Compared>),
}

/// A reference: the baseline, or a control in the same window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    /// Its good events and the time in which they came.
    pub(super) baseline: Baseline,
    /// Its events.
    pub(super) events: Events,
    /// For a latency: those of the reference.
    latencies: Option<Arc<Ranked>>,
    /// For a latency: those of the window.
    here: Option<Ranked>,
    /// What stands against "held" because the control was not read as it should be.
    pub(super) gaps: Option<Outcome>,
    /// The control's name; nothing for the baseline.
    pub(super) control: Option<String>,
}

impl Compared {
    pub(super) fn of(window: &Window<'_>, control: Option<String>, latencies: Option<Arc<Ranked>>) -> Self {
        let gaps = control.is_some().then(|| gaps(window)).flatten().map(|outcome| match outcome.cause {
            Cause::SilentSince(since) => Outcome::new(outcome.verdict, Cause::ControlSilentSince(since)),
            Cause::Gaps(share) => Outcome::new(outcome.verdict, Cause::ControlGaps(share)),
            _ => outcome,
        });
        Self {
            baseline: Baseline::of(window),
            events: Events { bad: window.counts.bad(), good: window.counts.good() },
            latencies,
            here: None,
            gaps,
            control,
        }
    }

    /// The same beside the latencies of a window.
    pub(super) fn beside(self, here: Option<Ranked>) -> Self {
        Self { here, ..self }
    }

    /// For a latency: those of the window and those of the reference.
    pub(super) fn latencies(&self) -> Option<(&Ranked, &Ranked)> {
        Some((self.here.as_ref()?, self.latencies.as_deref()?))
    }

    /// Its events, of which so many count as one.
    pub(super) fn events_by(&self, dispersion: f64) -> Events {
        Events { bad: self.events.bad / dispersion, good: self.events.good / dispersion }
    }

    /// Its pace by all of its time, and by the time that was covered by readings.
    pub(super) fn paces(&self) -> (Pace, Pace) {
        let Baseline { good, seconds, covered } = self.baseline;
        (Pace { count: good, seconds }, Pace { count: good, seconds: covered })
    }
}

/// Judges one bound by one window.
pub(super) fn decide(
    bound: Bound,
    window: &Window<'_>,
    comparison: &Comparison,
    rates: ErrorRates,
    rule: &dyn DecisionRule,
) -> Outcome {
    match bound {
        Bound::Latency { .. } | Bound::Errors { .. } => ratio::decide(bound, window, rates, rule),
        Bound::Rate { .. } | Bound::Share { .. } => traffic::decide(bound, window, comparison, rates, rule),
        Bound::LatencyOver { .. } | Bound::ErrorsOver { .. } => {
            relative::decide(bound, window, comparison, rates, rule)
        }
        Bound::Saturation { .. } | Bound::Value { .. } => number::decide(bound, window),
    }
}

/// What stands against "held" although the readings that there are look well.
fn gaps(window: &Window<'_>) -> Option<Outcome> {
    if let Some(since) = window.coverage.silent_since {
        return Some(Outcome::new(Verdict::NoData, Cause::SilentSince(since.max(window.from))));
    }
    let share = missing_share(window);
    (share > MOST_MISSING).then(|| Outcome::new(Verdict::Inconclusive, Cause::Gaps(share)))
}

/// The share of the readings that were due and did not come, or came empty.
fn missing_share(window: &Window<'_>) -> f64 {
    let silent = f64::from(window.coverage.empty) / f64::from(window.coverage.beats.max(1));
    silent.max(window.counts.missing_share())
}

/// No reading that could be used: nothing came, or only reasons why nothing could be read.
fn nothing(window: &Window<'_>) -> Option<Outcome> {
    (window.counts.readings == 0).then(|| {
        let cause = if window.counts.missing > 0 { Cause::AllMissing } else { Cause::NothingCame };
        Outcome::new(Verdict::NoData, cause)
    })
}
