//! The run's verdict over every combination of facts, and a run judged again.

use std::sync::LazyLock;

use faultline_agent::plan::Bite;
use proptest::prelude::*;

use super::trial::{CHECKOUT, spec};
use super::verdict::{ObjectiveVerdict, Phase, RunVerdict, Verdict};
use super::{FaultFacts, Injection, Judge, RunFacts, rejudge, run_verdict};
use crate::experiment::document::{ApiVersion, Experiment, Kind, Metadata, Objective};
use crate::run::journal::{Entry, Event, RunState, Started};
use crate::signals::sample::{Reading, Sample};

const VERDICTS: [Verdict; 4] = [Verdict::Held, Verdict::Inconclusive, Verdict::NoData, Verdict::Violated];
const PHASES: [Phase; 3] = [Phase::Before, Phase::During, Phase::After];

fn judged(number: usize, phase: Phase, verdict: Verdict) -> ObjectiveVerdict {
    static OBJECTIVE: LazyLock<Objective> = LazyLock::new(|| spec(CHECKOUT).steady_state.swap_remove(0));
    let objective = OBJECTIVE.clone();
    ObjectiveVerdict {
        objective,
        description: format!("objective {number}"),
        phase,
        verdict,
        measured: None,
        measured_text: String::new(),
        events: 0.0,
        bad: 0.0,
        error_rate: 0.05,
        effect: None,
        because: "so".into(),
    }
}

fn injections() -> Vec<Injection> {
    let mut all = vec![Injection::NotReached];
    for clean in [false, true] {
        all.push(Injection::Failed { reason: "r".into(), clean });
        for bite in [Bite::Yes, Bite::NotYet("n".into()), Bite::No("n".into())] {
            all.push(Injection::Injected { bite, undo_verified: clean });
        }
    }
    all
}

/// Every combination of what can become of two faults, of how a run ends, and of one objective in three phases:
/// held is said of exactly those in which every link of the chain is there.
#[test]
fn held_only_if_every_link_is_there_in_all_combinations() {
    let mut seen = 0;
    let mut held = 0;
    let mut faults: Vec<Vec<Injection>> = vec![Vec::new()];
    for first in injections() {
        faults.push(vec![first.clone()]);
        faults.extend(injections().into_iter().map(|second| vec![first.clone(), second]));
    }
    // Nothing stands for a phase in which the objective was not judged.
    let outcomes: Vec<Option<Verdict>> = VERDICTS.into_iter().map(Some).chain([None]).collect();
    let judgements: Vec<([Option<Verdict>; 3], Vec<ObjectiveVerdict>)> = (0..outcomes.len().pow(3))
        .map(|number| {
            let chosen = [number % 5, number / 5 % 5, number / 25].map(|index| outcomes[index]);
            let judgements = PHASES.into_iter().zip(chosen);
            (chosen, judgements.filter_map(|(phase, verdict)| Some(judged(0, phase, verdict?))).collect())
        })
        .collect();
    for faults in &faults {
        let fine = Injection::Injected { bite: Bite::Yes, undo_verified: true };
        let proven = !faults.is_empty() && faults.iter().all(|fault| *fault == fine);
        for flags in 0..64_u32 {
            let flag = |bit: u32| flags >> bit & 1 == 1;
            let facts = RunFacts {
                faults: faults
                    .iter()
                    .map(|injection| FaultFacts { name: "f".into(), injection: injection.clone(), lost: None })
                    .collect(),
                injections: Vec::new(),
                steady_before: flag(0),
                refused: flag(1).then(|| "refused".into()),
                aborted: flag(2).then(|| "aborted".into()),
                interrupted: flag(3).then(|| "interrupted".into()),
                recovered: flag(4).then_some(3.0),
                left_behind: flag(5).then(|| "a process of the service shop".into()),
                placebo: false,
            };
            for (chosen, objectives) in &judgements {
                let (verdict, because) = run_verdict(&facts, objectives);
                let whole = proven && flags == 0b01_0001 && *chosen == [Some(Verdict::Held); 3];
                assert_eq!(verdict == RunVerdict::Held, whole, "{facts:?} {chosen:?}: {because}");
                assert_eq!(verdict.exit_code() == 0, whole);
                assert!(!because.is_empty());
                seen += 1;
                held += u32::from(whole);
            }
        }
    }
    assert_eq!((seen, held), (91 * 64 * 125, 2));
}

/// How bad a verdict is, in the order of precedence.
fn rank(verdict: RunVerdict) -> usize {
    [
        RunVerdict::CleanupUnverified,
        RunVerdict::Invalid,
        RunVerdict::Aborted,
        RunVerdict::Interrupted,
        RunVerdict::Refused,
        RunVerdict::Violated,
        RunVerdict::NoData,
        RunVerdict::Inconclusive,
        RunVerdict::Held,
    ]
    .into_iter()
    .position(|listed| listed == verdict)
    .expect("all are listed")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_more_bad_objective_never_makes_it_better(
        choices in proptest::collection::vec(0usize..4, 3..12), worse in 0usize..12, seconds in proptest::option::of(0.0f64..60.0),
    ) {
        let facts = RunFacts {
            faults: vec![FaultFacts { name: "f".into(), injection: Injection::Injected { bite: Bite::Yes, undo_verified: true }, lost: None }],
            injections: Vec::new(),
            steady_before: true,
            refused: None,
            aborted: None,
            interrupted: None,
            recovered: seconds,
            left_behind: None,
            placebo: false,
        };
        let mut objectives: Vec<_> =
            choices.iter().enumerate().map(|(place, choice)| judged(place / 3, PHASES[place % 3], VERDICTS[*choice])).collect();
        let before = run_verdict(&facts, &objectives).0;
        let place = worse % objectives.len();
        objectives[place].verdict = Verdict::Violated;
        prop_assert!(rank(run_verdict(&facts, &objectives).0) <= rank(before));
        objectives.remove(place);
        prop_assert_ne!(run_verdict(&facts, &objectives).0, RunVerdict::Held);
    }

    /// A request more that failed, wherever it lies, never turns violated into anything better.
    #[test]
    fn one_more_bad_event_never_makes_a_phase_held(bad in 1usize..40, at in 0.0f64..29.9, step in 20usize..200) {
        let sample = |at: f64, failure: Option<String>| Sample {
            signal: "checkout".into(), at, reading: Reading::Request { latency: 0.01, failure },
        };
        let judge = |extra: bool| {
            let mut judge = Judge::new(&spec(CHECKOUT)).expect("a document that can be judged");
            judge.begin(Phase::During, 0.0);
            for (number, tick) in (0..1_500_u32).enumerate() {
                let failed = number % step == 0 && number / step < bad;
                judge.observe(&sample(f64::from(tick) / 50.0, failed.then(|| "500".into())));
            }
            if extra {
                judge.observe(&sample(at, Some("500".into())));
            }
            judge.end(Phase::During, 30.0);
            judge.verdicts().swap_remove(0).verdict
        };
        let order = |verdict| VERDICTS.iter().position(|listed| *listed == verdict);
        prop_assert!(order(judge(true)) >= order(judge(false)));
    }

    /// Neither the order in which samples come nor how often the judge is asked changes a verdict, to the last bit.
    #[test]
    fn the_same_samples_in_any_order_give_the_same_verdicts(
        seed: u64,
        failures in proptest::collection::vec(0u32..4_500, 0..120),
        asks in proptest::collection::vec(0usize..4_500, 0..6),
    ) {
        let entries = journal(&failures);
        let first = rejudge(&entries).expect("judged");
        let text = serde_json::to_string(&first).expect("verdicts are written");
        // Within a second the order is shuffled; the states of the run stay where they are.
        let mut shuffled = entries.clone();
        for chunk in shuffled.chunks_mut(50) {
            if chunk.iter().all(|entry| matches!(entry.event, Event::Sample(_))) {
                let length = chunk.len();
                for place in 0..length {
                    let other = (seed.rotate_left(u32::try_from(place).unwrap_or(0)) % 50) as usize % length;
                    chunk.swap(place, other);
                }
            }
        }
        let experiment = spec(CHECKOUT);
        let mut live = Judge::new(&experiment).expect("a document that can be judged");
        for (number, entry) in shuffled.iter().enumerate() {
            live.follow(entry);
            if asks.contains(&number) {
                live.breach(entry.at);
                live.is_steady(entry.at);
                live.verdicts();
            }
        }
        prop_assert_eq!(serde_json::to_string(&live.verdicts()).expect("verdicts are written"), text.clone());
        // What a journal on disk gives back.
        let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).expect("written")).collect();
        let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).expect("read")).collect();
        prop_assert_eq!(serde_json::to_string(&rejudge(&read).expect("judged")).expect("written"), text);
    }
}

/// The journal of a run of 30 s before, 30 s during and 30 s after, in which these requests failed.
fn journal(failures: &[u32]) -> Vec<Entry> {
    let experiment = Experiment {
        api_version: ApiVersion::V1,
        kind: Kind::Experiment,
        metadata: Metadata { name: "checkout".into(), labels: Default::default(), annotations: Default::default() },
        spec: spec(CHECKOUT),
    };
    let started = Started {
        hosts: Vec::new(),
        run: "20260101T000000-abcdef".into(),
        version: "0.1.0".into(),
        host: "test".into(),
        time: "2026-01-01T00:00:00Z".into(),
        seed: 7,
        experiment,
        file: "checkout.yaml".into(),
        placebo: false,
    };
    let state = |at: f64, state: RunState| Entry { at, event: Event::State { state, because: None } };
    let mut entries = vec![Entry { at: 0.0, event: Event::Started(Box::new(started)) }, state(0.0, RunState::Steady)];
    for tick in 0..4_500_u32 {
        // Numbers that need all of their digits, as a clock gives them.
        let at = (f64::from(tick) + std::f64::consts::FRAC_1_PI) / 50.0;
        match tick {
            1_500 => entries.extend([state(at, RunState::Injecting), state(at, RunState::Watching)]),
            3_000 => entries.extend([state(at, RunState::Undoing), state(at, RunState::Recovering)]),
            _ => {}
        }
        let failure = failures.contains(&tick).then(|| "status 500".to_owned());
        let reading = Reading::Request { latency: 0.01 + f64::from(tick % 7) / 1_234.567, failure };
        entries.push(Entry { at, event: Event::Sample(Sample { signal: "checkout".into(), at, reading }) });
    }
    entries.push(state(90.01, RunState::Judged));
    entries
}

#[test]
fn the_facts_of_a_run_are_read_from_its_journal() {
    let entries = journal(&[]);
    let facts = RunFacts::from_entries(&entries).expect("a journal");
    assert!(facts.steady_before);
    assert_eq!((facts.recovered, facts.refused.clone(), facts.faults.len()), (None, None, 0));
    let (verdict, _) = run_verdict(&facts, &rejudge(&entries).expect("judged"));
    assert_eq!(verdict, RunVerdict::Invalid, "the journal shows no fault");
}

#[test]
fn an_injection_refused_after_a_stop_is_no_failure_of_the_fault_but_what_may_be_left_of_it_counts() {
    use crate::report::fixture::{self, Ending};
    let whole = fixture::journal(Ending::Held);
    let injected = whole.iter().position(|entry| matches!(entry.event, Event::Injected { .. })).expect("an injection");
    let fault = match &whole[injected].event {
        Event::Injected { fault, .. } => fault.clone(),
        other => panic!("{other:?}"),
    };
    let at = whole[injected].at;
    let stopped = Entry { at, event: Event::Stopped { by: "the fleet was halted: drill".into() } };
    let failed =
        Entry { at, event: Event::InjectionFailed { fault: fault.clone(), reason: "this host is halted".into() } };
    let left = Entry { at, event: Event::Undone { fault, steps: Vec::new(), verified: false, took: 0.0 } };
    let verdict = |then: &[&Entry]| {
        let entries: Vec<Entry> = whole[..injected].iter().chain(then.iter().copied()).cloned().collect();
        run_verdict(&RunFacts::from_entries(&entries).expect("a journal"), &[]).0
    };
    assert_eq!(verdict(&[&stopped, &failed]), RunVerdict::Aborted);
    assert_eq!(verdict(&[&failed, &stopped]), RunVerdict::Invalid, "it failed by itself");
    assert_eq!(verdict(&[&stopped, &failed, &left]), RunVerdict::CleanupUnverified);
}
