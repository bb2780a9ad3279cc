use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::experiment::document::smallest::{FILL, smallest};
use crate::gate::candidate::tests::candidate;
use crate::report::fixture::{self, Ending};

fn one(name: &str) -> Candidate {
    candidate(&format!("{name}.yaml"), &smallest(name, "", FILL))
}

fn attempt(ending: Ending) -> Attempt {
    Attempt::of(fixture::report(ending), None)
}

fn undecided() -> Attempt {
    Attempt::without_report(RunVerdict::Inconclusive, "too few requests")
}

fn gate(attempts: Vec<Vec<Attempt>>, rules: Rules, quarantine: Option<&str>) -> GateResult {
    let names = ["a", "b", "c", "d"];
    let candidates: Vec<Candidate> = names[..attempts.len()].iter().map(|name| one(name)).collect();
    let driven = Driven {
        left_out: attempts
            .iter()
            .enumerate()
            .filter(|(_, attempts)| attempts.is_empty())
            .map(|(index, _)| (index, "the time box had ended".to_owned()))
            .collect(),
        attempts: attempts.into_iter().enumerate().filter(|(_, attempts)| !attempts.is_empty()).collect(),
        interrupted: None,
        took: Duration::from_secs(61),
    };
    let quarantine = quarantine.map(|text| Quarantine::parse(text).unwrap());
    let circumstances = Circumstances {
        rules,
        quarantines: &[quarantine],
        today: "2026-11-21".parse().unwrap(),
        baseline: None,
        started: "2026-11-21T08:15:00Z".into(),
        within: None,
        notes: Vec::new(),
    };
    settle(&candidates, driven, circumstances)
}

#[track_caller]
fn check(result: &GateResult, code: u8, standings: &[Standing]) {
    let found: Vec<Standing> = result.experiments.iter().map(|one| one.standing).collect();
    assert_eq!((result.exit_code, &*found), (code, standings), "{result:#?}");
}

#[test]
fn the_worst_that_counts_is_the_answer_and_what_did_not_run_is_no_pass() {
    use Standing::{Failed, NotRun, Passed};
    let held = || vec![attempt(Ending::Held)];
    check(&gate(vec![held(), held()], Rules::default(), None), 0, &[Passed, Passed]);
    check(&gate(vec![held(), vec![attempt(Ending::Violated)]], Rules::default(), None), 1, &[Passed, Failed]);
    let mixed = vec![vec![attempt(Ending::Violated)], vec![attempt(Ending::Aborted)], vec![attempt(Ending::Invalid)]];
    check(&gate(mixed, Rules::default(), None), 6, &[Failed; 3]);
    let lenient = Rules { undecided_passes: true, ..Rules::default() };
    check(&gate(vec![held(), vec![]], lenient, None), 3, &[Passed, NotRun]);
    assert_eq!(worst(&[0, 4, 1, 5]), 5);
    assert_eq!(worst(&[0, 130, 3]), 130);
    assert_eq!(worst(&[130, 7]), 7);
    assert_eq!(worst(&[]), 7);
}

#[test]
fn what_was_not_decided_passes_only_if_asked_and_no_data_never() {
    let lenient = Rules { undecided_passes: true, ..Rules::default() };
    check(&gate(vec![vec![undecided()]], Rules::default(), None), 4, &[Standing::Failed]);
    check(&gate(vec![vec![undecided()]], lenient, None), 0, &[Standing::NotDecided]);
    let no_data = Attempt::without_report(RunVerdict::NoData, "no samples");
    check(&gate(vec![vec![no_data]], lenient, None), 4, &[Standing::Failed]);
}

#[test]
fn a_pass_after_a_retry_is_flaky_and_says_so() {
    let runs = || vec![vec![attempt(Ending::Violated), undecided(), attempt(Ending::Held)]];
    let result = gate(runs(), Rules::default(), None);
    check(&result, 0, &[Standing::Flaky]);
    assert_eq!(result.experiments[0].notes, ["run 3 times: violated, then inconclusive, then held"]);
    check(&gate(runs(), Rules { flaky_fails: true, ..Rules::default() }, None), 1, &[Standing::Flaky]);
}

#[test]
fn a_quarantine_is_told_ends_and_hides_nothing_that_was_left_behind() {
    use Standing::{Failed, Passed, Quarantined};
    let violated = || vec![vec![attempt(Ending::Violated)], vec![attempt(Ending::Held)]];
    let open = Some("until 2026-11-21, being rebuilt");
    let result = gate(violated(), Rules::default(), open);
    check(&result, 0, &[Quarantined, Passed]);
    assert_eq!(result.experiments[0].notes, ["in quarantine until 2026-11-21: being rebuilt"]);
    let over = gate(violated(), Rules::default(), Some("until 2026-11-20, being rebuilt"));
    check(&over, 1, &[Failed, Passed]);
    assert_eq!(over.experiments[0].notes, ["its quarantine was over on 2026-11-20 (being rebuilt): it counts"]);
    let dirty = Attempt::without_report(RunVerdict::CleanupUnverified, "a table is left");
    check(&gate(vec![vec![dirty], vec![attempt(Ending::Held)]], Rules::default(), open), 7, &[Failed, Passed]);
    // Nothing that counts is no pass.
    check(&gate(vec![vec![attempt(Ending::Held)]], Rules::default(), open), 4, &[Quarantined]);
}

#[test]
fn getting_worse_fails_only_if_asked() {
    let measuring = |number: f64| {
        let mut report = fixture::report(Ending::Held);
        report.run.experiment = "a".into();
        for found in report.objectives.iter_mut().flat_map(|row| &mut row.phases) {
            found.measured = Some(number);
        }
        report
    };
    let candidates = [one("a")];
    let mut file = BaselineFile::read(std::path::Path::new("/nonexistent/baseline.json")).unwrap();
    for _ in 0..5 {
        file.add("main", &measuring(100.0), 10);
    }
    let state = BaselineState { place: "baseline.json".into(), name: "main".into(), updated: false };
    let settled = |worse_by| {
        let now = vec![Attempt::of(measuring(200.0), None)];
        let driven = Driven { attempts: BTreeMap::from([(0, now)]), ..Driven::default() };
        let circumstances = Circumstances {
            rules: Rules { worse_by, ..Rules::default() },
            quarantines: &[],
            today: "2026-11-21".parse().unwrap(),
            baseline: Some((&file, &state)),
            started: "2026-11-21T08:15:00Z".into(),
            within: None,
            notes: Vec::new(),
        };
        settle(&candidates, driven, circumstances)
    };
    let told = settled(None);
    check(&told, 0, &[Standing::Passed]);
    assert!(told.experiments[0].comparison.iter().any(|one| one.change == baseline::Change::Worse));
    check(&settled(Some(20.0)), 1, &[Standing::Failed]);
    check(&settled(Some(150.0)), 0, &[Standing::Passed]);
}
