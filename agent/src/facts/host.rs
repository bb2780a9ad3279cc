use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use procfs::{Current, Meminfo};

use super::process::into_io;
use super::{Facts, FactsError, FileSystemFacts, Freezer, KernelFeatures, ProcessFacts};
use crate::identity::{NetworkNamespace, ProcessIdentity};
use crate::kernel::namespace;

/// The host on which this process runs.
#[derive(Debug, Clone)]
pub struct HostFacts {
    state: PathBuf,
    protected: Vec<ProcessIdentity>,
    spared: Arc<Mutex<Vec<ProcessIdentity>>>,
}

impl HostFacts {
    /// The facts of this host. `state` is Faultline's own folder, whose space is kept; `protected` are its processes
    /// besides this one, above all the guard.
    pub fn new(state: &Path, protected: Vec<ProcessIdentity>) -> Self {
        let own = i32::try_from(std::process::id()).ok().and_then(|pid| super::identity_of(pid).ok());
        let mut protected = protected;
        protected.extend(own.filter(|own| !protected.contains(own)));
        Self { state: state.to_path_buf(), protected, spared: Arc::default() }
    }

    /// Protects these processes too from now on, in place of those named here before: those that keep a run together.
    pub fn spare(&self, processes: Vec<ProcessIdentity>) {
        *self.spared.lock().unwrap_or_else(PoisonError::into_inner) = processes;
    }
}

impl Facts for HostFacts {
    fn processes(&self) -> Result<Vec<ProcessFacts>, FactsError> {
        super::processes()
    }

    fn protected(&self) -> Vec<ProcessIdentity> {
        let spared = self.spared.lock().unwrap_or_else(PoisonError::into_inner);
        self.protected.iter().chain(spared.iter()).copied().collect()
    }

    fn available_memory(&self) -> Result<u64, FactsError> {
        let memory = Meminfo::current().map_err(|error| FactsError::new("/proc/meminfo", into_io(error)))?;
        Ok(memory.mem_available.unwrap_or(memory.mem_free))
    }

    fn freezer(&self, cgroup: &Path) -> Option<Freezer> {
        let folder = super::cgroup_mount()?.join(cgroup.strip_prefix("/").unwrap_or(cgroup));
        let frozen = std::fs::read_to_string(folder.join("cgroup.freeze")).ok()?.trim() == "1";
        Some(Freezer { inode: folder.metadata().ok()?.ino(), folder, frozen })
    }

    fn file_system(&self, path: &Path) -> Result<FileSystemFacts, FactsError> {
        super::file_system_of(path)
    }

    fn journal_folder(&self) -> PathBuf {
        self.state.clone()
    }

    fn interfaces(&self, namespace: &NetworkNamespace) -> Result<Vec<String>, FactsError> {
        namespace::interfaces(namespace)
            .map_err(|error| FactsError::new(format!("the interfaces of {namespace}"), std::io::Error::other(error)))
    }

    fn netem_obstacle(&self, namespace: &NetworkNamespace, interface: &str) -> Result<Option<String>, FactsError> {
        crate::kernel::netem::obstacle(namespace, interface)
            .map_err(|error| FactsError::new(format!("the qdiscs of {interface}"), std::io::Error::other(error)))
    }

    fn kernel_features(&self, namespace: &NetworkNamespace) -> KernelFeatures {
        super::kernel_features::probe(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_for_this_host() {
        let folder = tempfile::tempdir().unwrap();
        let guard = super::super::identity_of(1).unwrap();
        let facts = HostFacts::new(folder.path(), vec![guard]);
        let own = super::super::identity_of(std::process::id().try_into().unwrap()).unwrap();
        assert_eq!(facts.protected(), [guard, own]);
        assert_eq!(facts.journal_folder(), folder.path());
        assert!(facts.interfaces(&NetworkNamespace::Own).unwrap().contains(&"lo".to_owned()));
        let available = facts.available_memory().unwrap();
        assert!((1 << 20..1 << 50).contains(&available), "{available}");
        let root = facts.file_system(Path::new("/")).unwrap();
        assert_eq!(root.mount_point, Path::new("/"));
    }
}
