//! A quantile against that of a reference: the theorem of [`comparison`](super::comparison), in which what is not known
//! of the reference is its quantile.
//!
//! Were the reference's quantile `x`, then at most a share `1 - q` of its events would lie above `x`, and at least that
//! share at or above it. And the other sample's quantile lies above `g(x)` exactly when more than `1 - q` of its events
//! do. Both are shares of events, so that the tests of shares serve, at one and the same bound of `1 - q`. The greater `x`
//! is, the fewer events lie above it and above `g(x)`, and each one fewer is evidence for "below" and against "above": in
//! the likelihood ratio of every `p` to the bound it is a factor on one side of 1. So on the way from the reference's own
//! quantile the one evidence grows and the other falls. Between two values that the reference took, what is asked of
//! the reference stays the same, and what is asked of the other sample says least at one of the two: the least over all
//! `x` is found exactly, at these values. No assumption is made about the distribution; an event that failed lies above
//! everything.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hypothesis::statistics::SequentialTest;

    const RULE: SequentialTest = SequentialTest;

    proptest! {
        #[test]
        fn each_bad_event_fewer_speaks_for_below(bound in 0.001f64..0.9, bad in 0u32..500, good in 0u32..5_000) {
            let (more, less) = ((f64::from(bad) + 1.0, f64::from(good)), (f64::from(bad), f64::from(good) + 1.0));
            let slack = 1e-9 * (1.0 + RULE.ratio_is_above(bound, more.0, more.1).abs());
            prop_assert!(RULE.ratio_is_below(bound, more.0, more.1) <= RULE.ratio_is_below(bound, less.0, less.1) + slack);
            prop_assert!(RULE.ratio_is_above(bound, more.0, more.1) >= RULE.ratio_is_above(bound, less.0, less.1) - slack);
        }

        /// Against every value that was recorded, every one between two of them, nothing and everything.
        #[test]
        fn the_least_of_all_values_is_found_exactly(
            here in proptest::collection::vec(1u32..40, 1..400), failed in 0u64..5,
            reference in proptest::collection::vec(1u32..30, 1..400), of_failed in 0u64..3,
            factor in 0.8f64..1.5, plus in 0.0f64..5.0, quantile in 0.5f64..0.95,
        ) {
            let ranked = |values: &[u32], failed| Ranked::new(values.iter().map(|value| (f64::from(*value), 1)), failed);
            let (here, reference) = (ranked(&here, failed), ranked(&reference, of_failed));
            #[expect(clippy::cast_precision_loss, reason = "a few")]
            let of_failed = of_failed as f64;
            let (over, margin) = (1.0 - quantile, Margin { factor, plus });
            let shown = reference.quantile(quantile).unwrap();
            prop_assume!(shown.is_finite());
            let evidence = |test: &dyn Fn(f64, f64, f64) -> f64, bad: f64, of: &Ranked| test(over, bad, of.total() - bad);
            let (is_above, is_below) = (
                |over: f64, bad: f64, good: f64| RULE.ratio_is_above(over, bad, good),
                |over: f64, bad: f64, good: f64| RULE.ratio_is_below(over, bad, good),
            );
            let (mut above, mut below) = (f64::INFINITY, f64::INFINITY);
            // And those right beside the reference's own quantile, beyond which its evidence is left at the hedge.
            let beside = [shown - 1e-6, shown + 1e-6, f64::INFINITY];
            for x in (0..=80).map(|step| f64::from(step) / 2.0).chain(beside) {
                let slow = here.above(margin.bound(x));
                // Just below a value lie all but those that are greater or equal.
                let (at_least, more) = (reference.above(x - 0.25), reference.above(x));
                let at_least = if x.is_finite() { at_least } else { of_failed };
                let of_reference = |is_beyond: bool, test: &dyn Fn(f64, f64, f64) -> f64, bad: f64| match is_beyond {
                    true => OF_REFERENCE.ln(),
                    false => hedged(OF_REFERENCE, evidence(test, bad, &reference)),
                };
                let up = of_reference(x < shown, &is_below, at_least);
                let down = of_reference(x > shown, &is_above, more);
                let other = |is_over: bool, test: &dyn Fn(f64, f64, f64) -> f64| match is_over {
                    true => hedged(OF_OTHER, evidence(test, slow, &here)),
                    false => OF_OTHER.ln(),
                };
                above = above.min(up + other(slow > over * here.total(), &is_above));
                below = below.min(down + other(slow < over * here.total(), &is_below));
            }
            let found = quantile_is_above(&RULE, quantile, &here, &reference, margin, f64::NEG_INFINITY);
            prop_assert!((found.max(0.0) - above.max(0.0)).abs() < 1e-9, "above: {found} is not {above}");
            let found = quantile_is_below(&RULE, quantile, &here, &reference, margin, f64::NEG_INFINITY);
            prop_assert!((found.max(0.0) - below.max(0.0)).abs() < 1e-9, "below: {found} is not {below}");
        }
    }
}
