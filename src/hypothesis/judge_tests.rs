//! The judge as a whole, over simulated runs.

use super::Steady;
use super::trial::{CHECKOUT, Trial, failing, missing, taking, with_objectives};
use super::verdict::{Phase, Verdict};
use crate::signals::sample::{Reading, Sample};

const LATENCY: &str = "{ signal: checkout, latency: { quantile: 0.99, below: 300ms } }";
const PROBER: &str = "checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } }";

#[test]
fn a_healthy_run_is_held_in_every_phase() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(0.0));
    assert_eq!(trial.judge.is_steady(30.0), Steady::Yes);
    trial.phase(Phase::During, (30, 60), "checkout", 50, failing(0.001));
    trial.phase(Phase::After, (60, 80), "checkout", 50, failing(0.0));
    assert_eq!(trial.judge.is_steady(80.0), Steady::Yes);
    assert_eq!(
        trial.verdicts(),
        [(Phase::Before, Verdict::Held), (Phase::During, Verdict::Held), (Phase::After, Verdict::Held)]
    );
    let during = trial.verdict(Phase::During);
    assert_eq!(during.events, 1_500.0);
    insta::assert_snapshot!(during.reason(), @"checkout: errors below 1%: 2 of 1,500 requests failed: 0.133%, below 1%");
}

#[test]
fn a_slow_dependency_violates_the_quantile_and_says_by_how_much() {
    let mut trial = Trial::new(&with_objectives(PROBER, LATENCY));
    trial.phase(Phase::Before, (0, 10), "checkout", 50, |_, _| taking(0.040));
    trial.phase(Phase::During, (10, 40), "checkout", 50, |at, _| taking(if at % 10.0 < 1.0 { 0.512 } else { 0.140 }));
    let during = trial.verdict(Phase::During);
    assert_eq!((during.verdict, during.measured, during.bad), (Verdict::Violated, Some(512.0), 150.0));
    insta::assert_snapshot!(during.measured_text, @"p99 512 ms");
    insta::assert_snapshot!(during.because, @"p99 512 ms, not below 300 ms; 1,500 requests, 150 slower: 10%, 1% allowed; it began 0 s after the first injection, with 95% between 0 s and 1 s");
}

#[test]
fn too_little_traffic_is_inconclusive_and_says_how_long_it_would_take() {
    let yaml = CHECKOUT.replace("50/s", "2/s");
    let mut trial = Trial::new(&yaml);
    trial.phase(Phase::Before, (0, 30), "checkout", 2, failing(0.0));
    let before = trial.verdict(Phase::Before);
    assert_eq!(before.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(before.because, @"0 of 60 requests failed: 0%, below 1%; needs about 159 s more at 2 requests/s");
    assert!(matches!(trial.judge.is_steady(30.0), Steady::NotYet(_)));
}

#[test]
fn a_sample_counts_where_it_started_however_late_it_comes() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 10), "checkout", 50, failing(0.0));
    trial.phase(Phase::During, (10, 20), "checkout", 50, failing(0.0));
    let late = |at: f64| Sample {
        signal: "checkout".into(),
        at,
        reading: Reading::Request { latency: 2.0, failure: Some("timed out".into()) },
    };
    for number in 0..40 {
        trial.judge.observe(&late(9.5 + f64::from(number) / 100.0));
    }
    assert_eq!(trial.verdict(Phase::Before).bad, 40.0);
    assert_eq!(trial.verdict(Phase::During).bad, 0.0);
}

/// The state machine may learn of a new phase a moment after its first sample has come.
#[test]
fn a_sample_that_comes_before_its_phase_is_announced_still_belongs_to_it() {
    let mut trial = Trial::new(CHECKOUT);
    trial.judge.begin(Phase::Before, 0.0);
    trial.readings((0, 12), "checkout", 50, failing(0.0));
    trial.judge.end(Phase::Before, 10.0);
    trial.judge.begin(Phase::During, 10.0);
    assert_eq!((trial.verdict(Phase::Before).events, trial.verdict(Phase::During).events), (500.0, 100.0));
}

#[test]
fn a_signal_that_falls_silent_is_no_data_from_then_on() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::During, (0, 60), "checkout", 50, |at, _| if at < 40.0 { taking(0.02) } else { None });
    let during = trial.verdict(Phase::During);
    assert_eq!(during.verdict, Verdict::NoData);
    insta::assert_snapshot!(during.because, @"nothing came from checkout for the last 20 s; until then: 0 of 2,000 requests failed: 0%, below 1%");
}

#[test]
fn missing_readings_are_neither_zero_nor_good() {
    for (share, verdict) in [(0.1, Verdict::Held), (0.4, Verdict::Inconclusive), (1.1, Verdict::NoData)] {
        let mut trial = Trial::new(CHECKOUT);
        trial.phase(Phase::During, (0, 60), "checkout", 50, |at, _| {
            if at % 1.0 < share { missing("connection refused") } else { taking(0.02) }
        });
        assert_eq!(trial.verdict(Phase::During).verdict, verdict, "{share}");
    }
}

#[test]
fn nothing_at_all_is_no_data() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, |_, _| None);
    assert_eq!(trial.verdict(Phase::Before).verdict, Verdict::NoData);
    assert!(matches!(trial.judge.is_steady(30.0), Steady::NotYet(_)));
}

#[test]
fn a_violation_says_when_it_began() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(0.0));
    // Well for 7 s under the fault, then broken: 3 in 10.
    let broken = |at: f64, _: &mut _| {
        let failure = (at >= 37.0 && (at * 50.0).round() % 10.0 < 3.0).then(|| "status 500".to_owned());
        Some(Reading::Request { latency: 0.02, failure })
    };
    trial.phase(Phase::During, (30, 90), "checkout", 50, broken);
    let during = trial.verdict(Phase::During);
    assert_eq!(during.verdict, Verdict::Violated);
    insta::assert_snapshot!(during.because, @"795 of 3,000 requests failed: 26.5%, not below 1%; it began 7 s after the first injection, with 95% between 7 s and 8 s");
}
