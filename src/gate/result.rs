//! What came of the gate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Quarantine;
use super::baseline::Comparison;
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

/// The worst of several exit codes, in the order 7 130 2 6 3 5 1 4 0; an interruption, after which nothing more runs, comes
/// right after what may have been left behind. Nothing at all is the worst: nobody knows then.
pub fn worst(codes: &[u8]) -> u8 {
    const ORDER: [u8; 9] = [7, 130, 2, 6, 3, 5, 1, 4, 0];
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(7)
}
