use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// A cgroup (v2) to freeze whole, which was not frozen before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CgroupFreeze {
    /// Its folder, the mount included.
    pub folder: PathBuf,
    /// The inode number of the folder, which tells it from a later one of the same name.
    pub inode: u64,
}

impl Describe for CgroupFreeze {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Guard
    }

    fn describe(&self) -> String {
        format!("write 1 to {}", self.folder.join("cgroup.freeze").display())
    }

    fn describe_undo(&self) -> String {
        "write back 0, unless it is 0 again already".into()
    }

    fn manual_undo(&self) -> String {
        format!("echo 0 > '{}'", self.folder.join("cgroup.freeze").display())
    }
}
