//! How much is served: good events a second, against a number or the baseline.
//!
//! Events are taken to come at random (Poisson); an even pace varies less, so that the stated error rate is kept there
//! too. Time in which nothing could be read is no time without traffic: "too little" is judged by the time that was
//! covered by readings alone, and "enough" by the whole time, each to the disadvantage of its answer.

use super::{Cause, Comparison, ErrorRates, Outcome, Window, gaps, missing_share, nothing};
use crate::hypothesis::bound::Bound;
use crate::hypothesis::statistics::{DecisionRule, Margin, Pace, rate_is_above, rate_is_below, threshold};
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
pub(in crate::hypothesis) fn covered(window: &Window<'_>) -> f64 {
    let edge = if window.single { 0.0 } else { window.interval };
    ((window.to - window.from) * (1.0 - missing_share(window)) - edge).max(0.0)
}

pub(super) fn decide(
    bound: Bound,
    window: &Window<'_>,
    comparison: &Comparison,
    rates: ErrorRates,
    rule: &dyn DecisionRule,
) -> Outcome {
    if let Some(nothing) = nothing(window) {
        return nothing;
    }
    let good = window.counts.good();
    let (whole, covered) = (window.to - window.from, covered(window));
    let (harm, health) = (threshold(rates.harm), threshold(rates.health));
    let (too_little, enough, missing) = match (bound, comparison) {
        (Bound::Rate { floor }, _) => (
            good < floor * covered && rule.rate_is_shown_below(floor * covered, good, harm),
            good > floor * whole && rule.rate_is_shown_above(floor * whole, good, health),
            None,
        ),
        (Bound::Share { .. }, Comparison::Itself) => {
            return match gaps(window) {
                _ if good <= 0.0 => Outcome::new(Verdict::NoData, Cause::NoEvents),
                Some(gaps) => gaps,
                None => Outcome::new(Verdict::Held, Cause::IsBaseline),
            };
        }
        (Bound::Share { share }, Comparison::With(Some(compared))) if compared.baseline.good > 0.0 => {
            // The reference is itself only a sample, of which the tests of two samples know.
            let margin = Margin { factor: share, plus: 0.0 };
            let (of_whole, of_covered) = compared.paces();
            let (here, by_readings) = (Pace { count: good, seconds: whole }, Pace { count: good, seconds: covered });
            (
                rate_is_below(rule, by_readings, of_whole, margin, harm) >= harm,
                rate_is_above(rule, here, of_covered, margin, health) >= health,
                compared.gaps,
            )
        }
        _ => return Outcome::new(Verdict::NoData, Cause::NoReference),
    };
    if too_little {
        return Outcome::new(Verdict::Violated, Cause::Shown);
    }
    if let Some(gaps) = gaps(window).or(missing) {
        return gaps;
    }
    if enough {
        Outcome::new(Verdict::Held, Cause::Shown)
    } else {
        Outcome::new(Verdict::Inconclusive, Cause::Undecided)
    }
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

/// Halvings of the interval: to better than one part in four thousand, always to the disadvantage of the answer.
const STEPS: u32 = 12;
