use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use super::HaltError;
use super::stopped::{StoppedFault, StoppedFolder};
use crate::guard::{FolderInUse, LivingGuard, key_of};
use crate::journal::{Found, Journal, JournalError};
use crate::kernel::Kernel;
use crate::recover::{RecoverResult, recover_recorded};
use crate::state::StateFolder;

/// A state folder, and what was seen in it since the halt was set.
pub(super) struct Watched {
    path: PathBuf,
    /// The same folder as this process can read it.
    state: StateFolder,
    _held: Option<FolderInUse>,
    /// Whether this process may carry out what is recorded there.
    pub(super) is_own: bool,
    owner: u32,
    pub(super) guards: Vec<LivingGuard>,
    runs: BTreeSet<String>,
    seen: BTreeMap<String, Option<String>>,
    pub(super) left: BTreeSet<String>,
    pub(super) given_up: BTreeSet<String>,
}

impl Watched {
    pub(super) fn own(state: StateFolder) -> Self {
        let owner = rustix::process::geteuid().as_raw();
        Self::new(state.path().to_owned(), state, None, true, owner)
    }

    pub(super) fn of(guard: &LivingGuard, folder: FolderInUse) -> Self {
        // The same folder under the same path, of this user: what is recorded there was recorded by himself.
        let is_mine = guard.user == rustix::process::geteuid().as_raw();
        let here = (is_mine && key_of(&guard.state).ok() == Some(folder.key))
            .then(|| StateFolder::existing(Some(&guard.state)).ok().flatten())
            .flatten();
        let is_own = here.is_some();
        let state = here.unwrap_or_else(|| folder.state());
        Self::new(guard.state.clone(), state, Some(folder), is_own, guard.user)
    }

    fn new(path: PathBuf, state: StateFolder, held: Option<FolderInUse>, is_own: bool, owner: u32) -> Self {
        Self {
            path,
            state,
            _held: held,
            is_own,
            owner,
            guards: Vec::new(),
            runs: BTreeSet::new(),
            seen: BTreeMap::new(),
            left: BTreeSet::new(),
            given_up: BTreeSet::new(),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.guards.iter().any(LivingGuard::is_alive)
    }

    pub(super) fn look(&mut self, kernel: &dyn Kernel, boot_id: &str) -> Result<(), HaltError> {
        let was_running = self.is_running();
        let unkept = self.read(boot_id)?;
        if self.is_own {
            // What is stuck stays so for now: trying again at every look would only hide it behind noise.
            if unkept.iter().any(|id| !self.given_up.contains(id)) {
                let recovery = recover_recorded(&self.state, kernel)?;
                let tried = recovery.into_iter().filter(|fault| !matches!(fault.result, RecoverResult::Kept { .. }));
                self.given_up.extend(tried.filter_map(|fault| fault.id).map(|id| id.to_string()));
                self.given_up.extend(unkept.into_iter().filter(|id| id.contains('/')));
                self.read(boot_id)?;
            }
        } else if !was_running {
            // Nobody is left who would.
            self.given_up.clone_from(&self.left);
        }
        Ok(())
    }

    /// Reads the journal, and answers the ids (or files) of the records that nobody keeps.
    fn read(&mut self, boot_id: &str) -> Result<Vec<String>, JournalError> {
        let found = match Journal::of(&self.state).read_all() {
            // It may have been removed, as a test or a container does with its own.
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Vec::new(),
            found => found?,
        };
        let mut unkept = Vec::new();
        self.left.clear();
        for found in found {
            let (id, fault, is_kept) = match found {
                Found::Record(record) => {
                    self.runs.extend(record.run.clone());
                    (record.id().to_string(), Some(record.plan.fault.clone()), record.has_keeper(boot_id))
                }
                Found::Unreadable { path, id, .. } => {
                    (id.map_or_else(|| path.display().to_string(), |id| id.to_string()), None, false)
                }
            };
            if !is_kept {
                unkept.push(id.clone());
            }
            self.left.insert(id.clone());
            self.seen.insert(id, fault);
        }
        Ok(unkept)
    }

    pub(super) fn report(self) -> StoppedFolder {
        let still_alive = self.guards.iter().filter(|guard| guard.is_alive()).map(LivingGuard::process).collect();
        let faults = self.seen.into_iter().map(|(id, fault)| StoppedFault { id, fault });
        let (left, undone) = faults.partition(|fault| self.left.contains(&fault.id));
        StoppedFolder {
            folder: self.path,
            user: name_of(self.owner),
            processes: self.guards.iter().map(LivingGuard::process).collect(),
            still_alive,
            runs: self.runs.into_iter().collect(),
            undone,
            left,
        }
    }
}

/// The name of a user, or his number if he has none.
pub(crate) fn name_of(user: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user)).ok().flatten();
    found.map_or_else(|| format!("user {user}"), |user| user.name)
}
