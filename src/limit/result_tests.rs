use std::time::Duration;

use super::*;
use crate::gate::Attempt;
use crate::limit::drive::DoseRun;
use crate::limit::kept::LimitFile;
use crate::limit::scale::Scale;
use crate::limit::search::{Next, Resolution, Rules};

/// A search on delays whose limit is this, and what is asked of it.
fn result(range: &str, limit: f64, runs: usize, asked: &[f64], ending: Option<Ending>) -> LimitResult {
    let range: DoseRange = range.parse().unwrap();
    let rules = Rules {
        error_rate: 0.05,
        confidence: 0.95,
        resolution: Resolution::Share(0.05),
        runs,
        mildest_holds: range.begins_with_nothing(),
    };
    let mut search = Search::new(&Scale::new(&range, 0.05), rules);
    let mut done = Vec::new();
    let stop = loop {
        match search.next() {
            Next::Stop(stop) => break stop,
            Next::Run(index) => {
                let dose = range.dose(search.dose(index));
                let holds = (dose.number <= limit) == (range.harshest > range.mildest);
                let (answer, verdict) = match holds {
                    true => (Answer::Holds, RunVerdict::Held),
                    false => (Answer::Fails, RunVerdict::Violated),
                };
                search.take(index, answer);
                done.push(DoseRun { dose, answer, attempt: Attempt::without_report(verdict, "as simulated") });
            }
        }
    };
    let asked: Vec<Asked> = asked
        .iter()
        .map(|dose| Asked { words: format!("at least {}", range.dose(*dose).told()), dose: *dose })
        .collect();
    let driven = Driven { runs: done, ending: ending.unwrap_or(Ending::Search(stop)), took: Duration::from_secs(60) };
    let circumstances = Circumstances {
        experiment: "shop",
        file: "shop.yaml",
        parameter: "method[1].inject.fault.network-latency.delay",
        range: &range,
        error_rate: 0.05,
        confidence: 0.95,
        started: "2026-11-22T04:00:00Z".into(),
        asked: &asked,
    };
    settle(&search, driven, circumstances)
}

#[test]
fn every_answer_is_told_plainly_and_has_its_code() {
    let found = result("delay=0..2s", 0.231, 14, &[], None);
    assert_eq!(found.answer, "holds up to 231 ms (95%: 229 to 235 ms) in 10 runs");
    assert_eq!((found.outcome, found.exit_code, &found.because), (Outcome::Found, 0, &None));
    let beyond = result("delay=10ms..200ms", 0.231, 14, &[], None);
    let told = "holds up to 200 ms, the end of the range, and perhaps beyond it (95%) in ";
    assert!(beyond.answer.starts_with(told), "{}", beyond.answer);
    assert_eq!((beyond.outcome, beyond.exit_code), (Outcome::HoldsThroughout, 0));
    let never = result("delay=300ms..2s", 0.231, 14, &[], None);
    let told = "does not hold even at 300 ms, the mildest dose of the range (95%), in ";
    assert!(never.answer.starts_with(told), "{}", never.answer);
    assert_eq!((never.outcome, never.exit_code), (Outcome::NeverHolds, 1));
    let spent = result("delay=0..2s", 0.231, 5, &[], None);
    let told = spent.answer.starts_with("holds up to about ") && spent.answer.ends_with(" in 5 runs");
    assert!(told, "{}", spent.answer);
    assert_eq!((spent.outcome, spent.exit_code), (Outcome::NotNarrow, 4));
    let falling = result("every=60s..1s", 7.0, 14, &[10.0, 5.0], None);
    assert_eq!(falling.requirements.iter().map(|one| one.met).collect::<Vec<_>>(), [Met::Yes, Met::No]);
}

#[test]
fn what_is_asked_decides_by_the_interval() {
    for (asked, runs, code) in [
        (&[0.15][..], 14, 0),
        (&[0.15, 0.3], 14, 1),
        (&[0.231], 14, 4),
        // What is asked may be known long before the interval is narrow.
        (&[0.01], 5, 0),
        (&[1.5], 5, 1),
    ] {
        assert_eq!(result("delay=0..2s", 0.2315, runs, asked, None).exit_code, code, "{asked:?}");
    }
    for (ending, code) in [
        (Ending::Interrupted("interrupted by SIGINT".into()), 130),
        (Ending::Broken(RunVerdict::CleanupUnverified, "left".into()), 7),
        (Ending::Broken(RunVerdict::Refused, "not steady".into()), 3),
        (Ending::TimeBox, 4),
    ] {
        let result = result("delay=0..2s", 0.231, 5, &[], Some(ending));
        assert!(result.exit_code == code && result.because.is_some() && result.outcome == Outcome::NotNarrow);
    }
    assert_eq!(result("delay=0..2s", 0.231, 0, &[], None).outcome, Outcome::NotKnown);
}

#[test]
fn limits_are_kept_and_found_again() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("limits.json");
    let mut file = LimitFile::read(&path).unwrap();
    let found = result("delay=0..2s", 0.231, 14, &[], None);
    for _ in 0..12 {
        file.add("main", &found);
    }
    // What was not found is no number to compare with.
    file.add("main", &result("delay=0..2s", 0.231, 5, &[], None));
    file.write(&path).unwrap();
    let read = LimitFile::read(&path).unwrap();
    assert_eq!(read, file);
    let last = read.last("main", "shop", &found.parameter).unwrap();
    assert_eq!(Some(&last.limit), found.limit.as_ref().map(|limit| &limit.written));
    assert_eq!(read.baselines["main"]["shop"].len(), 10);
    assert_eq!(read.last("main", "shop", "other"), None);
    std::fs::write(&path, "{").unwrap();
    assert!(LimitFile::read(&path).is_err());
}
