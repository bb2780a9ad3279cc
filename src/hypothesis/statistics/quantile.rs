//! A quantile against that of a reference: the theorem of [`comparison`](super::comparison), in which what is not known
//! of the reference is its quantile.
//!
//! Were the reference's quantile `x`, then at most a share `1 - q` of its events would lie above `x`, and at least that
//! share at or above it. And the other sample's quantile lies above `g(x)` exactly when more than `1 - q` of its events
//! do. Both are shares of events, so that the tests of shares serve, and what they ask of the two samples changes
//! only at the values that the reference took: the least over all `x` is found exactly. No assumption is made about the
//! distribution; an event that failed lies above everything.
//!
//! What is compared is what was recorded. Latencies are kept to three significant digits, so a margin is exact to half a
//! percent of the quantile.

use super::comparison::{OF_OTHER, OF_REFERENCE, hedged};
use super::{DecisionRule, Margin, Ranked};

/// The logarithm of the e-value against "the quantile is at most the reference's with its margin"; `enough` as in
/// [`share_is_above`](super::share_is_above).
pub fn quantile_is_above(
    rule: &dyn DecisionRule,
    quantile: f64,
    here: &Ranked,
    reference: &Ranked,
    margin: Margin,
    enough: f64,
) -> f64 {
    let over = 1.0 - quantile;
    let (all, of_all) = (here.total(), reference.total());
    if all <= 0.0 || of_all <= 0.0 {
        return 0.0;
    }
    let of_reference = |place: usize| {
        let bad = reference.at_or_above(place);
        hedged(OF_REFERENCE, rule.ratio_is_below(over, bad, of_all - bad))
    };
    let bad = |place: usize| here.above(margin.bound(reference.value(place)));
    let of_other = |bad: f64| hedged(OF_OTHER, rule.ratio_is_above(over, bad, all - bad));
    // Below the quantile that the reference itself shows, its evidence is left at the hedge; from there upwards it grows.
    let known = reference.place_of(quantile).unwrap_or(reference.places());
    if bad(known) <= over * all {
        return 0.0;
    }
    let mut least = OF_REFERENCE.ln() + of_other(bad(known));
    for place in known..=reference.places() {
        let bad = bad(place);
        if bad <= over * all {
            return least.min(of_reference(place) + OF_OTHER.ln());
        }
        least = least.min(of_reference(place) + of_other(bad));
        if least < enough {
            return least;
        }
    }
    least
}

/// The logarithm of the e-value against "the quantile is greater than the reference's with its margin"; `enough` as in
/// [`share_is_above`](super::share_is_above).
pub fn quantile_is_below(
    rule: &dyn DecisionRule,
    quantile: f64,
    here: &Ranked,
    reference: &Ranked,
    margin: Margin,
    enough: f64,
) -> f64 {
    let over = 1.0 - quantile;
    let (all, of_all) = (here.total(), reference.total());
    if all <= 0.0 || of_all <= 0.0 {
        return 0.0;
    }
    let of_reference = |bad: f64| hedged(OF_REFERENCE, rule.ratio_is_above(over, bad, of_all - bad));
    let bad = |place: usize| here.above(margin.bound(reference.value(place)));
    let of_other = |bad: f64| hedged(OF_OTHER, rule.ratio_is_below(over, bad, all - bad));
    let known = reference.place_of(quantile).unwrap_or(reference.places());
    if bad(known) >= over * all {
        return 0.0;
    }
    let mut least = OF_REFERENCE.ln() + of_other(bad(known));
    for place in (0..=known).rev() {
        let bad = bad(place);
        if bad >= over * all {
            return least.min(of_reference(reference.beyond_place(place)) + OF_OTHER.ln());
        }
        least = least.min(of_reference(reference.beyond_place(place)) + of_other(bad));
        if least < enough {
            return least;
        }
    }
    // Below everything that the reference took: all of its events lie above.
    let bad = here.above(margin.bound(0.0));
    least.min(of_reference(of_all) + if bad >= over * all { OF_OTHER.ln() } else { of_other(bad) })
}
