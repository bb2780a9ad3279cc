use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Plan, UndoClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fault: what was asked, what was done, what was measured, what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultReport {
    /// Its id.
    pub id: FaultId,
    /// Its name in the catalogue.
    pub fault: String,
    /// The name of the target in the document, or `host`.
    pub target: String,
    /// How far it came.
    pub progress: FaultProgress,
    /// Why it could not be put in place, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected_at: Option<f64>,
    /// How long putting it in place took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injection_took: Option<f64>,
    /// When its undo was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_at: Option<f64>,
    /// How long the undo took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_took: Option<f64>,
    /// When its host was lost before its time was over, if it was: from then on nobody knows that it acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<f64>,
    /// Whether it was measured to act; nothing if it was never measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bite: Option<Bite>,
    /// When it was first measured to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_at: Option<f64>,
    /// What became of the processes of its target while it was in place, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What was asked and what was measured.
    pub dose: Vec<DoseRow>,
    /// Each step with its undo.
    pub steps: Vec<StepReport>,
    /// How it is undone after a crash.
    pub undo_class: UndoClass,
    /// The plan that was carried out, as `faultline plan --json` prints it.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub plan: Plan,
}

/// How far a fault came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultProgress {
    /// Only planned: the run ended before its turn.
    Planned,
    /// It could not be put in place; what was done of it was undone.
    Failed,
    /// Undone, and the host seen to be as before.
    Undone,
    /// The undo is not verified: something may be left.
    UndoUnverified,
    /// It was, or may have been, in place when the journal ended.
    InPlace,
}

/// One measure of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoseRow {
    /// What is measured.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What was asked, if it answers a dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
    /// What was measured, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// How it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One step of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepReport {
    /// What was done; nothing if the journal tells of an undo that the plan does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub does: Option<String>,
    /// What undo does.
    pub undo: String,
    /// How the undo ended; nothing if it is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether it is certain that nothing is left of it.
    pub clean: bool,
    /// The command by which a person can undo it, where that is not certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<String>,
}
