//! How much more data a decision needs, if what comes is like what came.

use super::{DecisionRule, threshold};

/// Beyond so many times the data seen, nobody waits.
const FARTHEST: f64 = 1_000_000.0;

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
    smallest(decided, 1e9).map(f64::ceil)
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
    smallest(decided, FARTHEST)
}

/// The smallest amount, to one part in a thousand, for which a condition that stays true once it is true is true.
fn smallest(holds: impl Fn(f64) -> bool, farthest: f64) -> Option<f64> {
    let mut high = 1.0;
    while !holds(high) {
        high *= 2.0;
        if high > farthest {
            return None;
        }
    }
    let mut low = high / 2.0;
    while high - low > high / 1_000.0 {
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
