//! The decision rule: how much the counts of a phase say for or against a bound.
//!
//! The rest of the judge asks through one seam, [`DecisionRule`], and gets *e-values*: numbers that grow when the data
//! contradict a claim, and whose average is at most 1 as long as the claim is true. By Ville's inequality an e-process
//! passes `1 / α` at any time whatever with a probability of at most `α`, so one may look after every sample and stop
//! when the answer is clear, at no cost (Ramdas, Grünwald, Vovk, Shafer: Game-theoretic statistics and safe
//! anytime-valid inference, Statistical Science 2023). They are given as natural logarithms throughout, since their
//! tails leave the range of an `f64` after a few hundred requests.
//!
//! How often each rule errs and how soon it answers is simulated by `cargo bench --bench error_rates`; the numbers are in
//! `docs/error-rates.md`.

mod beta_tail;
mod change_point;
mod comparison;
#[cfg(test)]
mod comparison_tests;
mod continued_fraction;
mod dispersion;
mod evidence;
mod fitness;
mod gamma_tail;
mod interval;
mod least;
mod planning;
mod quantile;
mod ranked;
mod sequential;
mod shift;
#[cfg(test)]
mod simulation;

pub use change_point::{Change, got_worse};
pub use comparison::{Events, Margin, Pace, rate_is_above, rate_is_below, share_is_above, share_is_below};
pub use dispersion::{Block, Dispersion};
pub use evidence::{averaged, multiplied};
pub use fitness::{FEWEST_BAD, Unfit, unfit};
pub use interval::Interval;
pub use planning::{
    events_to_compare_quantiles, events_to_compare_quantiles_like, events_to_compare_shares, events_to_decide,
    quantiles_are_shown, seconds_to_compare_rates, seconds_to_decide,
};
pub use quantile::{quantile_is_above, quantile_is_below};
pub use ranked::Ranked;
pub use sequential::SequentialTest;
pub use shift::{Shift, block_length, shift};

/// What may decide whether a bound holds. All numbers are sums over the events seen so far.
pub trait DecisionRule: std::fmt::Debug + Send + Sync {
    /// The logarithm of the e-value against "the probability of a bad event is at most `bound`".
    ///
    /// `bound` lies above 0 and below 1; `bad` and `good` are counts of events, not negative.
    fn ratio_is_above(&self, bound: f64, bad: f64, good: f64) -> f64;

    /// The logarithm of the e-value against "the probability of a bad event is at least `bound`".
    fn ratio_is_below(&self, bound: f64, bad: f64, good: f64) -> f64;

    /// The logarithm of the e-value against "events come at least at the rate of the bound".
    ///
    /// `expected` is how many would have come at exactly that rate, `count` how many came.
    fn rate_is_below(&self, expected: f64, count: f64) -> f64;

    /// The logarithm of the e-value against "events come at most at the rate of the bound".
    fn rate_is_above(&self, expected: f64, count: f64) -> f64;

    /// Whether [`ratio_is_above`](Self::ratio_is_above) comes to at least `needed`. A rule may find that sooner than the
    /// e-value itself, and must never find anything else; so for the three others.
    fn ratio_is_shown_above(&self, bound: f64, bad: f64, good: f64, needed: f64) -> bool {
        self.ratio_is_above(bound, bad, good) >= needed
    }

    /// Whether [`ratio_is_below`](Self::ratio_is_below) comes to at least `needed`.
    fn ratio_is_shown_below(&self, bound: f64, bad: f64, good: f64, needed: f64) -> bool {
        self.ratio_is_below(bound, bad, good) >= needed
    }

    /// Whether [`rate_is_below`](Self::rate_is_below) comes to at least `needed`.
    fn rate_is_shown_below(&self, expected: f64, count: f64, needed: f64) -> bool {
        self.rate_is_below(expected, count) >= needed
    }

    /// Whether [`rate_is_above`](Self::rate_is_above) comes to at least `needed`.
    fn rate_is_shown_above(&self, expected: f64, count: f64, needed: f64) -> bool {
        self.rate_is_above(expected, count) >= needed
    }
}

/// The logarithm of an e-value that rejects at an error rate between 0 and 1 (Ville).
pub fn threshold(error_rate: f64) -> f64 {
    -error_rate.ln()
}

/// `ln(1 - e^v)` for `v <= 0`, without cancellation (Mächler 2012, *Accurately computing log(1 - exp(-|a|))*).
fn ln_one_minus_exp(v: f64) -> f64 {
    if v > -std::f64::consts::LN_2 { (-v.exp_m1()).ln() } else { (-v.exp()).ln_1p() }
}
