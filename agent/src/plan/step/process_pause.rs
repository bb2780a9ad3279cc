use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// Processes to stop, and to continue later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessPause {
    /// The processes, chosen beforehand; none of them was stopped before.
    pub processes: Vec<crate::identity::ProcessIdentity>,
}

impl Describe for ProcessPause {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Guard
    }

    fn describe(&self) -> String {
        format!("stop {} processes", self.processes.len())
    }

    fn describe_undo(&self) -> String {
        "continue exactly those processes".into()
    }

    fn manual_undo(&self) -> String {
        format!("kill -CONT {}", self.processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}
