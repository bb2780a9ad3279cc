//! How much is served: good events a second, against a number or the baseline.
//!
//! Events are taken to come at random (Poisson); an even pace varies less, so that the stated error rate is kept there
//! too. Time in which nothing could be read is no time without traffic: "too little" is judged by the time that was
//! covered by readings alone, and "enough" by the whole time, each to the disadvantage of its answer.

use super::{Cause, Comparison, ErrorRates, Outcome, Window, gaps, missing_share, nothing};
use crate::hypothesis::bound::Bound;
use crate::hypothesis::statistics::{DecisionRule, threshold};
use crate::hypothesis::verdict::Verdict;

/// The good events before the fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::hypothesis) struct Baseline {
    /// How many there were.
    pub(in crate::hypothesis) good: f64,
    /// In how many seconds.
    pub(in crate::hypothesis) seconds: f64,
    /// How many of those seconds were covered by readings.
    pub(in crate::hypothesis) covered: f64,
}

impl Baseline {
    pub(in crate::hypothesis) fn of(window: &Window<'_>) -> Self {
        Self { good: window.counts.good(), seconds: window.to - window.from, covered: covered(window) }
    }

    /// Good events a second.
    pub(in crate::hypothesis) fn rate(&self) -> f64 {
        self.good / self.seconds.max(1e-9)
    }
}

/// The time covered by readings. What counters grew by at the first reading may belong to the time before it.
fn covered(window: &Window<'_>) -> f64 {
    let edge = if window.single { 0.0 } else { window.interval };
    ((window.to - window.from) * (1.0 - missing_share(window)) - edge).max(0.0)
}

pub(super) fn decide(
    bound: Bound,
    window: &Window<'_>,
    comparison: Comparison,
    rates: ErrorRates,
    rule: &dyn DecisionRule,
) -> Outcome {
    if let Some(nothing) = nothing(window) {
        return nothing;
    }
    let good = window.counts.good();
    let (low, high, split) = match (bound, comparison) {
        (Bound::Rate { floor }, _) => (floor, floor, 1.0),
        (Bound::Share { .. }, Comparison::Itself) => {
            return match gaps(window) {
                _ if good <= 0.0 => Outcome::new(Verdict::NoData, Cause::NoEvents),
                Some(gaps) => gaps,
                None => Outcome::new(Verdict::Held, Cause::IsBaseline),
            };
        }
        (Bound::Share { share }, Comparison::With(Some(baseline))) if baseline.good > 0.0 => {
            // The baseline is itself only an estimate: half of the error rate is spent on how far off it may be.
            let low = share * lowest(&baseline, rates.harm / 2.0, rule);
            let high = share * highest(&baseline, rates.health / 2.0, rule);
            (low, high, 2.0)
        }
        _ => return Outcome::new(Verdict::NoData, Cause::NoBaseline),
    };
    let covered = covered(window);
    if good < low * covered && rule.rate_is_below(low * covered, good) >= threshold(rates.harm / split) {
        return Outcome::new(Verdict::Violated, Cause::Shown);
    }
    if let Some(gaps) = gaps(window) {
        return gaps;
    }
    let seconds = window.to - window.from;
    if good > high * seconds && rule.rate_is_above(high * seconds, good) >= threshold(rates.health / split) {
        return Outcome::new(Verdict::Held, Cause::Shown);
    }
    Outcome::new(Verdict::Inconclusive, Cause::Undecided)
}

/// The smallest rate that the baseline may have had, at an error rate: every smaller one is rejected.
pub(in crate::hypothesis) fn lowest(baseline: &Baseline, error_rate: f64, rule: &dyn DecisionRule) -> f64 {
    let needed = threshold(error_rate);
    let (mut rejected, mut kept) = (0.0, baseline.rate());
    for _ in 0..STEPS {
        let middle = f64::midpoint(rejected, kept);
        if rule.rate_is_above(middle * baseline.seconds, baseline.good) >= needed {
            rejected = middle;
        } else {
            kept = middle;
        }
    }
    rejected
}

/// The largest rate that the baseline may have had, at an error rate: every larger one is rejected.
fn highest(baseline: &Baseline, error_rate: f64, rule: &dyn DecisionRule) -> f64 {
    let needed = threshold(error_rate);
    let is_rejected = |rate: f64| rule.rate_is_below(rate * baseline.covered, baseline.good) >= needed;
    let mut kept = baseline.good / baseline.covered.max(1e-9);
    let mut rejected = kept * 2.0 + 1.0 / baseline.covered.max(1e-9);
    while !is_rejected(rejected) {
        rejected *= 2.0;
        if !rejected.is_finite() || rejected > 1e12 {
            return f64::INFINITY;
        }
    }
    for _ in 0..STEPS {
        let middle = f64::midpoint(kept, rejected);
        if is_rejected(middle) { rejected = middle } else { kept = middle }
    }
    rejected
}

/// Halvings of the interval: to better than one part in four thousand, always to the disadvantage of the answer.
const STEPS: u32 = 12;
