//! The fifteen false greens of the peers, each rebuilt from what the judge would see. None of them may be held.
//!
//! (`reference/verdicts.md`, section 0; most were run against the peers, the rest read in their source.)

use std::fmt::Write as _;

use faultline_agent::plan::Bite;

use super::trial::{CHECKOUT, Trial, failing, missing, spec, with_objectives};
use super::verdict::{ObjectiveVerdict, Phase, RunVerdict};
use super::{FaultFacts, Injection, Judge, JudgeError, PLACEBO, RunFacts, Steady, run_verdict};
use crate::signals::sample::{Reading, Sample};

/// A run in which nothing went wrong; each test breaks one link of it.
fn sound() -> RunFacts {
    RunFacts {
        faults: vec![fault(Injection::Injected { bite: Bite::Yes, undo_verified: true })],
        injections: Vec::new(),
        steady_before: true,
        refused: None,
        aborted: None,
        interrupted: None,
        recovered: Some(8.0),
        left_behind: None,
        placebo: false,
    }
}

fn fault(injection: Injection) -> FaultFacts {
    FaultFacts { name: "network-latency on backend".into(), injection, lost: None }
}

/// A placebo needs no effect, but everything else; whatever it comes to, it says what it is.
#[test]
fn a_placebo_is_judged_by_all_but_its_effect() {
    let objectives = with_errors(0.0, 0.0, 0.0);
    let placebo = RunFacts { placebo: true, ..sound() };
    let (verdict, because) = run_verdict(&placebo, &objectives);
    assert_eq!(verdict, RunVerdict::Held);
    assert!(because.starts_with(PLACEBO) && !because.contains("measured to act"), "{because}");
    let (verdict, because) = run_verdict(&placebo, &with_errors(0.0, 0.2, 0.0));
    assert!(verdict == RunVerdict::Violated && because.starts_with(PLACEBO), "{because}");
    let (verdict, _) = run_verdict(&RunFacts { left_behind: Some("a process".into()), ..placebo }, &objectives);
    assert_eq!(verdict, RunVerdict::CleanupUnverified);
}

/// A run of three phases of 30 s with these probabilities of an error.
fn with_errors(before: f64, during: f64, after: f64) -> Vec<ObjectiveVerdict> {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(before));
    trial.phase(Phase::During, (30, 60), "checkout", 50, failing(during));
    trial.phase(Phase::After, (60, 90), "checkout", 50, failing(after));
    trial.judge.verdicts()
}

fn verdict(facts: &RunFacts, objectives: &[ObjectiveVerdict]) -> RunVerdict {
    let (verdict, because) = run_verdict(facts, objectives);
    assert_ne!(verdict, RunVerdict::Held, "{because}");
    assert_ne!(verdict.exit_code(), 0);
    assert!(!because.is_empty());
    verdict
}

/// What the other tests are worth: the same run, whole, is held.
#[test]
fn row_0_the_sound_run_is_held() {
    let (verdict, because) = run_verdict(&sound(), &with_errors(0.0, 0.001, 0.0));
    assert_eq!(verdict, RunVerdict::Held);
    insta::assert_snapshot!(because, @"the objective was shown to hold before, during and after; network-latency on backend was measured to act and seen to be undone; steady again after 8 s");
}

/// Chaos Toolkit: the steady state is not met before, the method is skipped, exit 0.
#[test]
fn row_1_not_steady_before_is_refused() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(0.2));
    assert!(matches!(trial.judge.is_steady(30.0), Steady::No(_)), "the gate stays shut");
    let facts =
        RunFacts { steady_before: false, recovered: None, faults: vec![fault(Injection::NotReached)], ..sound() };
    assert_eq!(verdict(&facts, &trial.judge.verdicts()), RunVerdict::Refused);
}

/// Chaos Toolkit: the hypothesis is false in every sample during the fault and true again after it, exit 0.
#[test]
fn row_2_broken_during_the_fault_only_is_violated() {
    assert_eq!(verdict(&sound(), &with_errors(0.0, 1.0, 0.0)), RunVerdict::Violated);
    let three_of_three = {
        let mut trial = Trial::new(CHECKOUT);
        trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(0.0));
        trial.phase(Phase::During, (30, 33), "checkout", 1, failing(1.0));
        trial.phase(Phase::After, (33, 63), "checkout", 50, failing(0.0));
        trial.judge.verdicts()
    };
    assert_eq!(verdict(&sound(), &three_of_three), RunVerdict::Violated);
}

/// Chaos Toolkit: injection fails, rollback fails too, exit 0.
#[test]
fn row_3_neither_injected_nor_undone() {
    let failed = |clean| RunFacts {
        faults: vec![fault(Injection::Failed { reason: "connection refused".into(), clean })],
        ..sound()
    };
    assert_eq!(verdict(&failed(true), &with_errors(0.0, 0.0, 0.0)), RunVerdict::Invalid);
    assert_eq!(verdict(&failed(false), &with_errors(0.0, 0.0, 0.0)), RunVerdict::CleanupUnverified);
}

/// Chaos Toolkit: `--fail-fast` trips and the rollbacks are skipped: the fault stays.
#[test]
fn row_4_stopped_early_with_the_fault_left_in_place() {
    let facts = RunFacts {
        faults: vec![fault(Injection::Injected { bite: Bite::Yes, undo_verified: false })],
        aborted: Some("guardrail breached".into()),
        ..sound()
    };
    assert_eq!(verdict(&facts, &with_errors(0.0, 1.0, 0.0)), RunVerdict::CleanupUnverified);
}

/// Chaos Toolkit's safeguards: the guardrail trips and nothing is undone.
#[test]
fn row_5_a_guardrail_aborts_and_a_clean_undo_is_still_no_pass() {
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 30), "checkout", 50, failing(0.0));
    trial.judge.begin(Phase::During, 30.0);
    trial.readings((30, 31), "checkout", 50, failing(1.0));
    let breach = trial.judge.breach(31.0).expect("one second of failures");
    let facts = RunFacts { aborted: Some(breach.reason()), recovered: Some(5.0), ..sound() };
    assert_eq!(verdict(&facts, &with_errors(0.0, 0.0, 0.0)), RunVerdict::Aborted);
}

/// Chaos Toolkit: interrupted or killed, no rollback and perhaps no journal.
#[test]
fn row_6_interrupted_is_never_a_pass() {
    let facts = RunFacts { interrupted: Some("interrupted (SIGINT)".into()), recovered: None, ..sound() };
    assert_eq!(verdict(&facts, &with_errors(0.0, 0.0, 0.0)), RunVerdict::Interrupted);
    assert_eq!(super::rejudge(&[]), Err(JudgeError::NoBeginning), "without a journal there is nothing to judge");
}

/// Chaos Toolkit: an error ratio without traffic is not a number, and the program crashes.
#[test]
fn row_7_not_a_number_is_no_data() {
    let value = |reading: f64| {
        let signals = "ratio: { prometheus: { url: 'http://127.0.0.1:9090', value: ratio } }";
        let mut trial = Trial::new(&with_objectives(signals, "{ signal: ratio, value: { below: 1 } }"));
        for (phase, span) in [(Phase::Before, (0, 30)), (Phase::During, (30, 60)), (Phase::After, (60, 90))] {
            trial.phase(phase, span, "ratio", 1, |_, _| Some(Reading::Value { value: reading }));
        }
        trial.judge.verdicts()
    };
    for reading in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(verdict(&sound(), &value(reading)), RunVerdict::NoData, "{reading}");
    }
    assert_eq!(run_verdict(&sound(), &value(0.5)).0, RunVerdict::Held, "a number is judged");
}

/// And the ratio itself: counters that did not move are no data, not 0% errors.
#[test]
fn row_7_no_traffic_is_no_data_and_not_zero_errors() {
    let signals = "orders: { prometheus: { url: 'http://127.0.0.1:9090', bad: bad, total: total } }";
    let counts = |objective: &str, total: f64| {
        let mut trial = Trial::new(&with_objectives(signals, objective));
        trial.phase(Phase::Before, (0, 30), "orders", 1, |_, _| Some(Reading::Counts { bad: 0.0, total: 90.0 }));
        trial.phase(Phase::During, (30, 60), "orders", 1, |_, _| Some(Reading::Counts { bad: 0.0, total }));
        trial.phase(Phase::After, (60, 90), "orders", 1, |_, _| Some(Reading::Counts { bad: 0.0, total: 90.0 }));
        trial.judge.verdicts()
    };
    let errors = "{ signal: orders, errors: { below: 1% } }";
    assert_eq!(verdict(&sound(), &counts(errors, 0.0)), RunVerdict::NoData);
    let traffic = "{ signal: orders, traffic: { atLeast: 80%, of: baseline } }";
    assert_eq!(verdict(&sound(), &counts(traffic, 0.0)), RunVerdict::Violated, "no traffic at all is too little");
    assert_eq!(run_verdict(&sound(), &counts(traffic, 90.0)).0, RunVerdict::Held);
}

/// fault-cli: the count of failures is never changed, so the gate can never fail.
#[test]
fn row_8_every_objective_counts() {
    for number in 0..3 {
        for bad in [Phase::Before, Phase::During, Phase::After] {
            let mut objectives = Vec::new();
            for other in 0..3 {
                let broken = |phase| if other == number && phase == bad { 0.3 } else { 0.0 };
                let mut judged = with_errors(broken(Phase::Before), broken(Phase::During), broken(Phase::After));
                for objective in &mut judged {
                    let _ = write!(objective.description, " #{other}");
                }
                objectives.extend(judged);
            }
            assert_eq!(verdict(&sound(), &objectives), RunVerdict::Violated, "objective {number}, {bad:?}");
        }
    }
}

/// fault-cli: a failed expectation or an empty scenario is logged only, exit 0.
#[test]
fn row_9_each_verdict_but_held_has_an_exit_code_of_its_own_kind_and_nothing_to_do_is_no_pass() {
    for not_held in [
        RunVerdict::CleanupUnverified,
        RunVerdict::Invalid,
        RunVerdict::Aborted,
        RunVerdict::Violated,
        RunVerdict::NoData,
        RunVerdict::Inconclusive,
        RunVerdict::Refused,
        RunVerdict::Interrupted,
    ] {
        assert_ne!(not_held.exit_code(), 0, "{not_held:?}");
    }
    let nothing = RunFacts { faults: Vec::new(), ..sound() };
    assert_eq!(verdict(&nothing, &with_errors(0.0, 0.0, 0.0)), RunVerdict::Invalid);
    assert_eq!(verdict(&sound(), &[]), RunVerdict::NoData);
}

/// fault-cli: an error in the middle returns before the rollback.
#[test]
fn row_10_a_fault_that_was_not_seen_to_be_undone_outweighs_everything() {
    let unverified = || fault(Injection::Injected { bite: Bite::Yes, undo_verified: false });
    let clean = fault(Injection::Injected { bite: Bite::Yes, undo_verified: true });
    let facts = RunFacts { faults: vec![clean, unverified()], ..sound() };
    assert_eq!(verdict(&facts, &with_errors(0.0, 0.0, 0.0)), RunVerdict::CleanupUnverified);
}

/// Litmus: a fault without a probe scores 100.
#[test]
fn row_11_a_hypothesis_without_an_objective_is_refused() {
    let empty = with_objectives("checkout: { http: { url: 'http://127.0.0.1/', rate: 50/s } }", "");
    assert_eq!(Judge::new(&spec(&empty)).err(), Some(JudgeError::NoObjective));
    assert_eq!(verdict(&sound(), &[]), RunVerdict::NoData);
    let only_before: Vec<_> =
        with_errors(0.0, 0.0, 0.0).into_iter().filter(|judged| judged.phase == Phase::Before).collect();
    assert_eq!(verdict(&sound(), &only_before), RunVerdict::NoData);
}

/// Litmus: a probe's value that is not a number is taken for 0, and passes.
#[test]
fn row_12_what_cannot_be_read_is_not_zero() {
    let signals = "queue: { exec: { run: [queue-length], read: number } }";
    let mut trial = Trial::new(&with_objectives(signals, "{ signal: queue, value: { below: 100 } }"));
    for (phase, span) in [(Phase::Before, (0, 30)), (Phase::During, (30, 60)), (Phase::After, (60, 90))] {
        trial.phase(phase, span, "queue", 1, |_, _| missing("`n/a` is not a number"));
    }
    assert_eq!(verdict(&sound(), &trial.judge.verdicts()), RunVerdict::NoData);
    let (_, because) = run_verdict(&sound(), &trial.judge.verdicts());
    insta::assert_snapshot!(because, @"before the fault, queue: value below 100: none of 30 readings of queue could be taken (`n/a` is not a number)");
}

/// Litmus: several probes share one error variable, so that one's success hides another's failure.
#[test]
fn row_13_one_signal_never_answers_for_another() {
    let signals = "a: { http: { url: 'http://a/', rate: 50/s } }, b: { http: { url: 'http://b/', rate: 50/s } }";
    let objectives = "{ signal: a, errors: { below: 1% } }, { signal: b, errors: { below: 1% } }";
    let mut trial = Trial::new(&with_objectives(signals, objectives));
    for (phase, from) in [(Phase::Before, 0), (Phase::During, 30), (Phase::After, 60)] {
        trial.judge.begin(phase, f64::from(from));
        for tick in from * 50..(from + 30) * 50_u32 {
            let at = f64::from(tick) / 50.0;
            let failure = (phase == Phase::During).then(|| "status 500".to_owned());
            for (signal, failure) in [("b", failure), ("a", None)] {
                let reading = Reading::Request { latency: 0.01, failure };
                trial.judge.observe(&Sample { signal: signal.into(), at, reading });
            }
        }
        trial.judge.end(phase, f64::from(from + 30));
    }
    assert_eq!(verdict(&sound(), &trial.judge.verdicts()), RunVerdict::Violated);
}

/// Argo Rollouts: ended before one measurement, or every measurement failed within its limits: successful.
#[test]
fn row_14_no_measurement_is_no_data() {
    let phases = [(Phase::Before, (0, 30)), (Phase::During, (30, 60)), (Phase::After, (60, 90))];
    for broken in 0..3 {
        for quiet in [None, missing("null body")] {
            let mut trial = Trial::new(CHECKOUT);
            for (number, (phase, span)) in phases.into_iter().enumerate() {
                let mut good = failing(0.0);
                let quiet = quiet.clone();
                trial.phase(phase, span, "checkout", 50, |at, chance| {
                    if number == broken { quiet.clone() } else { good(at, chance) }
                });
            }
            assert_eq!(verdict(&sound(), &trial.judge.verdicts()), RunVerdict::NoData, "{broken} {quiet:?}");
        }
    }
    // Ended before anything could be measured: the phase has begun and has no length.
    let mut trial = Trial::new(CHECKOUT);
    trial.phase(Phase::Before, (0, 0), "checkout", 50, failing(0.0));
    assert_eq!(verdict(&sound(), &trial.judge.verdicts()), RunVerdict::NoData);
}

/// Steadybit: "continue on any failures" ends as completed.
#[test]
fn row_15_a_failed_step_is_never_continued_to_a_pass() {
    let bites = fault(Injection::Injected { bite: Bite::Yes, undo_verified: true });
    for broken in [
        Injection::Failed { reason: "no such target".into(), clean: true },
        Injection::Injected { bite: Bite::No("no packet matched".into()), undo_verified: true },
        Injection::Injected { bite: Bite::NotYet("no packet passed".into()), undo_verified: true },
        Injection::NotReached,
    ] {
        let facts = RunFacts { faults: vec![bites.clone(), fault(broken)], ..sound() };
        assert_eq!(verdict(&facts, &with_errors(0.0, 0.0, 0.0)), RunVerdict::Invalid);
    }
    let unrecovered = RunFacts { recovered: None, ..sound() };
    assert_eq!(verdict(&unrecovered, &with_errors(0.0, 0.0, 0.0)), RunVerdict::Violated);
}
