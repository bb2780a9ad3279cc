//! What can be read of a host without changing it: the ground on which a fault plans.
//!
//! [`Facts`] is what a fault may ask. The real host answers by `/proc`, `statvfs` and netlink dumps; tests answer from
//! a list.

pub mod doctor;
pub mod kernel_features;
mod need;

pub use need::Need;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{NetworkNamespace, ProcessIdentity};

/// What could not be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {object}: {source}")]
pub struct FactsError {
    /// The path or object.
    pub object: String,
    /// The reason.
    pub source: std::io::Error,
}

/// One process as it was when looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessFacts {
    /// Which process.
    pub identity: ProcessIdentity,
    /// Its parent's number.
    pub parent: i32,
    /// The short name (`/proc/PID/comm`).
    pub name: String,
    /// The command line, one argument an item; empty for kernel threads.
    pub command_line: Vec<String>,
    /// The effective user id.
    pub user: u32,
    /// The state letter of `/proc/PID/stat`: `T` is stopped, `Z` a zombie.
    pub state: char,
    /// Its cgroup v2 path below the mount (`/` at the root), where that hierarchy is mounted.
    pub cgroup: Option<PathBuf>,
    /// The inode number of its network namespace, if it may be read.
    pub network_namespace: Option<u64>,
    /// The TCP and UDP ports on which it listens.
    pub listens_on: Vec<u16>,
}

/// One file system as `df` sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileSystemFacts {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its type: `ext4`, `xfs`, `tmpfs`.
    pub kind: String,
    /// The device number of its files.
    pub device: u64,
    /// The size of a block in bytes (`f_frsize`).
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks, those kept for root included.
    pub free_blocks: u64,
    /// Free blocks that an ordinary user may take.
    pub available_blocks: u64,
    /// All inodes; 0 where they are made on demand.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// What the running kernel can do for us, found by asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelFeatures {
    /// `uname -r`.
    pub release: String,
    /// Whether nftables with owner tables works here, else why not.
    pub owner_tables: Feature,
    /// Whether packets can be handed to a queue (by the nft expression or the xtables target), else why not.
    pub packet_queue: Feature,
    /// Whether the netem queueing discipline is there, else why not.
    pub netem: Feature,
    /// Whether packets can be matched by cgroup v2, else why not.
    pub cgroup_match: Feature,
}

/// One capability of the kernel, and the reason where it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// It works, shown by using it.
    Present,
    /// It does not, for this reason.
    Missing(String),
}

impl Feature {
    /// Whether it works.
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Present)
    }
}

/// What a fault may ask of a host while it plans.
pub trait Facts: Send + Sync {
    /// All processes that can be seen.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    fn processes(&self) -> Result<Vec<ProcessFacts>, FactsError>;

    /// The processes that no fault may touch: process 1, the agent and its guard.
    fn protected(&self) -> Vec<ProcessIdentity>;

    /// The file system that holds a path.
    ///
    /// # Errors
    /// If the path is not there or cannot be looked at.
    fn file_system(&self, path: &Path) -> Result<FileSystemFacts, FactsError>;

    /// The folder of the journal, whose space no fault may starve.
    fn journal_folder(&self) -> PathBuf;

    /// The names of the interfaces of a namespace.
    ///
    /// # Errors
    /// If the namespace cannot be entered or asked.
    fn interfaces(&self, namespace: &NetworkNamespace) -> Result<Vec<String>, FactsError>;

    /// What the kernel can do in a namespace.
    fn kernel_features(&self, namespace: &NetworkNamespace) -> KernelFeatures;
}
