use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::places::{Places, Written};
use super::stopped::{NotStopped, Stopped, StoppedFault, StoppedFolder};
use super::{Elsewhere, Halt, HaltError, HaltScope, IN_A_FOLDER, set, write_at};
use crate::guard::{FolderInUse, FolderKey, LivingGuard, living};
use crate::identity::{ProcessIdentity, boot_id};
use crate::journal::{Found, Journal, JournalError};
use crate::kernel::Kernel;
use crate::recover::{RecoverError, RecoverResult, recover_recorded};
use crate::state::StateFolder;

/// How often processes and journals are looked at while others undo.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run without a fault in place is waited for, to see it end.
const SETTLE: Duration = Duration::from_secs(5);

/// How a halt is to be carried through.
pub struct HaltOptions<'a> {
    /// Why, for those whose runs it stops.
    pub reason: &'a str,
    /// How long to wait for the undo.
    pub within: Duration,
    /// What undoes that which nobody keeps any more.
    pub kernel: &'a dyn Kernel,
}

impl std::fmt::Debug for HaltOptions<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reason, within, .. } = self;
        formatter.debug_struct("HaltOptions").field("reason", reason).field("within", within).finish_non_exhaustive()
    }
}

/// Halts every run on this host that this user may halt, and waits until what it had in place is undone: root everybody's,
/// anybody else his own. `default` is the caller's state folder, if there is one, which is swept too.
///
/// What nobody keeps any more is undone here in the caller's own folders; in those of others it is theirs to recover,
/// since a record of theirs must not be carried out with root's rights.
///
/// # Errors
/// If no halt can be set, or whom it must stop cannot be found out. What it could not stop is in the answer.
pub fn everything(default: Option<&StateFolder>, options: &HaltOptions<'_>) -> Result<Stopped, HaltError> {
    let places = Places::of_this_process();
    let halt = Halt::now(options.reason, places.scope());
    let (written, problems) = places.set(&halt)?;
    let mut watch = Watch::begin(options, halt)?;
    watch.written = Some((places, written));
    watch.problems = problems.iter().map(ToString::to_string).collect();
    if let Some(state) = default {
        watch.folders.insert(key_of(state.path()).map_err(HaltError::Processes)?, Watched::own(state.clone()));
    }
    watch.carry_through()
}

/// Halts one state folder alone, and waits likewise.
///
/// # Errors
/// As [`everything`].
pub fn folder(state: &StateFolder, options: &HaltOptions<'_>) -> Result<Stopped, HaltError> {
    set(state, options.reason)?;
    let mut watch = Watch::begin(options, Halt::now(options.reason, HaltScope::Folder))?;
    let key = key_of(state.path()).map_err(HaltError::Processes)?;
    watch.only = Some(key);
    watch.folders.insert(key, Watched::own(state.clone()));
    watch.carry_through()
}

fn key_of(path: &Path) -> io::Result<FolderKey> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

struct Watch<'a> {
    options: &'a HaltOptions<'a>,
    halt: Halt,
    boot_id: String,
    began: Instant,
    only: Option<FolderKey>,
    /// The halt files for all state folders; none if one alone is halted.
    written: Option<(&'static Places, Vec<Written>)>,
    folders: BTreeMap<FolderKey, Watched>,
    met: BTreeSet<ProcessIdentity>,
    not_stopped: Vec<(LivingGuard, NotStopped)>,
    problems: Vec<String>,
}

/// A state folder, and what was seen in it since the halt was set.
struct Watched {
    path: PathBuf,
    /// The same folder as this process can read it.
    state: StateFolder,
    _held: Option<FolderInUse>,
    /// Whether this process may carry out what is recorded there.
    is_own: bool,
    owner: u32,
    guards: Vec<LivingGuard>,
    runs: BTreeSet<String>,
    seen: BTreeMap<String, Option<String>>,
    left: BTreeSet<String>,
    given_up: BTreeSet<String>,
}

impl<'a> Watch<'a> {
    fn begin(options: &'a HaltOptions<'a>, halt: Halt) -> Result<Self, HaltError> {
        Ok(Self {
            options,
            halt,
            boot_id: boot_id().map_err(RecoverError::Boot)?,
            began: Instant::now(),
            only: None,
            written: None,
            folders: BTreeMap::new(),
            met: BTreeSet::new(),
            not_stopped: Vec::new(),
            problems: Vec::new(),
        })
    }

    fn carry_through(mut self) -> Result<Stopped, HaltError> {
        let mut quiet: Option<Instant> = None;
        loop {
            for guard in living().map_err(HaltError::Processes)? {
                if self.met.insert(guard.guard) {
                    self.meet(guard);
                }
            }
            for folder in self.folders.values_mut() {
                folder.look(self.options.kernel, &self.boot_id)?;
            }
            let is_quiet = self.folders.values().all(|folder| folder.left.is_subset(&folder.given_up));
            quiet = is_quiet.then(|| quiet.unwrap_or_else(Instant::now));
            let has_ended = !self.folders.values().any(Watched::is_running);
            let has_settled = quiet.is_some_and(|since| has_ended || since.elapsed() >= SETTLE);
            if has_settled || self.began.elapsed() >= self.options.within {
                return Ok(self.report());
            }
            thread::sleep(LOOK);
        }
    }

    /// A guard that was not seen before: its folder is watched, and halted if the halt is out of its sight.
    fn meet(&mut self, guard: LivingGuard) {
        let me = rustix::process::geteuid();
        let is_mine = guard.user == me.as_raw() || me.is_root();
        let opened = if is_mine { guard.open() } else { Err(io::ErrorKind::PermissionDenied.into()) };
        match opened {
            Ok(folder) if self.only.is_none_or(|only| only == folder.key) => {
                if let Err(error) = self.reach(&guard, &folder) {
                    self.refuse(&guard, format!("the halt cannot be set in its folder: {error}"));
                }
                let key = folder.key;
                let watched = self.folders.entry(key).or_insert_with(|| Watched::of(&guard, folder));
                watched.is_own &= guard.shares_numbers;
                watched.guards.push(guard);
            }
            Ok(_) => {}
            Err(_) if self.only.is_some() || !guard.guard.is_alive() => {}
            Err(_) if !is_mine => self.refuse(&guard, "it is not yours".into()),
            Err(error) => self.refuse(&guard, error.to_string()),
        }
    }

    fn refuse(&mut self, guard: &LivingGuard, reason: String) {
        let refused = NotStopped {
            process: guard.process(),
            user: name_of(guard.user),
            folder: guard.state.clone(),
            reason,
            hint: if rustix::process::geteuid().is_root() {
                format!("end it with `kill {}`", guard.process())
            } else {
                "`sudo faultline halt` stops it".into()
            },
        };
        self.not_stopped.push((guard.clone(), refused));
    }

    /// Makes sure that a guard's worker sees a halt: in a container it does not see ours.
    fn reach(&mut self, guard: &LivingGuard, folder: &FolderInUse) -> io::Result<()> {
        let Some((places, written)) = &self.written else { return Ok(()) };
        if written.iter().any(|file| guard.sees(&file.path, file.key)) {
            return Ok(());
        }
        if rustix::fs::statat(folder.descriptor(), IN_A_FOLDER, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        let here = Halt { scope: HaltScope::Folder, ..self.halt.clone() };
        write_at(folder.descriptor(), Path::new(IN_A_FOLDER), &Halt { elsewhere: Vec::new(), ..here }, 0o644)?;
        let elsewhere = Elsewhere { mount_namespace: guard.mount_namespace()?, folder: guard.state.clone() };
        self.halt.elsewhere.push(elsewhere);
        // So that the release finds it.
        places.set(&self.halt).map(|_| ()).map_err(io::Error::other)
    }

    fn report(self) -> Stopped {
        let ids = |of: fn(&StoppedFolder) -> &Vec<StoppedFault>, folders: &[StoppedFolder]| {
            folders.iter().flat_map(of).map(|fault| fault.id.clone()).collect::<Vec<_>>()
        };
        let mut folders: Vec<StoppedFolder> = self.folders.into_values().map(Watched::report).collect();
        folders.sort_by(|a, b| a.folder.cmp(&b.folder));
        // One that has ended meanwhile, by itself or by its owner, needs no stopping.
        let not_stopped = self.not_stopped.into_iter().filter(|(guard, _)| guard.is_alive());
        Stopped {
            halted: true,
            scope: self.halt.scope,
            undone: ids(|folder| &folder.undone, &folders),
            left: ids(|folder| &folder.left, &folders),
            took: self.began.elapsed().as_secs_f64(),
            folders,
            not_stopped: not_stopped.map(|(_, refused)| refused).collect(),
            problems: self.problems,
        }
    }
}

impl Watched {
    fn own(state: StateFolder) -> Self {
        let owner = rustix::process::geteuid().as_raw();
        Self::new(state.path().to_owned(), state, None, true, owner)
    }

    fn of(guard: &LivingGuard, folder: FolderInUse) -> Self {
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

    fn is_running(&self) -> bool {
        self.guards.iter().any(LivingGuard::is_alive)
    }

    fn look(&mut self, kernel: &dyn Kernel, boot_id: &str) -> Result<(), HaltError> {
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

    fn report(self) -> StoppedFolder {
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
