use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::halt::Halt;
use crate::plan::Plan;

/// What a fault would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planned {
    /// Its steps.
    pub plan: Plan,
    /// What its target is now: one line for each thing that is touched.
    pub targets: Vec<String>,
    /// Why the host's own policy forbids it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Why a fault cannot be planned. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[error("{reason}")]
pub struct NotPlanned {
    /// Why, with the way on.
    pub reason: String,
    /// Whether the host cannot do it, rather than must not or need not.
    pub unsupported: bool,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Injected {
    /// What was done.
    pub plan: Plan,
    /// From the command to the last step in place.
    pub took: Duration,
}

/// An injection that failed: why, and what was taken back of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[error("{reason}")]
pub struct NotInjected {
    /// Why, with the way on.
    pub reason: String,
    /// Whether it is certain that nothing is left of it.
    pub verified: bool,
}

impl NotInjected {
    /// One that was refused before anything was touched.
    pub fn nothing(reason: String) -> Self {
        Self { reason, verified: true }
    }
}

/// What an undo found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Undone {
    /// One line a step.
    pub steps: Vec<UndoneStep>,
    /// Whether the host was seen to be as before.
    pub verified: bool,
    /// How long it took.
    pub took: Duration,
}

/// One step, undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UndoneStep {
    /// What undo does.
    pub step: String,
    /// How it ended: `undone`, `was absent`, `left: somebody changed it`, or the error.
    pub outcome: String,
    /// Whether it is certain that nothing is left of it.
    pub clean: bool,
}

/// Why an agent wants everything on its host to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MustStop {
    /// The host was halted, for this reason.
    Halted(Halt),
    /// The guard is gone: nobody would undo if this process died now.
    GuardLost,
}

/// An error with its causes and its hint in one text, as a run's journal keeps it.
pub(super) fn told(error: &dyn std::error::Error, hint: Option<String>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.contains(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}
