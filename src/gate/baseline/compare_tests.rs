use std::collections::BTreeMap;

use super::*;
use crate::hypothesis::verdict::Phase;
use crate::report::fixture::{self, Ending};

fn past(measured: &[f64], report: &RunReport) -> Vec<PastRun> {
    let name = report.objectives[0].description.clone();
    let run = |measured: &f64| PastRun {
        run: "a".into(),
        started: "2026-11-21T08:15:00Z".into(),
        verdict: RunVerdict::Held,
        objectives: BTreeMap::from([(
            name.clone(),
            PastObjective { verdict: Verdict::Held, measured: Some(*measured) },
        )]),
    };
    measured.iter().map(run).collect()
}

fn compared(measured: &[f64]) -> Comparison {
    let mut report = fixture::report(Ending::Held);
    for found in report.objectives.iter_mut().flat_map(|row| &mut row.phases) {
        found.measured = Some(200.0);
    }
    compare(&report, &past(measured, &report)).0.swap_remove(0)
}

#[test]
fn the_spread_of_the_last_runs_decides_and_too_few_say_so() {
    let now = compared(&[]).measured.unwrap();
    let around = |by: f64| [now + by - 2.0, now + by - 1.0, now + by, now + by + 1.0, now + by + 2.0];
    assert_eq!(compared(&around(0.0)[..3]).change, Change::TooFew);
    assert!(compared(&around(0.0)[..3]).text.ends_with("3 of the 4 runs that a comparison needs"));
    assert_eq!(compared(&around(0.0)).change, Change::Same);
    assert_eq!(compared(&around(5.0)).change, Change::Same);
    assert_eq!(compared(&around(-20.0)).change, Change::Worse);
    assert_eq!(compared(&around(20.0)).change, Change::Better);
    let worse = compared(&around(-20.0));
    assert!(worse.is_worse_by(1.0) && !worse.is_worse_by(1000.0));
    assert!(!compared(&around(20.0)).is_worse_by(0.0));
}

#[test]
fn a_latency_without_limit_is_worse_than_any_number_and_not_unmeasured() {
    let mut report = fixture::report(Ending::Violated);
    let row = report.objectives.iter_mut().find(|row| row.objective.latency.is_some()).unwrap();
    let during = row.phases.iter_mut().find(|found| found.phase == Phase::During).unwrap();
    (during.measured, during.events) = (None, 100.0);
    let row = row.clone();
    report.objectives = vec![row];
    let mut before = past(&[198.0, 199.0, 200.0, 201.0], &report);
    let compared = |before: &[PastRun]| compare(&report, before).0.swap_remove(0);
    assert_eq!(compared(&before[..3]).change, Change::TooFew);
    let worse = compared(&before);
    assert!(worse.is_worse_by(1000.0), "{worse:?}");
    insta::assert_snapshot!(worse.text, @"worse: p99 is a failed request, mean of the last 4 runs 199.5 ms; 191.07 ms to 207.93 ms was to be expected");
    let name = report.objectives[0].description.clone();
    // Nothing was measured in that run: it says nothing of this one.
    before[3].objectives.insert(name.clone(), PastObjective { verdict: Verdict::NoData, measured: None });
    assert_eq!(compared(&before).change, Change::TooFew);
    before[3].objectives.insert(name, PastObjective { verdict: Verdict::Violated, measured: None });
    insta::assert_snapshot!(compared(&before).text, @"same: p99 is a failed request, as in 1 of the last 4 runs");
    let mut silent = report.clone();
    silent.objectives[0].phases.iter_mut().for_each(|found| found.events = 0.0);
    assert_eq!(compare(&silent, &before).0[0].change, Change::NotMeasured);
}

/// R: `mean(x) + c(-1, 1) * qt(0.995, 4) * sd(x) * sqrt(1 + 1/5)` of `x <- c(10, 11, 12, 13, 14)`.
#[test]
fn the_interval_is_that_of_the_textbook() {
    let (low, high) = interval(&[10.0, 11.0, 12.0, 13.0, 14.0]).unwrap();
    assert!((low - 4.025_7).abs() < 1e-3 && (high - 19.974_3).abs() < 1e-3, "{low} {high}");
    assert_eq!(interval(&[1.0, 1.0, 1.0]), None);
    assert_eq!(interval(&[1.0; 4]), Some((1.0, 1.0)));
}

#[test]
fn one_more_run_of_the_same_is_outside_about_once_in_a_hundred() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    // Twelve uniform numbers make a normal one, near enough.
    let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>();
    let outside = (0..20_000)
        .filter(|_| {
            let before: Vec<f64> = (0..6).map(|_| normal()).collect();
            let (low, high) = interval(&before).unwrap();
            let next = normal();
            next < low || next > high
        })
        .count();
    assert!((140..260).contains(&outside), "{outside} of 20,000");
}

#[test]
fn a_verdict_that_changed_is_told_with_the_row_before_it() {
    let report = fixture::report(Ending::Violated);
    let held = past(&[1.0, 1.0, 1.0], &report);
    let told = compare(&report, &held).1.unwrap();
    assert_eq!(told, "violated; the last 3 runs were held");
    assert_eq!(compare(&fixture::report(Ending::Held), &held).1, None);
    assert_eq!(compare(&report, &[]).1, None);
}
