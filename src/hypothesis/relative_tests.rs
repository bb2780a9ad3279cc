//! Objectives against the baseline and against a control, in every state.

use rand::RngExt;

use super::trial::{Trial, failing, missing, spec, with_objectives};
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::{Judge, Steady};
use crate::signals::sample::{Reading, Sample};

const TWO: &str = "shop: { http: { url: 'http://a/', rate: 50/s } }, spare: { http: { url: 'http://b/', rate: 50/s } }";
const COUNTERS: &str = "orders: { prometheus: { url: 'http://a/', bad: bad, total: total } }, \
                        spare: { prometheus: { url: 'http://b/', bad: bad, total: total } }";

/// A baseline of 60 s and a fault of 60 s on `shop`, with these probabilities of failure.
fn errors(objective: &str, before: f64, during: f64) -> Trial {
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    trial.phase(Phase::Before, (0, 60), "shop", 50, failing(before));
    trial.phase(Phase::During, (60, 120), "shop", 50, failing(during));
    trial
}

#[test]
fn errors_against_the_baseline() {
    let objective = "{ signal: shop, errors: { atMost: +1pp, of: baseline } }";
    for (before, during, verdict) in [
        (0.0, 0.0, Verdict::Held),
        (0.02, 0.02, Verdict::Inconclusive),
        (0.001, 0.001, Verdict::Held),
        (0.0, 0.01, Verdict::Inconclusive),
        (0.01, 0.06, Verdict::Violated),
        (0.0, 1.0, Verdict::Violated),
    ] {
        let trial = errors(objective, before, during);
        let judged = trial.verdict(Phase::During);
        assert_eq!(judged.verdict, verdict, "{before} {during}: {}", judged.because);
        let effect = judged.effect.expect("an effect");
        let (low, high) = (effect.low.expect("low"), effect.high.expect("high"));
        let truth = (during - before) * 100.0;
        assert!(low <= truth + 1e-9 && truth <= high + 1e-9, "{}", effect.text);
        assert_eq!((effect.reference_events, effect.confidence), (Some(3_000.0), 0.95));
        assert_eq!(trial.verdict(Phase::Before).verdict, Verdict::Held, "the baseline is what it is");
    }
    let judged = errors(objective, 0.01, 0.06).verdict(Phase::During);
    insta::assert_snapshot!(judged.reason(), @"shop: errors at most +1pp over the baseline: 177 of 3,000 requests failed: 5.9%, 0.867% of 3,000 in the baseline; at most +1pp asked; it began 0 s after the first injection, with 95% between 0 s and 2 s");
    assert_eq!(judged.measured_text, "5.9% of 3,000, 0.867% in the baseline");
    let effect = judged.effect.expect("an effect").text;
    assert!(effect.starts_with("errors +5.03pp over the baseline, with 95% from +"), "{effect}");
}

#[test]
fn a_percentage_of_no_errors_is_nothing() {
    let objective = "{ signal: shop, errors: { atMost: +50%, of: baseline } }";
    let judged = errors(objective, 0.0, 0.0).verdict(Phase::During);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(judged.because.contains("allow percentage points"), "{}", judged.because);
    let judged = errors(objective, 0.05, 0.2).verdict(Phase::During);
    assert_eq!(judged.verdict, Verdict::Violated);
    insta::assert_snapshot!(judged.effect.expect("an effect").text, @"errors +360% over the baseline, with 95% from +206% to +637%");
}

/// Requests that take 100 ms to 200 ms, times a factor.
fn slowed(trial: &mut Trial, phase: Phase, span: (u32, u32), factor: f64) {
    trial.phase(phase, span, "shop", 50, |_, chance| {
        let latency = 0.1 * (1.0 + chance.random::<f64>()) * factor;
        Some(Reading::Request { latency, failure: None })
    });
}

#[test]
fn latency_against_the_baseline() {
    for (allowed, factor, verdict) in [
        ("+20%", 1.0, Verdict::Held),
        ("+20%", 1.6, Verdict::Violated),
        ("+20%", 1.2, Verdict::Inconclusive),
        ("+40ms", 1.0, Verdict::Held),
        ("+40ms", 1.6, Verdict::Violated),
    ] {
        let objective = format!("{{ signal: shop, latency: {{ quantile: 0.9, atMost: {allowed}, of: baseline }} }}");
        let mut trial = Trial::new(&with_objectives(TWO, &objective));
        slowed(&mut trial, Phase::Before, (0, 60), 1.0);
        assert_eq!(trial.judge.is_steady(60.0), Steady::Yes);
        slowed(&mut trial, Phase::During, (60, 120), factor);
        let judged = trial.verdict(Phase::During);
        assert_eq!(judged.verdict, verdict, "{allowed} {factor}: {}", judged.because);
        let effect = judged.effect.expect("an effect");
        let truth = if allowed == "+20%" { (factor - 1.0) * 100.0 } else { 190.0 * (factor - 1.0) };
        let (low, high) = (effect.low.expect("low"), effect.high.expect("high"));
        assert!(low <= truth + 1.0 && truth <= high + 1.0, "{}", effect.text);
    }
    let objective = "{ signal: shop, latency: { quantile: 0.9, atMost: +20%, of: baseline } }";
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    slowed(&mut trial, Phase::Before, (0, 60), 1.0);
    slowed(&mut trial, Phase::During, (60, 120), 1.6);
    let judged = trial.verdict(Phase::During);
    insta::assert_snapshot!(judged.reason(), @"shop: p90 latency at most +20% over the baseline: p90 303 ms over 3,000 requests, 190 ms over 3,000 in the baseline; at most +20% asked");
    assert_eq!(judged.measured_text, "p90 303 ms, 190 ms in the baseline");
    let effect = judged.effect.expect("an effect").text;
    assert!(effect.starts_with("latency +59.5% over the baseline, with 95% from +"), "{effect}");
    // What fails has no latency, and is slower than any.
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    slowed(&mut trial, Phase::Before, (0, 60), 1.0);
    trial.phase(Phase::During, (60, 120), "shop", 50, failing(1.0));
    assert_eq!(trial.verdict(Phase::During).verdict, Verdict::Violated);
}

/// A fault of 60 s in which `shop` and its control fail with these probabilities.
fn beside(objective: &str, of_shop: f64, of_spare: impl FnMut(f64) -> Option<Reading>) -> ObjectiveVerdict {
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    trial.phase(Phase::During, (0, 60), "shop", 50, failing(of_shop));
    let mut of_spare = of_spare;
    trial.readings((0, 60), "spare", 50, |at, _| of_spare(at));
    trial.verdict(Phase::During)
}

#[test]
fn a_control_has_the_same_weather() {
    let objective = "{ signal: shop, errors: { atMost: +2pp, of: { control: spare } } }";
    // Both fail: it is not the fault. Every 20th request of the control, so without chance.
    let sick = |at: f64| {
        let failure = ((at * 50.0).round() % 20.0 == 0.0).then(|| "status 500".to_owned());
        Some(Reading::Request { latency: 0.02, failure })
    };
    let well = |_: f64| Some(Reading::Request { latency: 0.02, failure: None });
    let judged = beside(objective, 0.05, sick);
    assert_ne!(judged.verdict, Verdict::Violated, "{}", judged.because);
    let judged = beside(objective, 0.0, sick);
    assert_eq!(judged.verdict, Verdict::Held, "{}", judged.because);
    let judged = beside(objective, 0.08, well);
    assert_eq!(judged.verdict, Verdict::Violated, "{}", judged.because);
    insta::assert_snapshot!(judged.reason(), @"shop: errors at most +2pp over the control spare: 221 of 3,000 requests failed: 7.37%, 0% of 3,000 in the control spare; at most +2pp asked; it began 0 s after the first injection, with 95% between 0 s and 1 s");
}

#[test]
fn a_control_that_says_nothing_is_no_data() {
    let objective = "{ signal: shop, errors: { atMost: +2pp, of: { control: spare } } }";
    for nothing in [None, missing("connection refused")] {
        let judged = beside(objective, 0.0, |_| nothing.clone());
        assert_eq!(judged.verdict, Verdict::NoData, "{}", judged.because);
        assert!(judged.because.contains("the control spare"), "{}", judged.because);
    }
    let well = || Some(Reading::Request { latency: 0.02, failure: None });
    let judged = beside(objective, 0.0, |at| if at < 40.0 { well() } else { None });
    assert_eq!(judged.verdict, Verdict::NoData, "{}", judged.because);
    assert!(judged.because.contains("nothing came from the control spare for the last"), "{}", judged.because);
    let judged = beside(objective, 0.0, |at| if at % 10.0 >= 4.0 { well() } else { missing("timeout") });
    assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", judged.because);
    assert!(judged.because.contains("of the readings of the control spare are missing"), "{}", judged.because);
}

#[test]
fn traffic_against_a_control() {
    let objective = "{ signal: orders, traffic: { atLeast: 80%, of: { control: spare } } }";
    for (served, verdict) in [(95.0, Verdict::Held), (50.0, Verdict::Violated), (80.0, Verdict::Inconclusive)] {
        let mut trial = Trial::new(&with_objectives(COUNTERS, objective));
        trial.phase(Phase::During, (0, 60), "orders", 1, |_, _| Some(Reading::Counts { bad: 0.0, total: served }));
        trial.readings((0, 60), "spare", 1, |_, _| Some(Reading::Counts { bad: 0.0, total: 100.0 }));
        let judged = trial.verdict(Phase::During);
        assert_eq!(judged.verdict, verdict, "{served}: {}", judged.because);
        assert!(judged.because.contains("the control spare's"), "{}", judged.because);
    }
}

#[test]
fn what_could_never_be_compared_is_refused() {
    for (objective, why) in [
        ("{ signal: shop, errors: { atMost: +1pp } }", "`atMost` with `of`"),
        ("{ signal: shop, errors: { below: 1%, atMost: +1pp, of: baseline } }", "`atMost` with `of`"),
        ("{ signal: shop, errors: { below: 1%, of: baseline } }", "`atMost` with `of`"),
        ("{ signal: shop, errors: { atMost: +20ms, of: baseline } }", "errors are no time"),
        ("{ signal: shop, latency: { quantile: 0.9, atMost: +1pp, of: baseline } }", "no percentage"),
        ("{ signal: shop, errors: { atMost: +1pp, of: { control: shop } } }", "no control of itself"),
        ("{ signal: shop, errors: { atMost: +1pp, of: { control: other } } }", "does not name"),
    ] {
        let refused = Judge::new(&spec(&with_objectives(TWO, objective))).expect_err(objective).to_string();
        assert!(refused.contains(why), "{objective}: {refused}");
    }
    let guardrail = with_objectives(TWO, "{ signal: shop, errors: { below: 1% } }")
        + "guardrails: [ { signal: shop, errors: { atMost: +1pp, of: baseline } } ]\n";
    assert!(Judge::new(&spec(&guardrail)).expect_err("relative").to_string().contains("does not move"));
}

/// The verdicts do not depend on the order of the samples, be they of the signal or of its control.
#[test]
fn the_order_of_samples_changes_nothing() {
    use rand::seq::SliceRandom;
    let objectives = "{ signal: shop, errors: { atMost: +1pp, of: { control: spare } } }, \
                      { signal: shop, latency: { quantile: 0.9, atMost: +10%, of: baseline } }";
    let yaml = with_objectives(TWO, objectives);
    let mut chance = Trial::new(&yaml).chance;
    let mut samples = Vec::new();
    for tick in 0..6_000_u32 {
        for signal in ["shop", "spare"] {
            let failure = (chance.random::<f64>() < 0.03).then(|| "status 500".to_owned());
            let latency = 0.1 + chance.random::<f64>() / 10.0;
            let reading = Reading::Request { latency, failure };
            samples.push(Sample { signal: signal.into(), at: f64::from(tick) / 50.0, reading });
        }
    }
    let judged = |samples: &[Sample]| {
        let mut judge = Judge::new(&spec(&yaml)).expect("judged");
        judge.begin(Phase::Before, 0.0);
        judge.end(Phase::Before, 60.0);
        judge.begin(Phase::During, 60.0);
        judge.end(Phase::During, 120.0);
        samples.iter().for_each(|sample| judge.observe(sample));
        judge.verdicts()
    };
    let in_order = judged(&samples);
    assert!(in_order.iter().any(|verdict| verdict.phase == Phase::During && verdict.effect.is_some()));
    // Within a look's worth of time: samples that are ten minutes late are not of this run any more.
    for chunk in samples.chunks_mut(400) {
        chunk.shuffle(&mut chance);
    }
    assert_eq!(judged(&samples), in_order);
}

/// A service that is well on average and fails in bursts is not called broken for one more of them, and one that is
/// broken all the time still is.
#[test]
fn bursts_before_the_fault_weigh_against_sureness() {
    let objective = "{ signal: shop, errors: { below: 1% } }";
    // Two seconds in twenty in which a twentieth fails: half a percent on average.
    let bursts = |at: f64| {
        let failed = at % 20.0 < 2.0 && (at * 50.0).round() % 20.0 == 0.0;
        Some(Reading::Request { latency: 0.02, failure: failed.then(|| "status 500".to_owned()) })
    };
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    trial.phase(Phase::Before, (0, 120), "shop", 50, |at, _| bursts(at));
    trial.phase(Phase::During, (120, 240), "shop", 50, failing(0.2));
    let judged = trial.verdict(Phase::During);
    assert_eq!(judged.verdict, Verdict::Violated, "{}", judged.because);
    assert!(judged.because.contains("fails in bursts before the fault already"), "{}", judged.because);
    let mut trial = Trial::new(&with_objectives(TWO, objective));
    trial.phase(Phase::Before, (0, 120), "shop", 50, |at, _| bursts(at));
    trial.phase(Phase::During, (120, 126), "shop", 50, |at, _| bursts(at));
    let judged = trial.verdict(Phase::During);
    assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", judged.because);
}
