//! Against a reference with a margin: errors and latency quantiles, by the tests of two samples.
//!
//! The reference is the same signal before the fault, or a control that reads untouched replicas at the same time. It is
//! itself only a sample, and the test knows it: a short baseline shows little, and no error rate is exceeded for it.

use super::{Cause, Comparison, ErrorRates, Outcome, Window, gaps, nothing};
use crate::hypothesis::bound::Bound;
use crate::hypothesis::statistics::{
    DecisionRule, quantile_is_above, quantile_is_below, share_is_above, share_is_below, threshold,
};
use crate::hypothesis::verdict::Verdict;

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
    if window.counts.total() <= 0.0 {
        return Outcome::new(Verdict::NoData, Cause::NoEvents);
    }
    let compared = match comparison {
        Comparison::Itself => return gaps(window).unwrap_or(Outcome::new(Verdict::Held, Cause::IsBaseline)),
        Comparison::With(Some(compared)) if compared.events.bad + compared.events.good > 0.0 => compared,
        Comparison::With(_) => return Outcome::new(Verdict::NoData, Cause::NoReference),
    };
    let (harm, health) = (threshold(rates.harm), threshold(rates.health));
    let here = window.events();
    let reference = compared.events_by(window.dispersion);
    let above = || match (bound, compared.latencies()) {
        (Bound::LatencyOver { quantile, margin }, Some(latencies)) => {
            quantile_is_above(rule, quantile, latencies.0, latencies.1, margin, harm)
        }
        (Bound::ErrorsOver { margin }, _) => share_is_above(rule, here, reference, margin, harm),
        _ => 0.0,
    };
    let below = || match (bound, compared.latencies()) {
        (Bound::LatencyOver { quantile, margin }, Some(latencies)) => {
            quantile_is_below(rule, quantile, latencies.0, latencies.1, margin, health)
        }
        (Bound::ErrorsOver { margin }, _) => share_is_below(rule, here, reference, margin, health),
        _ => 0.0,
    };
    if above() >= harm {
        return Outcome::new(Verdict::Violated, Cause::Shown);
    }
    if let Some(gaps) = gaps(window) {
        return gaps;
    }
    if let Some(gaps) = compared.gaps {
        return gaps;
    }
    if below() >= health {
        return Outcome::new(Verdict::Held, Cause::Shown);
    }
    Outcome::new(Verdict::Inconclusive, Cause::Undecided)
}
