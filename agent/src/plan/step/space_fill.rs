use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;
use crate::units::{ByteRate, Bytes, Percent};

/// Space of a file system taken by an unlinked file that the worker holds open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpaceFill {
    /// A folder on the file system, without symbolic links.
    pub folder: PathBuf,
    /// The device number of its files, which tells it from another one mounted there later.
    pub device: u64,
    /// How much is taken.
    pub goal: SpaceGoal,
    /// How fast; as fast as it goes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<ByteRate>,
    /// The name under which the file is made, and from which it is unlinked at once, on a file system that cannot
    /// make a file without a name; such a one is not touched when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch_name: Option<String>,
    /// Which file it is, once it is there: written to the journal before it takes any space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
}

/// How much of a file system is to be in use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceGoal {
    /// So much as `df` counts it: used / (used + available).
    ToPercent(Percent),
    /// So many bytes more than before.
    Bytes(Bytes),
    /// All but so many bytes of what is available to ordinary users.
    LeaveFree(Bytes),
}

impl Describe for SpaceFill {
    fn undo_class(&self) -> UndoClass {
        if self.scratch_name.is_some() { UndoClass::Boot } else { UndoClass::Kernel }
    }

    fn describe(&self) -> String {
        let folder = self.folder.display();
        let speed = self.speed.map(|speed| format!(" at {speed}")).unwrap_or_default();
        let goal = match self.goal {
            SpaceGoal::ToPercent(percent) => format!("until {percent} of the file system are used"),
            SpaceGoal::Bytes(bytes) => format!("of {bytes}"),
            SpaceGoal::LeaveFree(bytes) => format!("until {bytes} are left available"),
        };
        format!("grow a file without a name in {folder} {goal}{speed}")
    }

    fn describe_undo(&self) -> String {
        "close the file, which gives its space back".into()
    }

    fn manual_undo(&self) -> String {
        match &self.scratch_name {
            Some(name) => format!("rm -f '{}'", self.folder.join(name).display()),
            None => format!("lsof +L1 '{}' # then end the process that holds the deleted file", self.folder.display()),
        }
    }
}
