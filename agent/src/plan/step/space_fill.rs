use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// Space taken by an unlinked file that the worker holds open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpaceFill {
    /// A folder on the file system.
    pub folder: std::path::PathBuf,
}

impl Describe for SpaceFill {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        format!("fill the file system of {}", self.folder.display())
    }

    fn describe_undo(&self) -> String {
        "close the unlinked file".into()
    }

    fn manual_undo(&self) -> String {
        "true".into()
    }
}
