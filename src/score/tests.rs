//! The definition, by example and by law.

#![allow(clippy::cast_possible_truncation, reason = "ages of tests are small")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-22T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn days_ago(days: f64) -> Timestamp {
    now().checked_sub(SignedDuration::try_from_secs_f64(days * 86_400.0).unwrap()).unwrap()
}

/// A run of an experiment of checkout, which depends on db and cache.
fn trial(experiment: &str, days: f64, outcome: Outcome, tests: &[&str]) -> Trial {
    Trial {
        run: format!("{:012}-{experiment}", 1_000_000_000 - (days * 1000.0) as i64),
        service: "checkout".into(),
        experiment: experiment.into(),
        ended: days_ago(days),
        outcome,
        depends_on: Some(vec!["db".into(), "cache".into()]),
        tests: tests.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn score_of(trials: &[Trial]) -> f64 {
    scores(trials, now()).first().map_or(0.0, |score| score.score)
}

/// The example of docs/score.md.
fn example() -> Vec<Trial> {
    vec![
        trial("db-slow", 81.0, Outcome::Held, &["db"]),
        trial("db-slow", 67.0, Outcome::Held, &["db"]),
        trial("db-killed", 20.0, Outcome::Violated, &["db"]),
        trial("db-killed", 6.0, Outcome::Held, &["db"]),
        trial("shop-paused", 10.0, Outcome::Held, &[]),
        trial("shop-paused", 1.0, Outcome::Nothing(Some(RunVerdict::Inconclusive)), &[]),
    ]
}

#[test]
fn the_example_of_the_documentation() {
    insta::assert_snapshot!("score-text", text::render(&scores(&example(), now())));
    insta::assert_snapshot!("score-json", serde_json::to_string_pretty(&scores(&example(), now())).unwrap());
    let documented = include_str!("../../docs/score.md");
    let shown = text::render(&scores(&example(), now()));
    for line in shown.lines() {
        assert!(documented.contains(line.trim()), "docs/score.md does not show: {line}");
    }
}

#[test]
fn what_is_not_known_counts_as_nothing() {
    let held = trial("db-slow", 0.0, Outcome::Held, &["db"]);
    assert!((score_of(std::slice::from_ref(&held)) - 50.0).abs() < 1e-9, "cache was never tested");
    let both = Trial { tests: vec!["db".into(), "cache".into()], ..held.clone() };
    assert!((score_of(&[both]) - 100.0).abs() < 1e-9);
    let undeclared = Trial { depends_on: None, tests: Vec::new(), ..held.clone() };
    assert!((score_of(std::slice::from_ref(&undeclared)) - 50.0).abs() < 1e-9, "nobody said what it depends on");
    let alone = Trial { depends_on: Some(Vec::new()), tests: Vec::new(), ..held };
    assert!((score_of(&[alone]) - 100.0).abs() < 1e-9);
    let told = scores(&[undeclared], now()).remove(0);
    assert_eq!(told.advice[0].what, AdviceKind::DeclareDependencies);
    assert!((told.advice[0].gain - 50.0).abs() < 1e-9, "{:?}", told.advice);
}

#[test]
fn verdicts_that_alternate_count_by_their_share_and_old_ones_less() {
    let flapping: Vec<Trial> = (0..6)
        .map(|number| {
            let outcome = if number % 2 == 0 { Outcome::Held } else { Outcome::Violated };
            trial("db-slow", 6.0 - f64::from(number), outcome, &["db"])
        })
        .collect();
    // The last five: two held. One of two dependencies.
    assert!((score_of(&flapping) - 20.0).abs() < 1e-9, "{}", score_of(&flapping));
    for (days, expected) in [(0.0, 50.0), (7.0, 50.0), (37.0, 25.0), (67.0, 12.5)] {
        let score = score_of(&[trial("db-slow", days, Outcome::Held, &["db"])]);
        assert!((score - expected).abs() < 1e-9, "{days}: {score}");
    }
}

#[test]
fn the_score_around_a_run_needs_an_earlier_one() {
    let mut trials = example();
    assert_eq!(around(&trials, &trials[0].run), None, "there was none before");
    assert_eq!(around(&trials, "unknown"), None);
    trials.push(trial("cache-killed", 0.0, Outcome::Held, &["cache"]));
    let last = around(&trials, &trials[6].run).unwrap();
    assert!(last.after > last.before + 30.0, "{last:?}");
    assert_eq!(last.earlier_runs, 6);
    // What came later is no part of it.
    let earlier = around(&trials, &trials[3].run).unwrap();
    assert_eq!(earlier.earlier_runs, 4);
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Held),
        Just(Outcome::Violated),
        Just(Outcome::Placebo),
        Just(Outcome::Nothing(None)),
        Just(Outcome::Nothing(Some(RunVerdict::Inconclusive))),
    ]
}

fn trials() -> impl Strategy<Value = Vec<Trial>> {
    proptest::collection::vec((0_usize..4, 0_u32..200_000, outcome()), 0..24).prop_map(|runs| {
        let run = |(number, (kind, age, outcome))| {
            let of =
                [("db-slow", &["db"] as &[&str]), ("db-killed", &["db"]), ("cache-slow", &["cache"]), ("paused", &[])];
            let (name, tests) = of[kind];
            let run = trial(name, f64::from(age) / 1000.0, outcome, tests);
            Trial { run: format!("{}-{number}", run.run), ..run }
        };
        runs.into_iter().enumerate().map(run).collect()
    })
}

fn more(trials: &[Trial], trial: Trial) -> Vec<Trial> {
    trials.iter().cloned().chain([trial]).collect()
}

proptest! {
    #[test]
    fn a_violated_run_never_raises_a_score_a_fresh_held_one_never_lowers_it_and_the_rest_change_nothing(
        trials in trials(),
        experiment in 0_usize..4,
        age in 0.0_f64..200.0,
    ) {
        let name = ["db-slow", "db-killed", "cache-slow", "paused"][experiment];
        let tests: &[&str] = [&["db"] as &[&str], &["db"], &["cache"], &[]][experiment];
        let before = score_of(&trials);
        prop_assert!((0.0..=100.0).contains(&before), "{before}");
        let violated = score_of(&more(&trials, trial(name, age, Outcome::Violated, tests)));
        prop_assert!(violated <= before, "{before} became {violated}");
        let held = score_of(&more(&trials, trial(name, 0.0, Outcome::Held, tests)));
        prop_assert!(held >= before, "{before} became {held}");
        for nothing in [Outcome::Placebo, Outcome::Nothing(None), Outcome::Nothing(Some(RunVerdict::Refused))] {
            let same = score_of(&more(&trials, trial(name, age, nothing, tests)));
            prop_assert!((same - before).abs() < 1e-12, "{before} became {same}");
        }
        for score in scores(&trials, now()) {
            prop_assert!(score.trend.iter().all(|week| (0.0..=100.0).contains(&week.score)));
            prop_assert!(score.advice.iter().all(|advice| advice.gain > 0.0 && advice.gain + score.score <= 100.0 + 1e-9));
        }
    }

    /// Nothing but time passes: no score rises.
    #[test]
    fn time_alone_never_raises_a_score_of_held_runs(trials in trials(), days in 0_i64..100) {
        let held: Vec<Trial> = trials.into_iter().filter(|trial| trial.outcome == Outcome::Held).collect();
        let later = now().checked_add(SignedDuration::from_hours(24 * days)).unwrap();
        let then = scores(&held, later).first().map_or(0.0, |score| score.score);
        prop_assert!(then <= score_of(&held) + 1e-9);
    }
}
