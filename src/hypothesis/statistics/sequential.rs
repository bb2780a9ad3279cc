//! The sequential test: mixtures over everything that contradicts the claim, valid at every look.

use std::f64::consts::{FRAC_PI_2, PI};

use statrs::function::beta::ln_beta;
use statrs::function::gamma::ln_gamma;

use super::{DecisionRule, beta_tail, gamma_tail};

/// Truncated mixtures: Jeffreys' prior Beta(1/2, 1/2) for ratios, Gamma(1/2, 1/2) in units of the bound for rates, each
/// cut to the side that contradicts the claim.
///
/// With `S` bad and `F` good events and the claim "at most `p0`", the e-value is the average over all `p > p0` of the
/// likelihood ratio of `p` to `p0`:
///
/// `ln E = ln B(a+S, b+F) + ln (1 - I_p0(a+S, b+F)) - ln B(a, b) - ln (1 - I_p0(a, b)) - S ln p0 - F ln(1 - p0)`
///
/// For each `p > p0` that ratio is a supermartingale under every probability up to `p0`, and an average of
/// supermartingales is one: hence the claim may be tested after every event. The other side has `I` for `1 - I`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequentialTest;

const HALF: f64 = 0.5;

impl DecisionRule for SequentialTest {
    fn ratio_is_above(&self, bound: f64, bad: f64, good: f64) -> f64 {
        let (_, upper) = beta_tail::ln_tails(HALF + bad, HALF + good, bound);
        likelihood_over_bound(bound, bad, good) + upper - (1.0 - prior_below(bound)).ln()
    }

    fn ratio_is_below(&self, bound: f64, bad: f64, good: f64) -> f64 {
        let (lower, _) = beta_tail::ln_tails(HALF + bad, HALF + good, bound);
        likelihood_over_bound(bound, bad, good) + lower - prior_below(bound).ln()
    }

    fn rate_is_below(&self, expected: f64, count: f64) -> f64 {
        let (lower, _) = gamma_tail::ln_tails(HALF + count, HALF + expected);
        let (prior, _) = gamma_tail::ln_tails(HALF, HALF);
        rate_over_bound(expected, count) + lower - prior
    }

    fn rate_is_above(&self, expected: f64, count: f64) -> f64 {
        let (_, upper) = gamma_tail::ln_tails(HALF + count, HALF + expected);
        let (_, prior) = gamma_tail::ln_tails(HALF, HALF);
        rate_over_bound(expected, count) + upper - prior
    }

    fn ratio_is_shown_above(&self, bound: f64, bad: f64, good: f64, needed: f64) -> bool {
        reaches(best_ratio(bound, bad, good), bad + good, needed) && self.ratio_is_above(bound, bad, good) >= needed
    }

    fn ratio_is_shown_below(&self, bound: f64, bad: f64, good: f64, needed: f64) -> bool {
        reaches(best_ratio(bound, bad, good), bad + good, needed) && self.ratio_is_below(bound, bad, good) >= needed
    }

    fn rate_is_shown_below(&self, expected: f64, count: f64, needed: f64) -> bool {
        reaches(best_rate(expected, count), expected + count, needed) && self.rate_is_below(expected, count) >= needed
    }

    fn rate_is_shown_above(&self, expected: f64, count: f64, needed: f64) -> bool {
        reaches(best_rate(expected, count), expected + count, needed) && self.rate_is_above(expected, count) >= needed
    }
}

/// Up to so many events the e-value is known far better than [`ROOM`].
const MOST: f64 = 1e9;

/// By how much, for each event, an e-value as it is computed may lie above what it can be.
const ROOM: f64 = 1e-9;

/// Whether an e-value may come to what is needed, where `best` is the logarithm of the likelihood ratio of the best
/// alternative. A mixture is an average of likelihood ratios, and no average is greater than the greatest.
///
/// It takes two logarithms where the e-value takes continued fractions, and most windows of a phase show too little by far.
fn reaches(best: f64, events: f64, needed: f64) -> bool {
    // What is no number is left to the e-value.
    !(best + ROOM * (1.0 + events) < needed && events < MOST)
}

/// The logarithm of the likelihood ratio of the share that was seen to the bound.
fn best_ratio(bound: f64, bad: f64, good: f64) -> f64 {
    let all = bad + good;
    let part = |seen: f64, expected: f64| if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
    part(bad, all * bound) + part(good, all * (1.0 - bound))
}

/// The logarithm of the likelihood ratio of the rate that was seen to the bound.
fn best_rate(expected: f64, count: f64) -> f64 {
    let part = if count > 0.0 { count * (count / expected).ln() } else { 0.0 };
    part - count + expected
}

/// The prior's share below the bound, `I_p(1/2, 1/2)`: the arcsine law.
fn prior_below(bound: f64) -> f64 {
    bound.sqrt().asin() / FRAC_PI_2
}

fn likelihood_over_bound(bound: f64, bad: f64, good: f64) -> f64 {
    ln_beta(HALF + bad, HALF + good) - PI.ln() - bad * bound.ln() - good * (-bound).ln_1p()
}

fn rate_over_bound(expected: f64, count: f64) -> f64 {
    let shape = HALF + count;
    ln_gamma(shape) - shape * (HALF + expected).ln() - ln_gamma(HALF) + HALF * HALF.ln() + expected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hypothesis::statistics::threshold;

    const RULE: SequentialTest = SequentialTest;

    /// From mpmath 1.3 at 60 digits, by the formula above.
    #[test]
    fn agrees_with_sixty_digits() {
        for (bad, good, bound, above, below) in [
            (0.0, 381.0, 0.01, -4.827_733_851_847_974, 3.031_929_032_570_548_5),
            (0.0, 299.0, 0.01, -4.607_722_603_929_505, 2.320_255_351_900_423),
            (5.0, 95.0, 0.01, 1.655_654_252_227_783_3, -2.239_596_869_613_927),
            (600.0, 2_400.0, 0.01, 1_281.852_449_875_932_2, -7.046_431_909_789_285),
            (3.0, 1_497.0, 0.01, -5.925_583_482_562_07, 6.076_159_245_527_362_5),
            (0.0, 5_642.0, 0.001, -6.383_469_217_794_103, 4.657_952_955_838_807),
            (20.0, 0.0, 0.05, 57.993_143_406_179_45, -3.697_636_347_976_215_7),
        ] {
            for (found, known) in
                [(RULE.ratio_is_above(bound, bad, good), above), (RULE.ratio_is_below(bound, bad, good), below)]
            {
                assert!((found - known).abs() < 1e-9 * f64::max(1.0, known.abs()), "{bad}/{good}: {found} not {known}");
            }
        }
        for (count, expected, below, above) in [
            (0.0, 3.0, 2.400_575_699_388_914_5, -1.634_698_754_986_407_9),
            (80.0, 100.0, -0.192_227_661_148_947_8, -3.442_560_318_805_305_6),
            (400.0, 500.0, 7.616_584_854_033_343, -4.921_532_926_836_567),
            (600.0, 500.0, -5.686_993_906_133_351, 6.833_227_239_847_273),
            (1_500.0, 1_200.0, -6.753_887_063_922_13, 31.693_057_122_331_89),
        ] {
            for (found, known) in
                [(RULE.rate_is_below(expected, count), below), (RULE.rate_is_above(expected, count), above)]
            {
                assert!((found - known).abs() < 1e-9, "{count} of {expected}: {found} is not {known}");
            }
        }
    }

    #[test]
    fn the_shortcut_spares_the_e_value_where_it_shows_too_little() {
        // 5 of 300 at a bound of 1%, and none of 200.
        assert!(!reaches(best_ratio(0.01, 5.0, 295.0), 300.0, threshold(0.05)));
        assert!(!reaches(best_ratio(0.01, 0.0, 200.0), 200.0, threshold(0.05)));
        assert!(reaches(best_ratio(0.01, 0.0, 381.0), 381.0, threshold(0.05)));
        assert!(!reaches(best_rate(100.0, 90.0), 190.0, threshold(0.05)));
        assert!(reaches(f64::NAN, 1.0, 3.0) && reaches(0.0, MOST, 3.0), "left to the e-value");
    }

    #[test]
    fn nothing_seen_says_nothing() {
        assert!(RULE.ratio_is_above(0.01, 0.0, 0.0).abs() < 1e-12);
        assert!(RULE.ratio_is_below(0.01, 0.0, 0.0).abs() < 1e-12);
        assert!(RULE.rate_is_below(0.0, 0.0).abs() < 1e-12);
        assert!(RULE.rate_is_above(0.0, 0.0).abs() < 1e-12);
    }

    /// The trap of the reference: at 20% errors the lower tail underflowed, and health was "proved".
    #[test]
    fn twenty_percent_errors_never_prove_health() {
        for events in [10.0, 100.0, 1_000.0, 10_000.0, 1_000_000.0] {
            let (bad, good) = (0.2 * events, 0.8 * events);
            assert!(RULE.ratio_is_below(0.01, bad, good) < 0.0, "{events}");
            assert!(RULE.ratio_is_above(0.01, bad, good) > 0.0, "{events}");
        }
        assert!(RULE.ratio_is_above(0.01, 200.0, 800.0) > threshold(1e-9));
    }

    proptest! {
        #[test]
        fn never_not_a_number_and_never_both(bound in 1e-6f64..0.999_999, bad in 0u32..200_000, good in 0u32..2_000_000) {
            let (bad, good) = (f64::from(bad), f64::from(good));
            let above = RULE.ratio_is_above(bound, bad, good);
            let below = RULE.ratio_is_below(bound, bad, good);
            prop_assert!(!above.is_nan() && !below.is_nan());
            // What contradicts "at most" cannot at the same time contradict "at least".
            prop_assert!(above <= 1e-6 || below <= 1e-6, "{above} {below}");
        }

        /// With what is needed from nothing to far more than there is, and at the e-value itself: also of events that are
        /// no whole numbers, as bursts make them.
        #[test]
        fn the_shortcut_never_changes_what_is_shown(
            bound in prop_oneof![1e-6f64..0.999_999, 0.001f64..0.05],
            (bad, good) in prop_oneof![(Just(0.0), 0.0f64..2_000.0), (0.0f64..30.0, 0.0f64..3_000.0), (0.0f64..1e5, 0.0f64..1e8)],
            dispersion in prop_oneof![Just(1.0), 1.0f64..20.0],
            part in prop_oneof![Just(1.0), 0.0f64..2.0],
        ) {
            for (bad, good) in [(bad.floor(), good.floor()), (bad.floor() / dispersion, good.floor() / dispersion)] {
                let (above, below) = (RULE.ratio_is_above(bound, bad, good), RULE.ratio_is_below(bound, bad, good));
                for evidence in [above, below] {
                    // No evidence is greater than that of the best alternative.
                    prop_assert!(reaches(best_ratio(bound, bad, good), bad + good, evidence));
                    for needed in [evidence, evidence.next_up(), evidence * part, threshold(0.05), 12.0] {
                        prop_assert_eq!(RULE.ratio_is_shown_above(bound, bad, good, needed), above >= needed);
                        prop_assert_eq!(RULE.ratio_is_shown_below(bound, bad, good, needed), below >= needed);
                    }
                }
            }
        }

        #[test]
        fn the_shortcut_never_changes_what_is_shown_of_rates(
            expected in prop_oneof![0.001f64..100.0, 0.1f64..1e7],
            share in prop_oneof![Just(0.0), 0.0f64..3.0, 0.95f64..1.05],
            part in prop_oneof![Just(1.0), 0.0f64..2.0],
        ) {
            let count = (expected * share).floor();
            let (below, above) = (RULE.rate_is_below(expected, count), RULE.rate_is_above(expected, count));
            for evidence in [below, above] {
                prop_assert!(reaches(best_rate(expected, count), expected + count, evidence));
                for needed in [evidence, evidence.next_up(), evidence * part, threshold(0.05), 12.0] {
                    prop_assert_eq!(RULE.rate_is_shown_below(expected, count, needed), below >= needed);
                    prop_assert_eq!(RULE.rate_is_shown_above(expected, count, needed), above >= needed);
                }
            }
        }

        #[test]
        fn one_more_bad_event_never_speaks_for_health(bound in 0.001f64..0.5, bad in 0u32..500, good in 0u32..5_000) {
            let (bad, good) = (f64::from(bad), f64::from(good));
            prop_assert!(RULE.ratio_is_below(bound, bad + 1.0, good) <= RULE.ratio_is_below(bound, bad, good) + 1e-9);
            prop_assert!(RULE.ratio_is_above(bound, bad + 1.0, good) >= RULE.ratio_is_above(bound, bad, good) - 1e-9);
        }

        #[test]
        fn more_traffic_never_speaks_for_too_little(expected in 0.1f64..5_000.0, count in 0u32..5_000) {
            let count = f64::from(count);
            prop_assert!(RULE.rate_is_below(expected, count + 1.0) <= RULE.rate_is_below(expected, count) + 1e-9);
            prop_assert!(RULE.rate_is_above(expected, count + 1.0) >= RULE.rate_is_above(expected, count) - 1e-9);
        }
    }
}
