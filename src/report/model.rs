//! What a report says, as data. The JSON report is exactly this.

mod again;
mod fault;
mod host;
mod signal;

pub use again::JudgedAgain;
pub use fault::{DoseRow, FaultProgress, FaultReport, StepReport};
pub use host::{HostMoment, HostReport};
pub use signal::{Bound, BoundRole, BoundSide, Failure, Panel, PhaseLatency, PhaseSummary, Point, SignalSeries};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::document::{ApiVersion, Experiment, Objective};
use crate::hypothesis::verdict::{Phase, RunVerdict, Verdict};
use crate::score::AroundRun;
use crate::slo::spent::BudgetSpent;

/// Everything that is known of a run. All times are seconds since it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunReport {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `Report`.
    pub kind: ReportKind,
    /// Which run.
    pub run: RunIdentity,
    /// How it ended.
    pub verdict: RunVerdict,
    /// Whether nothing was injected, on purpose: then the verdict is about the system as it is, and about the judge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub placebo: bool,
    /// Why, in one sentence.
    pub because: String,
    /// The exit code of such a run.
    pub exit_code: u8,
    /// What is not known, one sentence each; empty for a run that finished.
    pub unknown: Vec<String>,
    /// That it was judged again by `faultline judge`, and what the run itself came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_again: Option<JudgedAgain>,
    /// The chain of evidence, in order: steady before, bite, hypothesis, undo, recovery. Only all of them make a pass.
    pub chain: Vec<Link>,
    /// Each objective of the steady state, judged in each phase.
    pub objectives: Vec<ObjectiveRow>,
    /// Each guardrail.
    pub guardrails: Vec<GuardrailRow>,
    /// What the run spent of an error budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRow>,
    /// The score of the run's service before and after it, if that has earlier runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_score: Option<AroundRun>,
    /// The phases that were reached.
    pub phases: Vec<PhaseSpan>,
    /// Each fault, in the order in which it was planned.
    pub faults: Vec<FaultReport>,
    /// Each host of a fleet that vanished, restarted, came back or joined in mid-run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostReport>,
    /// What was different when the run began since its plan was made, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// Each signal, by name.
    pub signals: Vec<SignalSeries>,
    /// Each service that the run started, in the order in which it came up.
    pub services: Vec<ServiceReport>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// The document that was run, after `--set`; `schemas/experiment.json` describes it.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub experiment: Experiment,
}

/// What a run spent of an error budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetRow {
    /// What was there before the run, and how many bad events came since.
    pub spent: BudgetSpent,
    /// Which share of the budget these are: 0.01 is 1%.
    pub share: f64,
    /// The same in one sentence.
    pub sentence: String,
}

/// What this document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReportKind {
    /// The report of one run.
    Report,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunIdentity {
    /// The run's id.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// The sentence that was tested.
    pub hypothesis: String,
    /// The file from which the document came.
    pub file: String,
    /// The host's name and kernel.
    pub host: String,
    /// The version of faultline that ran it.
    pub version: String,
    /// The wall clock at the start, RFC 3339.
    pub started: String,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// Seconds to the last entry of the journal.
    pub duration: f64,
    /// Whether the run came to its end; if not, it was cut off by a crash, or still runs.
    pub finished: bool,
}

/// One link of the chain of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// What has to be shown: `steady before`, `fault bites`, `hypothesis`, `undo verified`, `recovered`.
    pub name: String,
    /// Whether it was.
    pub state: LinkState,
    /// By what, or why not.
    pub detail: String,
}

/// Whether a link of the chain holds. Only `proven` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Shown.
    Proven,
    /// Shown not to be so.
    Broken,
    /// Neither shown nor refuted.
    Unproven,
    /// The run did not come so far.
    NotReached,
}

/// One objective in every phase in which it was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectiveRow {
    /// The objective in a few words.
    pub description: String,
    /// The objective as written.
    pub objective: Objective,
    /// Its verdicts, by phase; empty if the run was not judged.
    pub phases: Vec<PhaseVerdict>,
}

/// The verdict of an objective in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseVerdict {
    /// The phase.
    pub phase: Phase,
    /// What the samples say.
    pub verdict: Verdict,
    /// The number measured: a latency in milliseconds, errors and saturation in percent, traffic in good events a second or
    /// in percent of the baseline, a value as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// The number as printed.
    pub measured_text: String,
    /// How many events it rests on.
    pub events: f64,
    /// How many of them were bad in the objective's sense.
    pub bad: f64,
    /// The probability with which such a verdict may be wrong.
    pub error_rate: f64,
    /// How large what was seen is, with an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<crate::hypothesis::verdict::Effect>,
    /// Why the verdict is what it is.
    pub because: String,
}

/// One guardrail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardrailRow {
    /// The guardrail in a few words.
    pub description: String,
    /// The guardrail as written.
    pub objective: Objective,
    /// When it was breached, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breached_at: Option<f64>,
    /// The number at the breach and why it counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// When a phase was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseSpan {
    /// Which.
    pub phase: Phase,
    /// Its start.
    pub start: f64,
    /// Its end.
    pub end: f64,
}

/// A service of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub changes: Vec<ServiceChange>,
}

/// A change of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceChange {
    /// When.
    pub at: f64,
    /// What.
    pub change: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    /// When.
    pub at: f64,
    /// Of what kind.
    pub kind: MomentKind,
    /// In words.
    pub text: String,
}

/// The kinds of moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MomentKind {
    /// The run itself.
    Run,
    /// A service of the run.
    Service,
    /// A fault was planned, put in place or measured.
    Fault,
    /// A fault was undone.
    Undo,
    /// A guardrail, a halt, an interrupt, a failure.
    Alarm,
    /// A judgement.
    Verdict,
}
