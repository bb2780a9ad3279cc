use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// Inodes taken by empty files in a scratch folder of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InodeFill {
    /// The scratch folder, which must not exist beforehand.
    pub scratch: std::path::PathBuf,
    /// How many files to make.
    pub count: u64,
}

impl Describe for InodeFill {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Boot
    }

    fn describe(&self) -> String {
        format!("make {} empty files in {}", self.count, self.scratch.display())
    }

    fn describe_undo(&self) -> String {
        format!("remove {}", self.scratch.display())
    }

    fn manual_undo(&self) -> String {
        format!("rm -rf {}", self.scratch.display())
    }
}
