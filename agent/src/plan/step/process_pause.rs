use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use super::process_kill::list;
use crate::identity::ProcessIdentity;
use crate::plan::UndoClass;
use crate::units::TimeSpan;

/// Processes to stop by `SIGSTOP`, and to continue later.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessPause {
    /// The processes, chosen beforehand; none of them was stopped before.
    pub processes: Vec<ProcessIdentity>,
    /// Whether children that they start until all of them stand still are stopped as well.
    #[serde(default)]
    pub descendants: bool,
    /// Processes that are never stopped, nor any from which they descend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spared: Vec<ProcessIdentity>,
    /// Stopping and continuing in turn; one pause throughout when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Beat>,
}

/// Stopping and continuing in turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Beat {
    /// How long each pause is.
    pub pause: TimeSpan,
    /// The time from the beginning of one pause to that of the next.
    pub every: TimeSpan,
}

impl Describe for ProcessPause {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Guard
    }

    fn describe(&self) -> String {
        let children = if self.descendants { " and the children that they start meanwhile" } else { "" };
        let beat = self.beat.map(|beat| format!(", for {} every {}", beat.pause, beat.every)).unwrap_or_default();
        format!("stop {}{children}{beat}", list(&self.processes))
    }

    fn describe_undo(&self) -> String {
        "continue exactly those, where they are still stopped".into()
    }

    fn manual_undo(&self) -> String {
        format!("kill -CONT {}", self.processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}
