//! The bound against every `θ`, and what it rests on.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::hypothesis::statistics::{
    DecisionRule, Events, Margin, Pace, SequentialTest, rate_is_above, rate_is_below, share_is_above, share_is_below,
};

const RULE: SequentialTest = SequentialTest;
const ALL: f64 = f64::NEG_INFINITY;

/// One of the four questions to two samples.
#[derive(Debug, Clone, Copy)]
struct Question {
    of_rates: bool,
    above: bool,
    here: (f64, f64),
    reference: (f64, f64),
    margin: Margin,
}

impl Question {
    fn asked(self, rule: &dyn DecisionRule, enough: f64) -> f64 {
        let events = |(bad, good)| Events { bad, good };
        let pace = |(count, seconds)| Pace { count, seconds };
        let (here, reference, margin) = (self.here, self.reference, self.margin);
        match (self.of_rates, self.above) {
            (false, true) => share_is_above(rule, events(here), events(reference), margin, enough),
            (false, false) => share_is_below(rule, events(here), events(reference), margin, enough),
            (true, true) => rate_is_above(rule, pace(here), pace(reference), margin, enough),
            (true, false) => rate_is_below(rule, pace(here), pace(reference), margin, enough),
        }
    }

    /// The hedged evidence of the reference and of the other sample for one `θ`.
    fn at(self, theta: f64) -> (f64, f64) {
        let bound = self.margin.bound(theta);
        let of_rate = |(count, seconds): (f64, f64), rate: f64, above: bool| match above {
            true => RULE.rate_is_above(rate * seconds, count),
            false => RULE.rate_is_below(rate * seconds, count),
        };
        let of_share = |(bad, good): (f64, f64), share: f64, above: bool| match above {
            true => RULE.ratio_is_above(share, bad, good),
            false => RULE.ratio_is_below(share, bad, good),
        };
        let (one, other) = if self.of_rates {
            (of_rate(self.reference, theta, !self.above), of_rate(self.here, bound, self.above))
        } else {
            (of_share(self.reference, theta, !self.above), of_share(self.here, bound, self.above))
        };
        (hedged(OF_REFERENCE, one), hedged(OF_OTHER, other))
    }

    fn last(self) -> f64 {
        if self.of_rates { 1e6 } else { 1.0 - 1e-9 }
    }

    fn is_possible(self, theta: f64) -> bool {
        let bound = self.margin.bound(theta);
        let possible = |at: f64| at > 0.0 && at <= self.last();
        possible(theta) && possible(bound)
    }

    /// What each sample shows, of the reference's side: between them the least is sought.
    fn ends(self) -> (f64, f64) {
        let shown = |(one, other): (f64, f64)| if self.of_rates { one / other } else { one / (one + other) };
        let turn = (shown(self.here) - self.margin.plus) / self.margin.factor;
        (shown(self.reference), turn.clamp(0.0, self.last()))
    }
}

fn questions() -> impl Strategy<Value = Question> {
    let sample = || (0u32..300, 1u32..6_000, 1.0f64..6.0);
    let counted =
        |(bad, good, dispersion): (u32, u32, f64)| (f64::from(bad) / dispersion, f64::from(good) / dispersion);
    (any::<(bool, bool)>(), sample(), sample(), 0.4f64..2.5, 0.0f64..0.05).prop_map(
        move |((of_rates, above), here, reference, factor, plus)| {
            let (here, reference) = (counted(here), counted(reference));
            // Requests in so many seconds, or bad ones and good ones.
            let seconds = |(one, other): (f64, f64)| (other, 1.0 + one);
            let (here, reference) = if of_rates { (seconds(here), seconds(reference)) } else { (here, reference) };
            Question { of_rates, above, here, reference, margin: Margin { factor, plus } }
        },
    )
}

/// The values of a `θ` on the way at each of a number of steps, by its square root.
fn least_on_the_way(question: Question, steps: u32) -> f64 {
    let (known, turn) = question.ends();
    let (mut from, mut to) = (known.sqrt(), turn.sqrt());
    let mut least = f64::INFINITY;
    for _ in 0..6 {
        let step = (to - from) / f64::from(steps);
        let mut best = (f64::INFINITY, from);
        for root in (0..=steps).map(|place| from + step * f64::from(place)) {
            let theta = root * root;
            let value = if question.is_possible(theta) { value(question.at(theta)) } else { f64::INFINITY };
            if value < best.0 {
                best = (value, root);
            }
        }
        least = least.min(best.0);
        let ends = (known.sqrt().min(turn.sqrt()), known.sqrt().max(turn.sqrt()));
        (from, to) = ((best.1 - step.abs()).max(ends.0), (best.1 + step.abs()).min(ends.1));
    }
    least
}

fn value((of_reference, of_other): (f64, f64)) -> f64 {
    of_reference + of_other
}

/// A rule that counts how often it is asked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn one_more<T>(&self, value: T) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        value
    }
}

impl DecisionRule for Counting {
    fn ratio_is_above(&self, bound: f64, bad: f64, good: f64) -> f64 {
        self.one_more(RULE.ratio_is_above(bound, bad, good))
    }

    fn ratio_is_below(&self, bound: f64, bad: f64, good: f64) -> f64 {
        self.one_more(RULE.ratio_is_below(bound, bad, good))
    }

    fn rate_is_below(&self, expected: f64, count: f64) -> f64 {
        self.one_more(RULE.rate_is_below(expected, count))
    }

    fn rate_is_above(&self, expected: f64, count: f64) -> f64 {
        self.one_more(RULE.rate_is_above(expected, count))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// What the bound rests on, for counts as they come and as they are deflated.
    #[test]
    fn the_evidence_is_monotone_and_convex(
        bad in 0u32..3_000, good in 0u32..30_000, dispersion in 1.0f64..20.0,
        one in 0.0f64..1.0, other in 0.0f64..1.0, part in 0.01f64..0.99,
    ) {
        let (bad, good) = (f64::from(bad) / dispersion, f64::from(good) / dispersion);
        let place = |at: f64| (at.powi(3)).clamp(1e-12, 1.0 - 1e-9);
        let (low, high) = (place(one.min(other)), place(one.max(other)));
        let middle = low + (high - low) * part;
        let part = (middle - low) / (high - low).max(1e-300);
        let mean = |low: f64, high: f64| low + (high - low) * part;
        let slack = |low: f64, high: f64| 1e-9 * (1.0 + low.abs().max(high.abs()));
        let shares = |above: bool| [low, middle, high].map(|at| match above {
            true => RULE.ratio_is_above(at, bad, good),
            false => RULE.ratio_is_below(at, bad, good),
        });
        let rates = |above: bool| [low, middle, high].map(|at| match above {
            true => RULE.rate_is_above(at * 1e4, bad),
            false => RULE.rate_is_below(at * 1e4, bad),
        });
        for (above, [first, between, last]) in
            [(true, shares(true)), (false, shares(false)), (true, rates(true)), (false, rates(false))]
        {
            let (slack, falls) = (slack(first, last), first >= last);
            prop_assert!(falls == above || (first - last).abs() <= slack, "{above}: {first} {last}");
            prop_assert!(between <= mean(first, last) + slack, "{above}: {first} {between} {last}");
            let (least, most) = (first.min(last), first.max(last));
            prop_assert!((least - slack..=most + slack).contains(&between), "{above}: {first} {between} {last}");
        }
    }

    #[test]
    fn no_theta_of_a_thousand_is_below_the_bound(question in questions(), seed in any::<u64>()) {
        let found = question.asked(&RULE, ALL);
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let (known, turn) = question.ends();
        for number in 0..1_000 {
            // Most of them on the way, some anywhere.
            let part: f64 = chance.random();
            let theta = if number % 4 == 0 { question.last() * part.powi(6) } else { known + (turn - known) * part };
            if question.is_possible(theta) {
                let value = value(question.at(theta));
                prop_assert!(found <= 0.0 || found <= value + 1e-9 * (1.0 + value), "{theta}: {found} {value}");
            }
        }
    }

    #[test]
    fn the_bound_is_as_good_as_a_fine_grid(question in questions()) {
        let found = question.asked(&RULE, ALL);
        let (known, turn) = question.ends();
        // No evidence is no number; and where the margin leads out of what can be, there is nothing to compare with.
        if found <= 0.0 || !question.is_possible(known.max(1e-12)) {
            return Ok(());
        }
        let beyond_known = OF_REFERENCE.ln() + question.at(known.max(1e-12)).1;
        let beyond_turn = if turn > 0.0 && turn < question.last() {
            question.at(turn).0 + OF_OTHER.ln()
        } else {
            f64::INFINITY
        };
        let grid = least_on_the_way(question, 200).min(beyond_known).min(beyond_turn);
        prop_assert!(found <= grid + 1e-8 && found >= grid - TOLERANCE - 1e-8, "{found} {grid}");
    }

    #[test]
    fn the_answer_is_on_the_right_side_and_soon(question in questions(), enough in 1.0f64..8.0) {
        let rule = Counting::default();
        let whole = question.asked(&rule, ALL);
        // Of the search of twelve points and four rounds before it there were 106, and no bound.
        prop_assert!(rule.count() <= 80);
        let found = question.asked(&rule, enough);
        prop_assert!(rule.count() <= 40);
        prop_assert!((found >= enough) == (whole >= enough) || (whole - enough).abs() <= TOLERANCE, "{found} {whole}");
    }
}
