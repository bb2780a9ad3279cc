use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;
use crate::units::Percent;

/// Inodes of a file system taken by empty files in a scratch folder of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InodeFill {
    /// The folder in which the scratch folder is made, without symbolic links.
    pub folder: PathBuf,
    /// The device number of its files, which tells it from another one mounted there later.
    pub device: u64,
    /// Its identifier ([`FileSystemFacts::identifier`](crate::facts::FileSystemFacts::identifier)), by which it is known
    /// after a reboot, when its disk may have another number; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<u64>,
    /// The name of the scratch folder, which must not exist beforehand.
    pub scratch_name: String,
    /// How many are taken.
    pub goal: InodeGoal,
}

/// How many inodes of a file system are to be in use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InodeGoal {
    /// So much as `df -i` counts it.
    ToPercent(Percent),
    /// So many more than before.
    Count(u64),
    /// All but so many.
    LeaveFree(u64),
}

impl Describe for InodeFill {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Boot
    }

    fn describe(&self) -> String {
        let scratch = self.folder.join(&self.scratch_name);
        let goal = match self.goal {
            InodeGoal::ToPercent(percent) => format!("until {percent} of the inodes are used"),
            InodeGoal::Count(count) => format!("until {count} more inodes are used"),
            InodeGoal::LeaveFree(count) => format!("until {count} inodes are left"),
        };
        format!("make empty files in {} {goal}", scratch.display())
    }

    fn describe_undo(&self) -> String {
        format!("remove {} and what was made in it", self.folder.join(&self.scratch_name).display())
    }

    fn manual_undo(&self) -> String {
        format!("rm -rf '{}'", self.folder.join(&self.scratch_name).display())
    }
}
