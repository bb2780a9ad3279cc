//! Shares of bad events: errors, and requests slower than a time.
//!
//! A latency quantile is such a share: "p99 below 300 ms" says that at most 1% of the requests take 300 ms or longer.
//! A failed request is one of those, however quickly it failed.

use super::{Cause, ErrorRates, Outcome, Window, gaps, nothing};
use crate::hypothesis::bound::Bound;
use crate::hypothesis::statistics::{DecisionRule, Events, threshold};
use crate::hypothesis::verdict::Verdict;

pub(super) fn decide(bound: Bound, window: &Window<'_>, rates: ErrorRates, rule: &dyn DecisionRule) -> Outcome {
    if let Some(nothing) = nothing(window) {
        return nothing;
    }
    let (Some(allowed), Some(share)) = (bound.ratio(), window.counts.share()) else {
        return Outcome::new(Verdict::NoData, Cause::NoEvents);
    };
    let Events { bad, good } = window.events();
    // On the other side of the bound the e-value is below 1 anyway, and need not be computed.
    if share > allowed && rule.ratio_is_shown_above(allowed, bad, good, threshold(rates.harm)) {
        return Outcome::new(Verdict::Violated, Cause::Shown);
    }
    if let Some(gaps) = gaps(window) {
        return gaps;
    }
    if share < allowed && rule.ratio_is_shown_below(allowed, bad, good, threshold(rates.health)) {
        return Outcome::new(Verdict::Held, Cause::Shown);
    }
    Outcome::new(Verdict::Inconclusive, Cause::Undecided)
}
