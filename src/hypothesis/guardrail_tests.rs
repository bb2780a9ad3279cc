//! Guardrails over simulated runs: what trips them, how soon, and what does not.

use super::trial::{CHECKOUT, Trial, failing, missing, taking, with_objectives};
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use crate::signals::sample::{Reading, Sample};

/// Runs a guardrail over readings that come at an even pace, looking ten times a second, until it is breached.
fn first_breach(
    trial: &mut Trial,
    signal: &str,
    span: (u32, u32),
    per_second: u32,
    mut reading: impl FnMut(f64, &mut rand_chacha::ChaCha8Rng) -> Option<Reading>,
) -> Option<(f64, ObjectiveVerdict)> {
    let mut looked = f64::from(span.0);
    for tick in span.0 * per_second..span.1 * per_second {
        let at = f64::from(tick) / f64::from(per_second);
        while at - looked >= 0.1 {
            looked += 0.1;
            if let Some(breach) = trial.judge.breach(looked) {
                return Some((looked, breach));
            }
        }
        if let Some(reading) = reading(at, &mut trial.chance) {
            trial.judge.observe(&Sample { signal: signal.into(), at, reading });
        }
    }
    trial.judge.breach(f64::from(span.1)).map(|breach| (f64::from(span.1), breach))
}

/// A run that was well for so many seconds, now with a fault.
fn after_a_good_baseline(yaml: &str, seconds: u32, seed: u64) -> Trial {
    let mut trial = Trial::seeded(yaml, seed);
    trial.phase(Phase::Before, (0, seconds), "checkout", 50, failing(0.0));
    trial.judge.begin(Phase::During, f64::from(seconds));
    trial
}

#[test]
fn an_outage_is_caught_within_a_second_however_long_all_was_well() {
    for well in [10, 120, 900] {
        let mut trial = after_a_good_baseline(CHECKOUT, well, 7);
        assert_eq!(first_breach(&mut trial, "checkout", (well, well + 40), 50, failing(0.0)), None);
        let from = well + 40;
        let (at, breach) = first_breach(&mut trial, "checkout", (from, from + 5), 50, failing(1.0)).expect("a breach");
        assert!(at - f64::from(from) < 1.05, "after {} s", at - f64::from(from));
        assert_eq!((breach.verdict, breach.phase), (Verdict::Violated, Phase::During));
    }
}

#[test]
fn a_breach_says_what_was_seen() {
    let mut trial = after_a_good_baseline(CHECKOUT, 20, 7);
    let (_, breach) = first_breach(&mut trial, "checkout", (20, 40), 50, failing(1.0)).expect("a breach");
    insta::assert_snapshot!(breach.reason(), @"checkout: errors below 5%: 26 events in the last 0.5 s failed: 13% of all that come in 4 s, 5% allowed");
}

/// Ten requests lost while a process is started again are 5% of four seconds.
#[test]
fn a_blip_of_a_fifth_of_a_second_passes_a_bound_of_five_percent() {
    let mut trial = after_a_good_baseline(CHECKOUT, 20, 7);
    let blip = |at: f64, _: &mut _| {
        let failure = (30.0..30.2).contains(&at).then(|| "connection refused".to_owned());
        Some(Reading::Request { latency: 0.001, failure })
    };
    assert_eq!(first_breach(&mut trial, "checkout", (20, 60), 50, blip), None);
}

/// The table in section 2.2 of the reference: at 50 requests a second and a bound of 1%, 5% errors take about 4 s.
#[test]
fn five_percent_errors_against_a_bound_of_one_are_caught_in_a_few_seconds() {
    let yaml =
        CHECKOUT.replace("errors: { below: 5% } } ]\nmethod", "errors: { below: 1% } } ]\nerrorRate: 4%\nmethod");
    let mut delays: Vec<f64> = (0..101)
        .map(|seed| {
            let mut trial = after_a_good_baseline(&yaml, 10, seed);
            let (at, _) = first_breach(&mut trial, "checkout", (10, 60), 50, failing(0.05)).expect("a breach");
            at - 10.0
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    assert!(delays[50] <= 4.0, "the median delay is {} s", delays[50]);
    assert!(delays[95] <= 12.0, "95% of the delays are below {} s", delays[95]);
}

/// At the bound itself, where the test is most easily misled, and looked at ten times a second.
#[test]
fn a_system_at_its_bound_is_aborted_no_more_often_than_stated() {
    let runs: u32 = 40;
    let aborted = (0..runs)
        .filter(|seed| {
            let mut trial = Trial::seeded(&CHECKOUT.replace("50/s", "10/s"), u64::from(*seed));
            trial.judge.begin(Phase::Before, 0.0);
            first_breach(&mut trial, "checkout", (0, 60), 10, failing(0.05)).is_some()
        })
        .count();
    // 5% for the whole run, a quarter of it for this guardrail, a third of that for this phase: 0.2 of 40. The bench
    // `judge` measures it over 10,000 runs.
    assert!(aborted <= 2, "{aborted} of {runs}");
}

/// Refused at once or served within a second: the newest answers are the failures.
#[test]
fn quick_failures_before_slow_successes_are_no_outage() {
    let mut trial = after_a_good_baseline(CHECKOUT, 20, 3);
    let mut waiting = std::collections::VecDeque::new();
    for tick in 20 * 50..60 * 50_u32 {
        let at = f64::from(tick) / 50.0;
        while waiting.front().is_some_and(|started| *started + 1.0 <= at) {
            let started: f64 = waiting.pop_front().expect("looked at");
            let reading = Reading::Request { latency: 1.0, failure: None };
            trial.judge.observe(&Sample { signal: "checkout".into(), at: started, reading });
        }
        if tick % 25 == 0 {
            let reading = Reading::Request { latency: 0.001, failure: Some("connection refused".into()) };
            trial.judge.observe(&Sample { signal: "checkout".into(), at, reading });
        } else {
            waiting.push_back(at);
        }
        assert_eq!(trial.judge.breach(at), None, "at {at}: 4% fail, 5% are allowed");
    }
}

#[test]
fn a_guardrail_whose_signal_falls_silent_is_breached() {
    for quiet in [|_: f64, _: &mut _| None, |_: f64, _: &mut _| missing("no route to host")] {
        let mut trial = after_a_good_baseline(CHECKOUT, 20, 7);
        let (at, breach) = first_breach(&mut trial, "checkout", (20, 40), 50, quiet).expect("a breach");
        assert!((24.9..=25.3).contains(&at), "{at}");
        assert_eq!(breach.verdict, Verdict::NoData);
        assert!(breach.because.starts_with("no data from checkout for 5"), "{}", breach.because);
    }
}

const HOST: &str = "db: { host: { interval: 1s } }";

fn disk(used: f64) -> Option<Reading> {
    let saturation = vec![(crate::experiment::document::Resource::Disk, used)];
    Some(Reading::Host { saturation, numbers: Vec::new() })
}

#[test]
fn three_readings_in_a_row_breach_a_bound_on_a_resource() {
    let objective = "{ signal: db, saturation: { resource: disk, below: 95% } }";
    let yaml = with_objectives(HOST, objective) + &format!("guardrails: [ {objective} ]\n");
    let mut trial = Trial::new(&yaml);
    trial.judge.begin(Phase::Before, 0.0);
    assert_eq!(first_breach(&mut trial, "db", (0, 10), 1, |at, _| disk(if at < 8.0 { 0.4 } else { 0.97 })), None);
    let (at, breach) = first_breach(&mut trial, "db", (10, 14), 1, |_, _| disk(0.97)).expect("a breach");
    assert!(at <= 11.0, "{at}");
    insta::assert_snapshot!(breach.reason(), @"db: disk below 95%: 3 readings in a row on the wrong side, for 3 s, the last 97%");
}

#[test]
fn traffic_that_collapses_breaches_a_floor_and_slow_answers_do_not() {
    let traffic = "{ signal: checkout, traffic: { atLeast: 60%, of: baseline } }";
    let prober = "checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } }";
    let yaml = with_objectives(prober, traffic) + &format!("guardrails: [ {traffic} ]\n");
    let mut trial = after_a_good_baseline(&yaml, 20, 7);
    assert_eq!(first_breach(&mut trial, "checkout", (20, 40), 50, |_, _| taking(1.5)), None);
    let (at, breach) = first_breach(&mut trial, "checkout", (40, 60), 50, failing(0.9)).expect("a breach");
    assert!(at < 45.0, "{at}");
    assert_eq!(breach.verdict, Verdict::Violated);
}
