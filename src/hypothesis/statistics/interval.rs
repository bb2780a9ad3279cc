//! Confidence sequences: what a test does not reject.
//!
//! Each bound is where a one-sided test of half of the error rate stops rejecting. As the tests are e-processes, the
//! truth lies within the interval at every moment at once with at least the stated probability, so that an interval may
//! be read while the run goes on (Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic
//! confidence sequences, Annals of Statistics 2021; duality of tests and intervals).

use super::{
    DecisionRule, Events, Margin, Pace, Ranked, quantile_is_above, quantile_is_below, rate_is_above, rate_is_below,
    share_is_above, share_is_below, threshold,
};

/// From `low` to `high`; infinite where nothing is known of that side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Nothing below it is compatible with what was seen.
    pub low: f64,
    /// Nothing above it is.
    pub high: f64,
}

/// Halvings: to one part in a million of the range.
const STEPS: u32 = 20;

/// The last number, going from a rejected one to one that is kept, that is still rejected, to the disadvantage of
/// nobody: the interval is never too short.
fn edge(mut rejected: f64, mut kept: f64, is_rejected: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..STEPS {
        let middle = f64::midpoint(rejected, kept);
        if is_rejected(middle) {
            rejected = middle;
        } else {
            kept = middle;
        }
        if (rejected - kept).abs() <= 1e-4 * rejected.abs() {
            break;
        }
    }
    rejected
}

/// The first of ever greater numbers that is rejected; none beyond a thousand million times the first.
fn rejected_above(kept: f64, unit: f64, is_rejected: impl Fn(f64) -> bool) -> Option<f64> {
    (0..30).map(|power| kept + unit * f64::from(1_u32 << power)).find(|number| is_rejected(*number))
}

impl Interval {
    /// Of a share of bad events.
    pub fn of_share(rule: &dyn DecisionRule, seen: Events, error_rate: f64) -> Option<Self> {
        let (share, needed) = (seen.share()?, threshold(error_rate / 2.0));
        let low = edge(0.0, share, |bound| rule.ratio_is_above(bound, seen.bad, seen.good) >= needed);
        let high = edge(1.0, share, |bound| rule.ratio_is_below(bound, seen.bad, seen.good) >= needed);
        Some(Self { low, high })
    }

    /// Of a rate, in events a second.
    pub fn of_rate(rule: &dyn DecisionRule, seen: Pace, error_rate: f64) -> Option<Self> {
        let (rate, needed) = (seen.rate()?, threshold(error_rate / 2.0));
        let low = edge(0.0, rate, |bound| rule.rate_is_above(bound * seen.seconds, seen.count) >= needed);
        let is_above = |bound: f64| rule.rate_is_below(bound * seen.seconds, seen.count) >= needed;
        let high = rejected_above(rate, 1.0 / seen.seconds, is_above)
            .map_or(f64::INFINITY, |rejected| edge(rejected, rate, is_above));
        Some(Self { low, high })
    }

    /// Of a quantile, in the unit of the values. Infinite above where events that lie beyond every value may be it.
    pub fn of_quantile(rule: &dyn DecisionRule, quantile: f64, seen: &Ranked, error_rate: f64) -> Option<Self> {
        let (all, over, needed) = (seen.total(), 1.0 - quantile, threshold(error_rate / 2.0));
        let known = seen.place_of(quantile).unwrap_or(seen.places());
        if all <= 0.0 {
            return None;
        }
        // The quantile is not below a value if too many events lie at or above that value for it.
        let low = (0..=known).rev().find(|place| {
            let bad = seen.at_or_above(*place);
            bad > over * all && rule.ratio_is_above(over, bad, all - bad) >= needed
        });
        let high = (known..seen.places()).find(|place| {
            let bad = seen.beyond_place(*place);
            bad < over * all && rule.ratio_is_below(over, bad, all - bad) >= needed
        });
        Some(Self {
            low: low.map_or(0.0, |place| seen.value(place)),
            high: high.map_or(f64::INFINITY, |place| seen.value(place)),
        })
    }

    /// Of the difference of two shares: that of `here` less the reference's.
    pub fn of_share_difference(
        rule: &dyn DecisionRule,
        here: Events,
        reference: Events,
        error_rate: f64,
    ) -> Option<Self> {
        let (difference, needed) = (here.share()? - reference.share()?, threshold(error_rate / 2.0));
        let margin = |plus: f64| Margin { factor: 1.0, plus };
        let low = edge(-1.0, difference, |plus| share_is_above(rule, here, reference, margin(plus), needed) >= needed);
        let high = edge(1.0, difference, |plus| share_is_below(rule, here, reference, margin(plus), needed) >= needed);
        Some(Self { low, high })
    }

    /// Of the quotient of two shares.
    pub fn of_share_ratio(rule: &dyn DecisionRule, here: Events, reference: Events, error_rate: f64) -> Option<Self> {
        let needed = threshold(error_rate / 2.0);
        let is_above = |factor| share_is_above(rule, here, reference, Margin { factor, plus: 0.0 }, needed) >= needed;
        let is_below = |factor| share_is_below(rule, here, reference, Margin { factor, plus: 0.0 }, needed) >= needed;
        Some(ratio(here.share()?, reference.share()?, is_above, is_below))
    }

    /// Of the quotient of two rates.
    pub fn of_rate_ratio(rule: &dyn DecisionRule, here: Pace, reference: Pace, error_rate: f64) -> Option<Self> {
        let needed = threshold(error_rate / 2.0);
        let is_above = |factor| rate_is_above(rule, here, reference, Margin { factor, plus: 0.0 }, needed) >= needed;
        let is_below = |factor| rate_is_below(rule, here, reference, Margin { factor, plus: 0.0 }, needed) >= needed;
        Some(ratio(here.rate()?, reference.rate()?, is_above, is_below))
    }

    /// Of the quotient of two quantiles.
    pub fn of_quantile_ratio(
        rule: &dyn DecisionRule,
        quantile: f64,
        here: &Ranked,
        reference: &Ranked,
        error_rate: f64,
    ) -> Option<Self> {
        let needed = threshold(error_rate / 2.0);
        let test = |test: fn(&dyn DecisionRule, f64, &Ranked, &Ranked, Margin, f64) -> f64, factor| {
            test(rule, quantile, here, reference, Margin { factor, plus: 0.0 }, needed) >= needed
        };
        let (known, of_reference) = (here.quantile(quantile)?, reference.quantile(quantile)?);
        if !(known.is_finite() && of_reference.is_finite()) {
            return None;
        }
        let is_above = |factor| test(quantile_is_above, factor);
        Some(ratio(known, of_reference, is_above, |factor| test(quantile_is_below, factor)))
    }

    /// Of the difference of two quantiles, in the unit of the values.
    pub fn of_quantile_difference(
        rule: &dyn DecisionRule,
        quantile: f64,
        here: &Ranked,
        reference: &Ranked,
        error_rate: f64,
    ) -> Option<Self> {
        let needed = threshold(error_rate / 2.0);
        let (known, of_reference) = (here.quantile(quantile)?, reference.quantile(quantile)?);
        if !(known.is_finite() && of_reference.is_finite()) {
            return None;
        }
        let margin = |plus| Margin { factor: 1.0, plus };
        let is_above = |plus| quantile_is_above(rule, quantile, here, reference, margin(plus), needed) >= needed;
        let is_below = |plus| quantile_is_below(rule, quantile, here, reference, margin(plus), needed) >= needed;
        let difference = known - of_reference;
        let low = if is_above(-of_reference) { edge(-of_reference, difference, is_above) } else { f64::NEG_INFINITY };
        let high = rejected_above(difference, known.max(of_reference) / 64.0, is_below)
            .map_or(f64::INFINITY, |rejected| edge(rejected, difference, is_below));
        Some(Self { low, high })
    }
}

/// The interval of a quotient.
fn ratio(here: f64, reference: f64, is_above: impl Fn(f64) -> bool, is_below: impl Fn(f64) -> bool) -> Interval {
    if reference <= 0.0 {
        return Interval { low: 0.0, high: f64::INFINITY };
    }
    let known = here / reference;
    let low = edge(0.0, known, |factor| factor > 0.0 && is_above(factor));
    let high = rejected_above(known, known.max(0.01) / 64.0, &is_below)
        .map_or(f64::INFINITY, |rejected| edge(rejected, known, is_below));
    Interval { low, high }
}
