//! Every kind of objective in every state: traffic, saturation, values, and what can never be judged.

use super::trial::{Trial, failing, missing, spec, with_objectives};
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::{Judge, Steady};
use crate::experiment::document::Resource;
use crate::signals::sample::Reading;

const PROBER: &str = "checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } }";
const COUNTERS: &str = "orders: { prometheus: { url: 'http://127.0.0.1:9090', bad: bad, total: total } }";
const HOST: &str = "db: { host: {} }";
const VALUE: &str = "queue: { prometheus: { url: 'http://127.0.0.1:9090', value: depth } }";

fn cpu(used: f64) -> Option<Reading> {
    Some(Reading::Host { saturation: vec![(Resource::Cpu, used)], numbers: Vec::new() })
}

fn counts(bad: f64, total: f64) -> Option<Reading> {
    Some(Reading::Counts { bad, total })
}

fn during(
    signals: &str,
    objective: &str,
    signal: &str,
    mut reading: impl FnMut(f64) -> Option<Reading>,
) -> ObjectiveVerdict {
    let mut trial = Trial::new(&with_objectives(signals, objective));
    trial.phase(Phase::During, (0, 60), signal, 1, |at, _| reading(at));
    trial.verdict(Phase::During)
}

#[test]
fn traffic_against_a_number() {
    let objective = "{ signal: checkout, traffic: { atLeast: 40/s } }";
    for (error, verdict) in [(0.0, Verdict::Held), (0.2, Verdict::Inconclusive), (0.6, Verdict::Violated)] {
        let mut trial = Trial::new(&with_objectives(PROBER, objective));
        trial.phase(Phase::During, (0, 60), "checkout", 50, failing(error));
        let judged = trial.verdict(Phase::During);
        assert_eq!(judged.verdict, verdict, "{error}: {}", judged.because);
    }
}

#[test]
fn traffic_against_the_baseline() {
    let objective = "{ signal: orders, traffic: { atLeast: 80%, of: baseline } }";
    for (part, verdict, text) in [
        (1.0, Verdict::Held, "90 good events/s over 30 s, 100% of the baseline's 90/s; at least 80% asked"),
        (
            0.8,
            Verdict::Inconclusive,
            "72 good events/s over 30 s, 80% of the baseline's 90/s; at least 80% asked; too near the bound for any wait to tell",
        ),
        (0.5, Verdict::Violated, "45 good events/s over 30 s, 50% of the baseline's 90/s; at least 80% asked"),
    ] {
        let mut trial = Trial::new(&with_objectives(COUNTERS, objective));
        trial.phase(Phase::Before, (0, 30), "orders", 1, |_, _| counts(0.0, 90.0));
        assert_eq!(trial.judge.is_steady(30.0), Steady::Yes, "the baseline is steady by itself");
        trial.phase(Phase::During, (30, 60), "orders", 1, |_, _| counts(0.0, 90.0 * part));
        let judged = trial.verdict(Phase::During);
        assert_eq!((judged.verdict, judged.because.as_str()), (verdict, text));
    }
}

#[test]
fn a_share_of_a_baseline_that_is_not_there_is_no_data() {
    let objective = "{ signal: orders, traffic: { atLeast: 80%, of: baseline } }";
    let judged = during(COUNTERS, objective, "orders", |_| counts(0.0, 90.0));
    assert_eq!(judged.verdict, Verdict::NoData, "no phase before");
    for before in [counts(0.0, 0.0), missing("connection refused"), None] {
        let mut trial = Trial::new(&with_objectives(COUNTERS, objective));
        trial.phase(Phase::Before, (0, 30), "orders", 1, |_, _| before.clone());
        trial.phase(Phase::During, (30, 60), "orders", 1, |_, _| counts(0.0, 90.0));
        assert_eq!(
            trial.verdicts(),
            [(Phase::Before, Verdict::NoData), (Phase::During, Verdict::NoData)],
            "{before:?}"
        );
    }
}

/// A source that could not be read for half of the time has not seen half of the traffic.
#[test]
fn missing_readings_are_not_missing_traffic() {
    let objective = "{ signal: orders, traffic: { atLeast: 80/s } }";
    let judged =
        during(COUNTERS, objective, "orders", |at| if at % 4.0 < 2.0 { counts(0.0, 90.0) } else { missing("timeout") });
    assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", judged.because);
}

#[test]
fn saturation_by_its_mean_and_by_its_longest_run() {
    let objective = "{ signal: db, saturation: { resource: cpu, below: 90% } }";
    let judge = |reading: &dyn Fn(f64) -> f64| during(HOST, objective, "db", |at| cpu(reading(at)));
    assert_eq!(judge(&|_| 0.4).verdict, Verdict::Held);
    assert_eq!(judge(&|_| 0.95).verdict, Verdict::Violated, "the mean");
    assert_eq!(judge(&|at| if at % 10.0 < 3.0 { 1.0 } else { 0.2 }).verdict, Verdict::Held, "busy for three seconds");
    let sustained = judge(&|at| if (20.0..31.0).contains(&at) { 1.0 } else { 0.1 });
    assert_eq!(sustained.verdict, Verdict::Violated, "busy for eleven seconds");
    insta::assert_snapshot!(sustained.because, @"on the wrong side of the bound (below 90%) from 20 s to 29 s of the run without a break; mean 26.5% over 60 readings");
    assert_eq!(sustained.error_rate, 0.0, "nothing is inferred");
}

#[test]
fn a_resource_that_the_reading_does_not_hold_is_missing() {
    let objective = "{ signal: db, saturation: { resource: io-pressure, below: 90% } }";
    let judged = during(HOST, objective, "db", |_| cpu(0.1));
    assert_eq!(judged.verdict, Verdict::NoData);
    insta::assert_snapshot!(judged.because, @"none of 60 readings of db could be taken (the reading holds nothing of this kind)");
}

#[test]
fn a_value_within_its_bounds() {
    let objective = "{ signal: queue, value: { below: 100, atLeast: 1 } }";
    let judge = |value: f64| during(VALUE, objective, "queue", move |_| Some(Reading::Value { value }));
    for (value, verdict) in
        [(50.0, Verdict::Held), (100.0, Verdict::Violated), (0.0, Verdict::Violated), (1.0, Verdict::Held)]
    {
        assert_eq!(judge(value).verdict, verdict, "{value}");
    }
    insta::assert_snapshot!(judge(50.0).reason(), @"queue: value below 100 and at least 1: mean 50 over 60 readings, within the bound: below 100 and at least 1");
    insta::assert_snapshot!(judge(0.0).reason(), @"queue: value below 100 and at least 1: on the wrong side of the bound (below 100 and at least 1) from 0 s to 9 s of the run without a break; mean 0 over 60 readings");
    assert_eq!(judge(f64::NAN).verdict, Verdict::NoData);
}

#[test]
fn two_readings_show_nothing() {
    let mut trial = Trial::new(&with_objectives(VALUE, "{ signal: queue, value: { below: 100 } }"));
    trial.phase(Phase::During, (0, 2), "queue", 1, |_, _| Some(Reading::Value { value: 5.0 }));
    assert_eq!(trial.verdict(Phase::During).verdict, Verdict::Inconclusive);
}

#[test]
fn what_could_never_be_judged_is_refused() {
    for (signals, objective, why) in [
        (PROBER, "{ signal: checkout, errors: { below: 0% } }", "above 0%"),
        (PROBER, "{ signal: checkout, errors: { below: 100% } }", "below 100%"),
        (PROBER, "{ signal: checkout, latency: { quantile: 1, below: 1s } }", "quantile"),
        (PROBER, "{ signal: checkout, latency: { quantile: 0.99, below: 0s } }", "above 0"),
        (PROBER, "{ signal: checkout }", "exactly one"),
        (PROBER, "{ signal: checkout, errors: { below: 1% }, traffic: { atLeast: 1/s } }", "exactly one"),
        (PROBER, "{ signal: other, errors: { below: 1% } }", "does not name"),
        (PROBER, "{ signal: checkout, traffic: { atLeast: 80% } }", "of: baseline"),
        (PROBER, "{ signal: checkout, traffic: { atLeast: 8/s, of: baseline } }", "leave out"),
        (PROBER, "{ signal: checkout, saturation: { resource: cpu, below: 9% } }", "host signal"),
        (PROBER, "{ signal: checkout, value: { below: 9 } }", "reads no value"),
        (COUNTERS, "{ signal: orders, latency: { quantile: 0.9, below: 1s } }", "no latency"),
        (VALUE, "{ signal: queue, errors: { below: 1% } }", "bad events"),
        (VALUE, "{ signal: queue, traffic: { atLeast: 1/s } }", "counts no events"),
        (VALUE, "{ signal: queue, value: {} }", "needs `below`"),
        (VALUE, "{ signal: queue, value: { below: 1, atLeast: 2 } }", "smaller"),
        (HOST, "{ signal: db, saturation: { resource: cpu, below: 0% } }", "more than 0%"),
    ] {
        let refused = Judge::new(&spec(&with_objectives(signals, objective))).expect_err(objective).to_string();
        assert!(refused.contains(why), "{objective}: {refused}");
    }
    let rate = with_objectives(PROBER, "{ signal: checkout, errors: { below: 1% } }") + "errorRate: 60%\n";
    assert!(Judge::new(&spec(&rate)).expect_err("60%").to_string().contains("at most at 50%"));
}
