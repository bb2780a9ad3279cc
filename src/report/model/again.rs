//! That a run was judged again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hypothesis::verdict::RunVerdict;
use crate::report::notation;

/// How a run was judged again, and what it came to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgedAgain {
    /// The file by whose objectives; nothing for those of the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The verdict of the run itself; nothing if it did not finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<RunVerdict>,
    /// Why it was that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_because: Option<String>,
    /// Whether verdict and objectives are those of the run itself, byte for byte.
    pub same: bool,
    /// What must be known of the new judgement, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl JudgedAgain {
    /// In sentences, for people.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let was = match (self.was, &self.was_because) {
            (Some(verdict), Some(because)) => {
                format!("the run itself came to {}: {because}", notation::run_verdict(verdict))
            }
            _ => "the run itself did not finish".into(),
        };
        let first = match (&self.with, self.same) {
            (None, true) => "Judged again by its own objectives: the same as then, byte for byte.".into(),
            (None, false) if self.was.is_none() => format!("Judged again by its own objectives; {was}."),
            (None, false) => format!("Judged again by its own objectives, and NOT as then: {was}."),
            (Some(file), true) => format!("Judged again by {file}: the same as then, byte for byte."),
            (Some(file), false) => format!("Judged again by {file}; {was}."),
        };
        std::iter::once(first).chain(self.notes.iter().cloned()).collect()
    }
}
