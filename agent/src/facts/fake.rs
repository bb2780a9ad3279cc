//! A host made up in memory, for tests of what faults plan. It answers what it was told and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Facts, FactsError, Feature, FileSystemFacts, Freezer, KernelFeatures, ProcessFacts};
use crate::identity::{NetworkNamespace, ProcessIdentity};

/// A host made up in memory: process 1, the agent as process 100, one file system, `lo` and `eth0`, and a kernel that
/// can do everything. Change its fields for anything else.
#[derive(Debug, Clone)]
pub struct FakeFacts {
    /// All processes.
    pub processes: Vec<ProcessFacts>,
    /// Those that are Faultline's own.
    pub protected: Vec<ProcessIdentity>,
    /// The file systems; the longest mount point that is a prefix of a path holds it.
    pub file_systems: Vec<FileSystemFacts>,
    /// The folder of the journal.
    pub journal_folder: PathBuf,
    /// Bytes of memory that may be taken.
    pub available_memory: u64,
    /// The freezers, by the path of their cgroup.
    pub freezers: BTreeMap<PathBuf, Freezer>,
    /// The interfaces of each namespace.
    pub interfaces: BTreeMap<NetworkNamespace, Vec<String>>,
    /// Why netem must not be put on an interface, by its name.
    pub netem_obstacles: BTreeMap<String, String>,
    /// What the kernel can do, in every namespace.
    pub kernel_features: KernelFeatures,
}

/// A process of user 1000 below process 1, started at tick `pid`, that sleeps and listens nowhere.
pub fn process(pid: i32, name: &str) -> ProcessFacts {
    ProcessFacts {
        identity: ProcessIdentity { pid, start_time: u64::from(pid.unsigned_abs()) },
        parent: i32::from(pid != 1),
        name: name.into(),
        command_line: vec![format!("/usr/bin/{name}")],
        user: 1000,
        state: 'S',
        cgroup: Some("/".into()),
        network_namespace: Some(4_026_531_840),
        listens_on: Vec::new(),
        kernel_thread: false,
    }
}

/// An ext4 of 100,000 blocks of 4096 bytes, of which 5,000 are kept for root and 20,000 used.
pub fn file_system(mount_point: &str) -> FileSystemFacts {
    FileSystemFacts {
        folder: mount_point.into(),
        mount_point: mount_point.into(),
        kind: "ext4".into(),
        device: 0xfe00,
        identifier: 0x1d,
        block_size: 4096,
        blocks: 100_000,
        free_blocks: 80_000,
        available_blocks: 75_000,
        inodes: 50_000,
        free_inodes: 40_000,
        read_only: false,
    }
}

impl Default for FakeFacts {
    fn default() -> Self {
        let agent = process(100, "faultline");
        Self {
            protected: vec![agent.identity],
            processes: vec![process(1, "init"), agent],
            file_systems: vec![file_system("/")],
            journal_folder: "/var/lib/faultline".into(),
            available_memory: 8 << 30,
            freezers: BTreeMap::new(),
            interfaces: BTreeMap::from([(NetworkNamespace::Own, vec!["lo".into(), "eth0".into()])]),
            netem_obstacles: BTreeMap::new(),
            kernel_features: KernelFeatures {
                release: "6.18.0".into(),
                owner_tables: Feature::Present,
                packet_queue: Feature::Present,
                netem: Feature::Present,
                cgroup_match: Feature::Present,
            },
        }
    }
}

impl Facts for FakeFacts {
    fn processes(&self) -> Result<Vec<ProcessFacts>, FactsError> {
        Ok(self.processes.clone())
    }

    fn protected(&self) -> Vec<ProcessIdentity> {
        self.protected.clone()
    }

    fn available_memory(&self) -> Result<u64, FactsError> {
        Ok(self.available_memory)
    }

    fn freezer(&self, cgroup: &Path) -> Option<Freezer> {
        self.freezers.get(cgroup).cloned()
    }

    fn file_system(&self, path: &Path) -> Result<FileSystemFacts, FactsError> {
        let holding = self.file_systems.iter().filter(|system| path.starts_with(&system.mount_point));
        holding
            .max_by_key(|system| system.mount_point.components().count())
            .map(|system| FileSystemFacts { folder: path.to_path_buf(), ..system.clone() })
            .ok_or_else(|| FactsError::new(path.display().to_string(), std::io::ErrorKind::NotFound))
    }

    fn journal_folder(&self) -> PathBuf {
        self.journal_folder.clone()
    }

    fn interfaces(&self, namespace: &NetworkNamespace) -> Result<Vec<String>, FactsError> {
        let listed = self.interfaces.get(namespace).cloned();
        listed.ok_or_else(|| FactsError::new(namespace.to_string(), std::io::ErrorKind::NotFound))
    }

    fn netem_obstacle(&self, _namespace: &NetworkNamespace, interface: &str) -> Result<Option<String>, FactsError> {
        Ok(self.netem_obstacles.get(interface).cloned())
    }

    fn kernel_features(&self, _namespace: &NetworkNamespace) -> KernelFeatures {
        self.kernel_features.clone()
    }
}
