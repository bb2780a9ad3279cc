//! What came of the gate: what counts, what does not and why, and the one exit code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

use super::agenda::Length;
use super::baseline::{self, BaselineFile, Comparison};
use super::drive::Driven;
use super::{Candidate, Quarantine};
use crate::experiment::document::ApiVersion;
use crate::hypothesis::verdict::RunVerdict;
use crate::report::{Link, ObjectiveRow, RunReport};

/// One run of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its id; nothing if it could not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// The exit code of such a verdict.
    pub exit_code: u8,
    /// Why, in one sentence.
    pub because: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The seed of everything left to chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Its folder, with journal and report, if it is on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The chain of evidence.
    pub chain: Vec<Link>,
    /// The objectives, judged in each phase.
    pub objectives: Vec<ObjectiveRow>,
    /// Everything else that is known of it.
    #[serde(skip)]
    pub report: Option<Box<RunReport>>,
}

impl Attempt {
    /// A run with its report.
    pub fn of(report: RunReport, folder: Option<PathBuf>) -> Self {
        Self {
            run: Some(report.run.id.clone()),
            verdict: report.verdict,
            exit_code: report.exit_code,
            because: report.because.clone(),
            duration: report.run.duration,
            seed: Some(report.run.seed),
            folder,
            chain: report.chain.clone(),
            objectives: report.objectives.clone(),
            report: Some(Box::new(report)),
        }
    }

    /// A run of which there is no report: it could not begin, or broke down.
    pub fn without_report(verdict: RunVerdict, because: impl Into<String>) -> Self {
        Self {
            run: None,
            verdict,
            exit_code: verdict.exit_code(),
            because: because.into(),
            duration: 0.0,
            seed: None,
            folder: None,
            chain: Vec::new(),
            objectives: Vec::new(),
            report: None,
        }
    }
}

/// What an experiment is to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It held at its first run.
    Passed,
    /// It held, but only when it was run again; whether that passes is told by its exit code.
    Flaky,
    /// It was not decided, and that was asked to pass.
    NotDecided,
    /// It counts, and fails the gate.
    Failed,
    /// It is told of, and does not count.
    Quarantined,
    /// It did not run. That is never a pass.
    NotRun,
}

/// A quarantine on the day of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineState {
    /// The quarantine.
    #[serde(flatten)]
    pub quarantine: Quarantine,
    /// Whether its last day has passed: the experiment counts again.
    pub over: bool,
}

/// What came of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentResult {
    /// Its name.
    pub experiment: String,
    /// The file in which it is.
    pub file: String,
    /// The line of its name there.
    pub line: usize,
    /// The lines of its objectives.
    pub objective_lines: Vec<usize>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is to the gate.
    pub standing: Standing,
    /// Its part in the gate's exit code.
    pub exit_code: u8,
    /// The verdict of its last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<RunVerdict>,
    /// Why, in one sentence.
    pub because: String,
    /// What else people should know, one sentence each.
    pub notes: Vec<String>,
    /// Its quarantine, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineState>,
    /// Its runs, in order.
    pub attempts: Vec<Attempt>,
    /// Its objectives beside the runs before, if there is a baseline.
    pub comparison: Vec<Comparison>,
    /// Whether it got worse by more than was allowed.
    pub worse: bool,
}

/// The baseline that was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineState {
    /// Its file, or the controller that keeps it.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Whether this gate's runs were added.
    pub updated: bool,
}

/// What the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ResultKind {
    /// That of a gate.
    GateResult,
}

/// Everything that came of the gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateResult {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `GateResult`.
    pub kind: ResultKind,
    /// The version of faultline.
    pub version: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The time box, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<f64>,
    /// The worst that counts, in the order 7 130 2 6 3 5 1 4 0.
    pub exit_code: u8,
    /// By what it was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// What is to be known of the whole, one sentence each.
    pub notes: Vec<String>,
    /// The baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineState>,
    /// Each experiment, in the order of the selection.
    pub experiments: Vec<ExperimentResult>,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rules {
    /// Whether an experiment that was not decided passes. One without data never does.
    pub undecided_passes: bool,
    /// Whether one that held only when it was run again fails.
    pub flaky_fails: bool,
    /// By how many percent an objective may be worse than the baseline.
    pub worse_by: Option<f64>,
}

/// What the result is made of, beside what happened.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// What counts.
    pub rules: Rules,
    /// The quarantine of each experiment.
    pub quarantines: &'a [Option<Quarantine>],
    /// The day.
    pub today: Date,
    /// The baseline and its name.
    pub baseline: Option<(&'a BaselineFile, &'a BaselineState)>,
    /// When the gate began, RFC 3339.
    pub started: String,
    /// The time box.
    pub within: Option<std::time::Duration>,
    /// What is to be known of the whole.
    pub notes: Vec<String>,
}

/// Puts together what came of the gate. Pure.
pub fn settle(candidates: &[Candidate], driven: Driven, circumstances: Circumstances<'_>) -> GateResult {
    let Circumstances { rules, quarantines, today, baseline, started, within, mut notes } = circumstances;
    let Driven { mut attempts, left_out, interrupted, took } = driven;
    let mut experiments = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let quarantine = quarantines.get(index).cloned().flatten();
        let quarantine = quarantine.map(|quarantine| QuarantineState { over: quarantine.is_over(today), quarantine });
        let attempts = attempts.remove(&index).unwrap_or_default();
        let mut result = experiment(candidate, attempts, left_out.get(&index), quarantine, rules);
        if let (Some((file, state)), Some(report)) =
            (baseline, result.attempts.last().and_then(|attempt| attempt.report.as_deref()))
        {
            let (comparison, verdict) = baseline::compare(report, file.runs(&state.name, candidate.name()));
            result.notes.extend(verdict.map(|told| format!("the verdict changed: {told}")));
            result.comparison = comparison;
            judge_worse(&mut result, rules);
        }
        experiments.push(result);
    }
    let mut codes: Vec<u8> = experiments.iter().map(|result| result.exit_code).collect();
    codes.extend(interrupted.is_some().then_some(130));
    if experiments.iter().all(|result| result.standing == Standing::Quarantined) {
        notes.push("every experiment is in quarantine, so nothing that counts was shown".into());
        codes.push(4);
    }
    GateResult {
        api_version: ApiVersion::V1,
        kind: ResultKind::GateResult,
        version: env!("CARGO_PKG_VERSION").into(),
        started,
        duration: took.as_secs_f64(),
        within: within.map(|within| within.as_secs_f64()),
        exit_code: worst(&codes),
        interrupted,
        notes,
        baseline: baseline.map(|(_, state)| state.clone()),
        experiments,
    }
}

fn experiment(
    candidate: &Candidate,
    attempts: Vec<Attempt>,
    left_out: Option<&String>,
    quarantine: Option<QuarantineState>,
    rules: Rules,
) -> ExperimentResult {
    let mut notes = Vec::new();
    let last = attempts.last();
    let retried = attempts.len() > 1;
    let (mut standing, mut exit_code, because) = match last {
        None => {
            (Standing::NotRun, 3, format!("not run: {}", left_out.map_or("nothing is known of it", String::as_str)))
        }
        Some(last) => {
            let standing = match last.verdict {
                RunVerdict::Held if retried => Standing::Flaky,
                RunVerdict::Held => Standing::Passed,
                RunVerdict::Inconclusive if rules.undecided_passes => Standing::NotDecided,
                _ => Standing::Failed,
            };
            let code = match standing {
                Standing::Flaky if rules.flaky_fails => {
                    worst(&attempts.iter().map(|attempt| attempt.exit_code).collect::<Vec<_>>())
                }
                Standing::Failed => last.exit_code,
                _ => 0,
            };
            (standing, code, last.because.clone())
        }
    };
    if retried {
        let words: Vec<&str> = attempts.iter().map(|attempt| attempt.verdict.word()).collect();
        notes.push(format!("run {} times: {}", attempts.len(), words.join(", then ")));
    }
    if let (Some(because), Some(_)) = (left_out, last) {
        notes.push(format!("not run again: {because}"));
    }
    match &quarantine {
        Some(QuarantineState { quarantine, over: true }) => {
            notes.push(format!("its quarantine was over on {} ({}): it counts", quarantine.until, quarantine.reason));
        }
        Some(QuarantineState { quarantine, over: false }) => {
            let ends = format!("in quarantine until {}: {}", quarantine.until, quarantine.reason);
            if exit_code == 7 {
                notes.push(format!("{ends}; what may be left behind counts all the same"));
            } else {
                let held = matches!(standing, Standing::Passed);
                notes.push(format!("{ends}{}", if held { "; it held, and may leave it" } else { "" }));
                (standing, exit_code) = (Standing::Quarantined, 0);
            }
        }
        None => {}
    }
    ExperimentResult {
        experiment: candidate.name().into(),
        file: candidate.loaded.file.clone(),
        line: candidate.line,
        objective_lines: candidate.objective_lines.clone(),
        labels: candidate.loaded.document.metadata.labels.clone(),
        standing,
        exit_code,
        verdict: last.map(|attempt| attempt.verdict),
        because,
        notes,
        quarantine,
        attempts,
        comparison: Vec::new(),
        worse: false,
    }
}

fn judge_worse(result: &mut ExperimentResult, rules: Rules) {
    let Some(percent) = rules.worse_by else { return };
    let worse: Vec<&Comparison> = result.comparison.iter().filter(|one| one.is_worse_by(percent)).collect();
    if worse.is_empty() {
        return;
    }
    let told = worse.iter().map(|one| format!("{}: more than {percent}% {}", one.objective, one.text));
    result.notes.extend(told.collect::<Vec<_>>());
    result.worse = true;
    if result.standing != Standing::Quarantined && result.exit_code == 0 {
        (result.standing, result.exit_code) = (Standing::Failed, 1);
    }
}

/// The worst of several exit codes, in the order 7 130 2 6 3 5 1 4 0; an interruption, after which nothing more runs, comes
/// right after what may have been left behind. Nothing at all is the worst: nobody knows then.
pub fn worst(codes: &[u8]) -> u8 {
    const ORDER: [u8; 9] = [7, 130, 2, 6, 3, 5, 1, 4, 0];
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(7)
}

/// The sum of lengths, for plans.
pub fn sum(lengths: &[Length]) -> Length {
    Length {
        least: lengths.iter().map(|length| length.least).sum(),
        most: lengths.iter().map(|length| length.most).sum(),
    }
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
