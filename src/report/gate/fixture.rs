//! A gate's result with one experiment of each kind, for the snapshots of all formats.

use std::collections::BTreeMap;

use crate::experiment::document::ApiVersion;
use crate::gate::Quarantine;
use crate::gate::baseline::{Change, Comparison};
use crate::gate::result::{
    Attempt, BaselineState, ExperimentResult, GateResult, QuarantineState, ResultKind, Standing,
};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::fixture::{self, Ending};

fn attempt(ending: Ending) -> Attempt {
    let mut report = fixture::report(ending);
    // One objective shows every case; all of them would drown the snapshot.
    report.objectives.truncate(1);
    Attempt::of(report, Some("/var/lib/faultline/runs/20261121T081500-5ca1ab".into()))
}

fn experiment(name: &str, standing: Standing, exit_code: u8, attempts: Vec<Attempt>) -> ExperimentResult {
    ExperimentResult {
        experiment: name.into(),
        file: format!("/work/chaos/{name}.yaml"),
        line: 4,
        objective_lines: vec![12],
        labels: BTreeMap::from([("team".into(), "payments".into())]),
        standing,
        exit_code,
        verdict: attempts.last().map(|attempt| attempt.verdict),
        because: attempts.last().map_or_else(String::new, |attempt| attempt.because.clone()),
        notes: Vec::new(),
        quarantine: None,
        attempts,
        comparison: Vec::new(),
        worse: false,
    }
}

fn result(exit_code: u8, experiments: Vec<ExperimentResult>) -> GateResult {
    GateResult {
        api_version: ApiVersion::V1,
        kind: ResultKind::GateResult,
        version: "0.1.0".into(),
        started: "2026-11-21T08:15:00Z".into(),
        duration: 183.0,
        within: Some(1200.0),
        exit_code,
        interrupted: None,
        notes: Vec::new(),
        baseline: None,
        experiments,
    }
}

/// A gate that passed.
pub(crate) fn passed() -> GateResult {
    result(0, vec![experiment("held", Standing::Passed, 0, vec![attempt(Ending::Held)])])
}

/// One of each kind.
pub(crate) fn mixed() -> GateResult {
    let mut held = experiment("held", Standing::Passed, 0, vec![attempt(Ending::Held)]);
    let compared = |change, text: &str| Comparison {
        objective: "checkout: p99 latency below 300ms".into(),
        change,
        measured: Some(212.0),
        before: vec![180.0, 181.5, 179.0, 180.5],
        mean: Some(180.25),
        expected: Some((173.4, 187.1)),
        percent: Some(17.6),
        text: text.into(),
    };
    held.comparison = vec![compared(
        Change::Worse,
        "worse: 212 ms, mean of the last 4 runs 180.25 ms, +17.6%; 173.4 ms to 187.1 ms was to be expected",
    )];
    let violated = experiment("violated", Standing::Failed, 1, vec![attempt(Ending::Violated)]);
    let mut quarantined = experiment("quarantined", Standing::Quarantined, 0, vec![attempt(Ending::Violated)]);
    quarantined.notes = vec!["in quarantine until 2027-01-31: the queue is being replaced".into()];
    quarantined.quarantine = Some(QuarantineState {
        quarantine: Quarantine { until: jiff::civil::date(2027, 1, 31), reason: "the queue is being replaced".into() },
        over: false,
    });
    let mut flaky = experiment("flaky", Standing::Flaky, 0, vec![attempt(Ending::Violated), attempt(Ending::Held)]);
    flaky.notes = vec!["run 2 times: violated, then held".into()];
    let undecided = Attempt::without_report(RunVerdict::Inconclusive, "checkout: errors below 1%: too few requests");
    let not_decided = experiment("not-decided", Standing::NotDecided, 0, vec![undecided]);
    let mut not_run = experiment("not-run", Standing::NotRun, 3, Vec::new());
    not_run.because = "not run: its method takes 1m, and 35s of the time box was left".into();
    let mut result = result(3, vec![held, violated, quarantined, flaky, not_decided, not_run]);
    result.baseline = Some(BaselineState { place: "chaos/baseline.json".into(), name: "main".into(), updated: false });
    result
}
