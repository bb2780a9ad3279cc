use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::places::{Places, Written};
use super::stopped::{NotStopped, Stopped, StoppedFault, StoppedFolder};
use super::watched::{Watched, name_of};
use super::{Elsewhere, Halt, HaltError, HaltScope, IN_A_FOLDER, set, write_at};
use crate::guard::{self, FolderInUse, FolderKey, LivingGuard, key_of, living};
use crate::identity::{ProcessIdentity, boot_id};
use crate::kernel::Kernel;
use crate::recover::RecoverError;
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
    // What an earlier halt reached elsewhere is released with this one.
    let elsewhere = places.read_own().map(|halt| halt.elsewhere).unwrap_or_default();
    let halt = Halt { elsewhere, ..Halt::now(options.reason, places.scope()) };
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
/// As [`everything()`].
pub fn folder(state: &StateFolder, options: &HaltOptions<'_>) -> Result<Stopped, HaltError> {
    set(state, options.reason)?;
    let mut watch = Watch::begin(options, Halt::now(options.reason, HaltScope::Folder))?;
    let key = key_of(state.path()).map_err(HaltError::Processes)?;
    watch.only = Some(key);
    watch.folders.insert(key, Watched::own(state.clone()));
    watch.carry_through()
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
        let places = *places;
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
        let (written, _) = places.set(&self.halt).map_err(io::Error::other)?;
        self.written = Some((places, written));
        Ok(())
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
            unseen: guard::unseen().map(Into::into),
            problems: self.problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::identity::FaultId;
    use crate::journal::{FaultState, Journal, Record, StepStatus};
    use crate::kernel::fake::{FakeKernel, World};
    use crate::lease::BootTime;
    use crate::plan::{Plan, Step, step};

    /// The record of a fault that a worker has in place which is dead, or lives for so long as this test.
    fn record(number: u64, worker: ProcessIdentity) -> Record {
        let freeze = step::CgroupFreeze { folder: format!("/cgroup/{number}").into(), inode: 1 };
        Record {
            run: Some("run-1".into()),
            boot_id: boot_id().unwrap(),
            worker,
            guard: None,
            since: "2026-01-01T00:00:00Z".into(),
            deadline: BootTime::now(),
            state: FaultState::Active,
            steps: vec![StepStatus::Applied],
            plan: Plan {
                id: FaultId::from_number(number),
                fault: "process-pause".into(),
                targets: vec![],
                dose: vec![],
                steps: vec![Step::CgroupFreeze(freeze)],
                notes: vec![],
            },
        }
    }

    #[test]
    fn what_nobody_keeps_is_undone_and_what_somebody_keeps_or_is_stuck_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("s"))).unwrap();
        let own = ProcessIdentity::own().unwrap();
        let dead = ProcessIdentity { pid: i32::MAX, start_time: 1 };
        let mut world = World::default();
        for (number, worker) in [(1, dead), (2, own), (3, dead)] {
            let record = record(number, worker);
            let value = record.plan.steps[0].describe();
            let name = format!("frozen /cgroup/{number}");
            world.things.insert(name, crate::kernel::fake::Thing { value, process: None });
            Journal::of(&state).write(&record).unwrap();
        }
        let world = Arc::new(Mutex::new(world));
        let kernel = FakeKernel::new(Arc::clone(&world), 1).broken("frozen /cgroup/3");
        let options = HaltOptions { reason: "enough", within: Duration::from_millis(200), kernel: &kernel };
        let stopped = folder(&state, &options).unwrap();
        assert_eq!(stopped.undone, ["000000000001"]);
        assert_eq!(stopped.left, ["000000000002", "000000000003"]);
        assert!(!stopped.is_complete() && stopped.folders[0].runs == ["run-1"], "{stopped}");
        assert_eq!(super::super::read(&state).unwrap().reason, "enough");
        assert_eq!(world.lock().unwrap().things.len(), 2);
    }
}
