//! How much more data a decision needs, if what comes is like what came.

use super::{DecisionRule, Events, Margin, Pace, Ranked, quantile_is_below, rate_is_above, share_is_below, threshold};

/// More events than anybody waits for.
const MOST_EVENTS: f64 = 5e6;

/// Fewer events of each show nothing of two samples.
const FEWEST_EVENTS: f64 = 2.0;

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

/// How many events each of two samples needs until the one is shown to be at most the other with its margin, if their
/// shares of bad events stay as they are. Nothing where no reasonable number shows it.
pub fn events_to_compare_shares(
    rule: &dyn DecisionRule,
    here: f64,
    reference: f64,
    margin: Margin,
    error_rate: f64,
) -> Option<f64> {
    let needed = threshold(error_rate);
    let sample = |events: f64, share: f64| Events { bad: events * share, good: events * (1.0 - share) };
    let shown =
        |events: f64| share_is_below(rule, sample(events, here), sample(events, reference), margin, needed) >= needed;
    smallest(shown, FEWEST_EVENTS, MOST_EVENTS).map(f64::ceil)
}

/// How many events each of two samples needs at least until a quantile of the one is shown to be at most the other's with
/// its margin: if all latencies are alike, which is the easiest case. Nothing where no reasonable number shows it.
pub fn events_to_compare_quantiles(
    rule: &dyn DecisionRule,
    quantile: f64,
    margin: Margin,
    error_rate: f64,
) -> Option<f64> {
    let shown = |events: f64| quantiles_are_shown(rule, quantile, events, events, margin, error_rate);
    smallest(shown, FEWEST_EVENTS, MOST_EVENTS).map(f64::ceil)
}

/// How many events each of two samples needs until a quantile of the one is shown to be at most the other's with its
/// margin, if the latencies of both are spread as those of a third. Nothing where no reasonable number shows it.
pub fn events_to_compare_quantiles_like(
    rule: &dyn DecisionRule,
    quantile: f64,
    like: &Ranked,
    margin: Margin,
    error_rate: f64,
) -> Option<f64> {
    let needed = threshold(error_rate);
    let shown = |events: f64| {
        let sample = like.of_size(events);
        quantile_is_below(rule, quantile, &sample, &sample, margin, needed) >= needed
    };
    (like.total() > 0.0).then(|| smallest(shown, FEWEST_EVENTS, MOST_EVENTS)).flatten().map(f64::ceil)
}

/// Whether so many events of each sample, all alike, show that a quantile is at most the reference's with its margin.
pub fn quantiles_are_shown(
    rule: &dyn DecisionRule,
    quantile: f64,
    here: f64,
    reference: f64,
    margin: Margin,
    error_rate: f64,
) -> bool {
    let needed = threshold(error_rate);
    // So large that a margin in seconds is small beside it.
    let latency = 1.0 + 10.0 * margin.plus;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some millions")]
    let alike = |events: f64| Ranked::new([(latency, events as u64)], 0);
    quantile_is_below(rule, quantile, &alike(here), &alike(reference), margin, needed) >= needed
}

/// How many seconds each of two samples needs until the one is shown to come at least at the other's rate with its margin,
/// if both keep coming at `rate` a second.
pub fn seconds_to_compare_rates(rule: &dyn DecisionRule, rate: f64, margin: Margin, error_rate: f64) -> Option<f64> {
    let needed = threshold(error_rate);
    let shown = |seconds: f64| {
        let pace = Pace { count: rate * seconds, seconds };
        rate_is_above(rule, pace, pace, margin, needed) >= needed
    };
    (rate > 0.0).then(|| smallest(shown, 1.0 / rate, MOST_SECONDS.min(MOST_EVENTS / rate))).flatten()
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
    fn tells_the_price_of_a_comparison() {
        let points = Margin { factor: 1.0, plus: 0.01 };
        let best = events_to_compare_shares(&SequentialTest, 0.0, 0.0, points, 0.05).expect("shown");
        // More than against a number, since the reference is not known either.
        assert!((380.0..=700.0).contains(&best), "{best}");
        let sick = events_to_compare_shares(&SequentialTest, 0.005, 0.005, points, 0.05).expect("shown");
        assert!(sick > 2.0 * best, "{sick}");
        assert_eq!(events_to_compare_shares(&SequentialTest, 0.03, 0.0, points, 0.05), None);
        let p90 = events_to_compare_quantiles(&SequentialTest, 0.9, Margin { factor: 1.2, plus: 0.0 }, 0.05);
        let p99 = events_to_compare_quantiles(&SequentialTest, 0.99, Margin { factor: 1.0, plus: 0.02 }, 0.05);
        let (p90, p99) = (p90.expect("shown"), p99.expect("shown"));
        assert!(p90 > 30.0 && p99 > 5.0 * p90, "{p90} {p99}");
        assert!(quantiles_are_shown(&SequentialTest, 0.9, p90, p90, Margin { factor: 1.2, plus: 0.0 }, 0.05));
        let rates = seconds_to_compare_rates(&SequentialTest, 20.0, Margin { factor: 0.8, plus: 0.0 }, 0.05);
        assert!(rates.is_some_and(|seconds| (5.0..=60.0).contains(&seconds)), "{rates:?}");
    }

    #[test]
    fn tells_how_long_a_rate_takes() {
        let seconds = seconds_to_decide(&SequentialTest, 40.0, 50.0, 0.05).expect("decided");
        assert!((1.0..=10.0).contains(&seconds), "{seconds}");
        assert_eq!(seconds_to_decide(&SequentialTest, 50.0, 50.0, 0.05), None);
    }
}
