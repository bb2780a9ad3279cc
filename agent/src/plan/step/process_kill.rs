use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// Processes to end by a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessKill {
    /// The processes, chosen beforehand.
    pub processes: Vec<crate::identity::ProcessIdentity>,
    /// The signal number.
    pub signal: i32,
}

impl Describe for ProcessKill {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Irreversible
    }

    fn describe(&self) -> String {
        format!("send signal {} to {} processes", self.signal, self.processes.len())
    }

    fn describe_undo(&self) -> String {
        "nothing: a killed process stays dead".into()
    }

    fn manual_undo(&self) -> String {
        "true".into()
    }
}
