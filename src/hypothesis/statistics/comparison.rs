//! Two samples: what is seen during a fault against the baseline, or against untouched replicas beside it.
//!
//! # The theorem
//! Let `θ` be what is not known of the reference: its share of bad events, its rate, or its quantile. The null says that
//! the other sample lies on one side of `g(θ)`, the reference with its margin. Let `E₀(θ)` be a test supermartingale of
//! the reference sample when `θ` is the truth, and `E₁(g(θ))` one of the other sample when it lies on the null's side of
//! `g(θ)`. Each event moves one of the two, so that their product is a test supermartingale too, in whatever order the
//! events of the two samples come: a reference that ended before the first event of the other, and one that grows
//! beside it, are alike. The true `θ` is one of all, hence
//!
//! `E = inf over θ of E₀(θ) · E₁(g(θ))`
//!
//! is never above a test supermartingale: an e-process of the composite null, and by Ville's inequality it ever passes
//! `1 / α` with a probability of at most `α` (Ramdas, Ruf, Larsson, Koolen: Testing exchangeability: fork-convexity,
//! supermartingales and e-processes, 2022; Wasserman, Ramdas, Balakrishnan: Universal inference, PNAS 2020). One need
//! not know when it is looked at, nor when the baseline ended and why.
//!
//! `E₀` and `E₁` are the mixtures of the [`DecisionRule`], each on the side that helps. Both are hedged: `w + (1 - w) E`
//! is the average of `E` and of the constant 1, hence valid. It costs next to nothing where `E` is large, and where a
//! sample says nothing (a baseline without a single error) it costs `ln 1/w` instead of the whole price of its mixture.
//!
//! How the infimum is found and never overstated is told in [`least`](super::least).
//!
//! The null is wider than "two constant probabilities": it holds whenever some `θ` lies on the one side of every event of
//! the reference while `g(θ)` lies on the other side of every event of the other sample.

use super::DecisionRule;
use super::least::Search;

/// What is allowed over the reference: `reference × factor + plus`. Of a share `plus` is from 0 to 1, of a rate in events
/// a second, of a quantile in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// By what the reference is multiplied; above 0.
    pub factor: f64,
    /// What is added to it then.
    pub plus: f64,
}

impl Margin {
    /// The bound that belongs to a reference.
    pub fn bound(self, reference: f64) -> f64 {
        reference * self.factor + self.plus
    }

    /// The reference to which a bound belongs.
    fn reference(self, bound: f64) -> f64 {
        (bound - self.plus) / self.factor
    }
}

/// Bad and good events of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Events {
    /// Bad ones.
    pub bad: f64,
    /// Good ones.
    pub good: f64,
}

impl Events {
    /// The share of bad ones, where there are any at all.
    pub fn share(self) -> Option<f64> {
        let total = self.bad + self.good;
        (total > 0.0).then(|| self.bad / total)
    }
}

/// Events of one sample and the time in which they came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How many.
    pub count: f64,
    /// In so many seconds.
    pub seconds: f64,
}

impl Pace {
    /// Events a second, where any time passed.
    pub fn rate(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.count / self.seconds)
    }
}

/// The hedge of the reference: it may say nothing at all.
pub(super) const OF_REFERENCE: f64 = 0.5;
/// The hedge of the other sample, on which the answer must rest.
pub(super) const OF_OTHER: f64 = 0.125;

/// Nearer to 0 or to 1 a share is not told from it.
const EDGE: f64 = 1e-12;

/// The logarithm of the e-value against "the share of bad events is at most the reference's with its margin", as far as
/// it matters: once it is known on which side of `enough` it lies, some number on that side is the answer. With an
/// `enough` of negative infinity it is the number itself, to a millionth and never more than it.
pub fn share_is_above(rule: &dyn DecisionRule, here: Events, reference: Events, margin: Margin, enough: f64) -> f64 {
    let (Some(share), Some(of_reference)) = (here.share(), reference.share()) else { return 0.0 };
    if share <= margin.bound(of_reference) {
        return 0.0;
    }
    let turn = margin.reference(share);
    let last = turn.min(1.0 - EDGE);
    // Below the one at which the margin leads to less than nothing there is only the hedge.
    let known = of_reference.max(EDGE).max(margin.reference(EDGE)).min(last);
    let search = Search { known, turn: last, end: (turn >= 1.0 - EDGE).then_some(1.0), enough };
    search.least(
        |at| rule.ratio_is_below(at, reference.bad, reference.good),
        |at| match margin.bound(at) {
            bound if bound >= 1.0 => 0.0,
            bound => rule.ratio_is_above(bound.max(EDGE), here.bad, here.good),
        },
    )
}

/// The logarithm of the e-value against "the share of bad events is at least the reference's with its margin"; `enough`
/// as in [`share_is_above`].
pub fn share_is_below(rule: &dyn DecisionRule, here: Events, reference: Events, margin: Margin, enough: f64) -> f64 {
    let (Some(share), Some(of_reference)) = (here.share(), reference.share()) else { return 0.0 };
    if share >= margin.bound(of_reference) {
        return 0.0;
    }
    let turn = margin.reference(share);
    let last = turn.max(EDGE);
    let known = of_reference.min(1.0 - EDGE).min(margin.reference(1.0 - EDGE)).max(last);
    let search = Search { known, turn: last, end: (turn <= EDGE).then_some(0.0), enough };
    search.least(
        |at| rule.ratio_is_above(at, reference.bad, reference.good),
        |at| match margin.bound(at) {
            bound if bound <= 0.0 => 0.0,
            bound => rule.ratio_is_below(bound.min(1.0 - EDGE), here.bad, here.good),
        },
    )
}

/// The logarithm of the e-value against "events come at most at the reference's rate with its margin"; `enough` as in
/// [`share_is_above`].
pub fn rate_is_above(rule: &dyn DecisionRule, here: Pace, reference: Pace, margin: Margin, enough: f64) -> f64 {
    let (Some(rate), Some(of_reference)) = (here.rate(), reference.rate()) else { return 0.0 };
    if rate <= margin.bound(of_reference) {
        return 0.0;
    }
    let turn = margin.reference(rate);
    let known = of_reference.max(margin.reference(EDGE)).min(turn);
    let search = Search { known, turn, end: None, enough };
    search.least(
        |at| rule.rate_is_below(at * reference.seconds, reference.count),
        |at| rule.rate_is_above(margin.bound(at).max(EDGE) * here.seconds, here.count),
    )
}

/// The logarithm of the e-value against "events come at least at the reference's rate with its margin"; `enough` as in
/// [`share_is_above`].
pub fn rate_is_below(rule: &dyn DecisionRule, here: Pace, reference: Pace, margin: Margin, enough: f64) -> f64 {
    let (Some(rate), Some(of_reference)) = (here.rate(), reference.rate()) else { return 0.0 };
    if rate >= margin.bound(of_reference) {
        return 0.0;
    }
    let turn = margin.reference(rate);
    let search = Search { known: of_reference, turn: turn.max(0.0), end: (turn < 0.0).then_some(0.0), enough };
    search.least(
        |at| rule.rate_is_above(at * reference.seconds, reference.count),
        |at| rule.rate_is_below(margin.bound(at).max(EDGE) * here.seconds, here.count),
    )
}

/// The logarithm of `w + (1 - w) e^value`.
pub(super) fn hedged(weight: f64, value: f64) -> f64 {
    let (constant, other) = (weight.ln(), (-weight).ln_1p() + value);
    let greater = constant.max(other);
    greater + ((constant - greater).exp() + (other - greater).exp()).ln()
}
