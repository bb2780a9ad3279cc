//! Burn-rate guardrails and the hard cap over simulated runs.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::trial::Trial;
use super::verdict::{ObjectiveVerdict, Phase};
use crate::run::journal::{Entry, Event};
use crate::signals::sample::{Reading, Sample};
use crate::slo::budget::BudgetState;

/// A target of 99.9%; 1% of the budget of 30 days within 5 minutes is a burn rate of 86.4: 8.64% of bad events.
fn document(error_rate: &str) -> String {
    format!(
        r"
hypothesis: checkout is well
signals: {{ shop: {{ prometheus: {{ url: 'http://127.0.0.1/', bad: bad, total: all }} }} }}
slos: {{ shop: {{ define: {{ service: shop, target: 99.9%, window: 30d, bad: bad, total: all }} }} }}
budget: {{ slo: shop, allowance: 1% }}
steadyState: [ {{ signal: shop, errors: {{ below: 50% }} }} ]
guardrails:
  - signal: shop
    slo: shop
    errors: {{ below: 8.64% }}
    burnRate: {{ allowance: 1%, over: 5m, minimumEvents: 20 }}
method: [ observe: 30s ]
errorRate: {error_rate}
"
    )
}

/// A second of traffic, of which each request fails with a probability.
fn traffic(per_second: u32, failing: f64) -> impl FnMut(f64, &mut ChaCha8Rng) -> Reading {
    move |_, chance| {
        let bad = (0..per_second).filter(|_| chance.random::<f64>() < failing).count();
        #[expect(clippy::cast_precision_loss, reason = "at most a few hundred")]
        let bad = bad as f64;
        Reading::Counts { bad, total: f64::from(per_second) }
    }
}

/// A fault that begins after 10 s and in which each second reads so; when it breaches, if it does.
fn breached(
    trial: &mut Trial,
    seconds: u32,
    mut reading: impl FnMut(f64, &mut ChaCha8Rng) -> Reading,
) -> Option<(u32, ObjectiveVerdict)> {
    trial.phase(Phase::Before, (0, 10), "shop", 1, |_, _| Some(Reading::Counts { bad: 0.0, total: 20.0 }));
    trial.judge.begin(Phase::During, 10.0);
    for second in 10..10 + seconds {
        let at = f64::from(second);
        let reading = reading(at, &mut trial.chance);
        trial.judge.observe(&Sample { signal: "shop".into(), at, reading });
        if let Some(breach) = trial.judge.breach(at + 0.1) {
            return Some((second - 10, breach));
        }
    }
    None
}

fn allow(trial: &mut Trial, allowance: f64) {
    let state: BudgetState = serde_json::from_value(serde_json::json!({
        "slo": "shop", "service": "shop", "window": "30d", "events": 1e6, "budget": 100.0 * allowance, "spent": 0.0,
        "allowance": allowance,
    }))
    .unwrap();
    trial.judge.follow(&Entry { at: 0.5, event: Event::Budget(Box::new(state)) });
}

#[test]
fn a_budget_that_burns_too_fast_is_seen_within_seconds() {
    let mut trial = Trial::new(&document("5%"));
    let (after, breach) = breached(&mut trial, 300, traffic(50, 0.5)).expect("a breach");
    assert!(after <= 8, "{after} s");
    insta::assert_snapshot!(breach.reason(), @"shop: burns at most 1% of its error budget in 5m: 129 of 250 events in the last 4.1 s failed, and 129 of 250 in the last 4.1 s: 8.64% allowed, or all of the allowance is spent in 300 s");
}

#[test]
fn a_slow_burn_is_seen_and_one_that_is_over_is_not() {
    let mut trial = Trial::new(&document("5%"));
    let slow = breached(&mut trial, 300, traffic(50, 0.2)).expect("a breach").0;
    assert!(slow < 60, "{slow} s");
    // Two bad events of few, then quiet: below the minimum at first, and the short window is well again by then.
    let mut trial = Trial::new(&document("5%"));
    let blip = |at: f64, _: &mut ChaCha8Rng| Reading::Counts { bad: if at < 12.0 { 1.0 } else { 0.0 }, total: 1.0 };
    assert_eq!(breached(&mut trial, 300, blip), None);
}

/// Runs of 5 minutes that burn at the very rate that is allowed (8.64% bad), at little and at much traffic, with an
/// error rate of 20% for the document; the guardrail has a quarter of it. And at twice the target nothing is ever seen.
#[test]
fn false_alarms_stay_below_the_error_rate_and_are_none_in_healthy_runs() {
    for (per_second, runs) in [(1, 100), (20, 40)] {
        let alarms = |failing: f64| {
            (0..runs)
                .filter(|seed| {
                    let mut trial = Trial::seeded(&document("20%"), *seed);
                    breached(&mut trial, 300, traffic(per_second, failing)).is_some()
                })
                .count()
        };
        let at_the_limit = alarms(0.0864);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let share = at_the_limit as f64 / runs as f64;
        assert!(share <= 0.05, "{per_second}/s: {at_the_limit} of {runs}");
        assert_eq!(alarms(0.002), 0, "{per_second}/s");
    }
}

#[test]
fn the_allowance_is_a_hard_cap_on_what_is_bad_since_the_fault() {
    let mut trial = Trial::new(&document("5%"));
    allow(&mut trial, 10.0);
    // 0.5% of bad events is far below the burn rate; a tenth of an event a second.
    let drop = |_: f64, _: &mut ChaCha8Rng| Reading::Counts { bad: 0.1, total: 20.0 };
    let (after, breach) = breached(&mut trial, 300, drop).expect("a breach");
    assert_eq!(after, 99);
    insta::assert_snapshot!(breach.reason(), @"shop: spends at most 1% of the 30d budget of shop: 10 bad events since the fault, and 10 were allowed");
    // Without what was read before the run there is no cap, and what was bad before the fault does not count.
    assert_eq!(breached(&mut Trial::new(&document("5%")), 300, drop), None);
    let mut trial = Trial::new(&document("5%"));
    allow(&mut trial, 1.0);
    trial.judge.observe(&Sample { signal: "shop".into(), at: 5.0, reading: Reading::Counts { bad: 5.0, total: 20.0 } });
    assert_eq!(breached(&mut trial, 300, |_, _| Reading::Counts { bad: 0.0, total: 20.0 }), None);
}

proptest::proptest! {
    /// More bad events never take a breach back.
    #[test]
    fn more_bad_events_never_turn_a_breach_into_none(seed in 0u64..1000, more in 0u32..20) {
        let when = |extra: f64| {
            let mut plain = traffic(20, 0.15);
            let mut trial = Trial::seeded(&document("5%"), seed);
            breached(&mut trial, 30, |at, chance| match plain(at, chance) {
                Reading::Counts { bad, total } => Reading::Counts { bad: (bad + extra).min(total), total },
                other => other,
            })
            .map(|(after, _)| after)
        };
        let (few, many) = (when(0.0), when(f64::from(more)));
        proptest::prop_assert!(few.is_none() || many.is_some_and(|many| Some(many) <= few), "{few:?} {many:?}");
    }
}
