//! How much more data a decision needs, if what comes is like what came.

use super::{DecisionRule, threshold};

/// More events than anybody waits for.
const MOST_EVENTS: f64 = 5e6;

/// More seconds than anybody waits for: a week.
const MOST_SECONDS: f64 = 604_800.0;

/// How many events in all decide a ratio at this error rate when their share of bad ones stays at `share`.
///
/// Nothing when the share is too near the bound for any reasonable number.
pub fn events_to_decide(rule: &dyn DecisionRule, bound: f64, share: f64, error_rate: f64) -> Option<f64> {
    let needed = threshold(error_rate);
    let decided = |events: f64| {
        let (bad, good) = (events * share, events * (1.0 - share));
        let evidence =
            if share < bound { rule.ratio_is_below(bound, bad, good) } else { rule.ratio_is_above(bound, bad, good) };
        evidence >= needed
    };
    // No test decides with less than this: each event tells so much on average (Wald 1945), the relative entropy of the
    // share measured to the bound.
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    let told = part(share, bound) + part(1.0 - share, 1.0 - bound);
    smallest(decided, needed / told, MOST_EVENTS).map(f64::ceil)
}

/// How many seconds in all decide a rate at this error rate when events keep coming at `rate` a second.
pub fn seconds_to_decide(rule: &dyn DecisionRule, floor: f64, rate: f64, error_rate: f64) -> Option<f64> {
    let needed = threshold(error_rate);
    let decided = |seconds: f64| {
        let evidence = if rate > floor {
            rule.rate_is_above(floor * seconds, rate * seconds)
        } else {
            rule.rate_is_below(floor * seconds, rate * seconds)
        };
        evidence >= needed
    };
    let told = floor - rate + if rate > 0.0 { rate * (rate / floor).ln() } else { 0.0 };
    smallest(decided, needed / told, MOST_SECONDS.min(MOST_EVENTS / floor.max(rate)))
}

/// The smallest amount, to one part in two hundred, for which a condition is true that is false below `least` and stays
/// true once it is true.
fn smallest(holds: impl Fn(f64) -> bool, least: f64, most: f64) -> Option<f64> {
    if !(least > 0.0 && least < most) {
        return None;
    }
    let (mut low, mut high) = (least, least);
    while !holds(high) {
        low = high;
        high *= 1.5;
        if high > most {
            return None;
        }
    }
    while high - low > high / 200.0 {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::statistics::SequentialTest;

    #[test]
    fn tells_the_price_of_a_proof() {
        // A fixed sample would need ln(0.05) / ln(0.99) = 299 good requests; looking at every moment costs 79 more.
        let events = events_to_decide(&SequentialTest, 0.01, 0.0, 0.05).expect("decided");
        assert!((376.0..=379.0).contains(&events), "{events}");
        let events = events_to_decide(&SequentialTest, 0.001, 0.0, 0.01).expect("decided");
        assert!((5_500.0..=5_700.0).contains(&events), "{events}");
        assert_eq!(events_to_decide(&SequentialTest, 0.01, 0.01, 0.05), None);
    }

    #[test]
    fn tells_how_long_a_rate_takes() {
        let seconds = seconds_to_decide(&SequentialTest, 40.0, 50.0, 0.05).expect("decided");
        assert!((1.0..=10.0).contains(&seconds), "{seconds}");
        assert_eq!(seconds_to_decide(&SequentialTest, 50.0, 50.0, 0.05), None);
    }
}
