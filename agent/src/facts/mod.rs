//! What can be read of a host without changing it: the ground on which a fault plans.
//!
//! [`Facts`] is what a fault may ask. The real host answers by `/proc`, `statvfs` and netlink dumps; tests answer from
//! a list.

pub mod doctor;
pub mod fake;
mod file_system;
mod host;
pub mod kernel_features;
mod need;
mod packet_queues;
mod pick;
mod process;
mod protection;
mod selection;

pub use file_system::{cgroup_mount, file_system_of, mount_of};
pub use host::HostFacts;
pub use need::Need;
pub use pick::Pick;
pub use process::{identity_of, processes};
pub use protection::Protection;
pub use selection::{ProcessMatcher, ProcessSelector, Selection, SelectorError};

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

impl FactsError {
    /// An error of reading one object.
    pub fn new(object: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Self { object: object.into(), source: source.into() }
    }
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
    /// The TCP and UDP ports on which it listens, in order.
    pub listens_on: Vec<u16>,
    /// Whether it is a thread of the kernel, which no signal reaches.
    #[serde(default)]
    pub kernel_thread: bool,
}

/// One file system as `df` sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileSystemFacts {
    /// The folder that was asked for, or that holds the file that was, without symbolic links.
    pub folder: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its type: `ext4`, `xfs`, `tmpfs`.
    pub kind: String,
    /// The device number of its files.
    pub device: u64,
    /// What the file system calls itself (`f_fsid` of statvfs(3)), 0 if it does not: ext4, btrfs and f2fs make it of
    /// their UUID, so that it outlives a reboot; xfs makes it of the device number.
    pub identifier: u64,
    /// The size of a block in bytes (`f_frsize`).
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks, those kept for root included.
    pub free_blocks: u64,
    /// Free blocks that an ordinary user may take: what `df` calls available.
    pub available_blocks: u64,
    /// All inodes; 0 where they are made on demand.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// The freezer of one cgroup (v2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freezer {
    /// The folder of the cgroup, the mount included.
    pub folder: PathBuf,
    /// The inode number of that folder.
    pub inode: u64,
    /// Whether somebody has frozen it.
    pub frozen: bool,
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

    /// The bytes of memory that could be taken without swapping (`MemAvailable`): the ceiling of a fault that takes
    /// memory, as filling a tmpfs does.
    ///
    /// # Errors
    /// If `/proc/meminfo` cannot be read.
    fn available_memory(&self) -> Result<u64, FactsError>;

    /// The freezer of a cgroup, given by its path below the mount; nothing if there is no such cgroup, or it has none.
    fn freezer(&self, cgroup: &Path) -> Option<Freezer>;

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

    /// The numbers of the packet queues that somebody listens on in a namespace.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    fn packet_queues(&self, namespace: &NetworkNamespace) -> Result<Vec<u16>, FactsError> {
        packet_queues::taken(namespace)
    }

    /// Why netem must not be put on an interface: somebody's own queueing disciplines are there, or another fault bars the
    /// place. `None` if it may.
    ///
    /// # Errors
    /// If the namespace or the interface cannot be looked at.
    fn netem_obstacle(&self, namespace: &NetworkNamespace, interface: &str) -> Result<Option<String>, FactsError>;

    /// What the kernel can do in a namespace.
    fn kernel_features(&self, namespace: &NetworkNamespace) -> KernelFeatures;
}

impl FileSystemFacts {
    /// Used and available blocks together: what `df` takes for the whole.
    pub fn usable_blocks(&self) -> u64 {
        self.blocks.saturating_sub(self.free_blocks) + self.available_blocks
    }

    /// The bytes that an ordinary user may take.
    pub fn available(&self) -> u64 {
        self.available_blocks.saturating_mul(self.block_size)
    }

    /// Whether two descriptions are of one file system. Device numbers do not tell alone: subvolumes of one btrfs, and
    /// an overlay and its upper layer, have different ones, and the same free blocks.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let count = |system: &Self| (system.block_size, system.blocks, system.free_blocks);
        self.device == other.device || count(self) == count(other)
    }

    /// The share in use as `df` counts it, from 0 to 1: used / (used + available), so that blocks kept for root are
    /// neither. 0 where there is nothing to use (coreutils, `df.c`, `get_dev`).
    pub fn used_share(&self) -> f64 {
        let used = self.blocks.saturating_sub(self.free_blocks);
        let usable = self.usable_blocks();
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        if usable == 0 { 0.0 } else { used as f64 / usable as f64 }
    }
}
