use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::guard::{self, FolderKey, LivingGuard};
use crate::halt::name_of;
use crate::identity::FaultId;
use crate::journal::{Found, Journal};
use crate::kernel::netem::FRAME_MAJOR;
use crate::kernel::remnants::Remnant;
use crate::kernel::{Kernel, Reverted};
use crate::plan::Step;
use crate::state::StateFolder;

/// Something that bears one of Faultline's names and that no record explains: its state folder was lost or emptied by
/// hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is, and where.
    pub what: String,
    /// What became of it.
    pub fate: OrphanFate,
    /// The command with which a person can remove it.
    pub command: String,
}

/// What the recovery did about an orphan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanFate {
    /// It is gone.
    Removed,
    /// It was left as it is, since somebody alive may own it, or it is not what Faultline makes.
    Left {
        /// Who, or what.
        because: String,
    },
    /// It could not be removed.
    Failed {
        /// Why.
        because: String,
    },
}

impl fmt::Display for Orphan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, fate, command } = self;
        match fate {
            OrphanFate::Removed => writeln!(formatter, "removed  {what}, which no record explained"),
            OrphanFate::Left { because } => {
                writeln!(
                    formatter,
                    "left     {what}, which no record here explains: {because}\n         by hand: {command}"
                )
            }
            OrphanFate::Failed { because } => {
                writeln!(formatter, "STUCK    {what}, which no record explains: {because}\n         by hand: {command}")
            }
        }
    }
}

/// Removes what bears our names, if no record that can be read names it and nobody who is alive can own it.
///
/// A living run of another state folder may own anything with our names, so while there is one, what is found is left. Its
/// own records are read all the same, to say whose it is.
pub(super) fn sweep(state: &StateFolder, kernel: &dyn Kernel) -> Vec<Orphan> {
    let found = kernel.remnants();
    if found.is_empty() {
        return Vec::new();
    }
    let mut orphans: Vec<Orphan> = found
        .iter()
        // Everything that is known is asked anew for each: a fault may have been recorded a moment ago, and its record
        // comes before its first step.
        .filter(|remnant| !Known::of(&Journal::of(state)).names(remnant))
        .map(|remnant| Orphan {
            what: remnant.what(),
            fate: decide(state, kernel, remnant),
            command: remnant.command(),
        })
        .collect();
    orphans.sort();
    orphans
}

fn decide(state: &StateFolder, kernel: &dyn Kernel, remnant: &Remnant) -> OrphanFate {
    let left = |because: String| OrphanFate::Left { because };
    for folder in others(state) {
        if Known::of(&Journal::of(&folder)).names(remnant) {
            let folder = folder.path().display();
            return left(format!("it is recorded in {folder}: `faultline recover --state {folder}` undoes it"));
        }
    }
    match owner(state, remnant) {
        Ok(None) => {}
        Ok(Some(who)) => return left(who),
        Err(error) => return left(format!("who is alive cannot be told: cannot list /proc: {error}")),
    }
    match kernel.remove(remnant) {
        // Read back, since the undo of a step passes over what is not that step's.
        Ok(Reverted::Undone | Reverted::Absent) if kernel.remnants().contains(remnant) => {
            left("it is not as Faultline makes it, so somebody else did".into())
        }
        Ok(Reverted::Undone | Reverted::Absent) => OrphanFate::Removed,
        Ok(Reverted::Superseded(why)) => left(why),
        Err(error) => OrphanFate::Failed { because: error.to_string() },
    }
}

/// The state folders besides this one that are known without a living run: root's and the user's own.
fn others(state: &StateFolder) -> Vec<StateFolder> {
    let places = [Some(PathBuf::from(crate::state::SYSTEM_FOLDER)), StateFolder::unnamed()];
    let known = places.into_iter().flatten().filter_map(|place| StateFolder::existing(Some(&place)).ok().flatten());
    let mut known: Vec<StateFolder> = known.filter(|folder| folder.path() != state.path()).collect();
    known.dedup();
    known
}

/// The living run that may own it; a sentence.
fn owner(state: &StateFolder, remnant: &Remnant) -> std::io::Result<Option<String>> {
    let own = guard::key_of(state.path()).ok();
    let mut others: BTreeMap<Option<FolderKey>, LivingGuard> = BTreeMap::new();
    for living in guard::living()? {
        let folder = living.open().ok();
        let key = folder.as_ref().map(|folder| folder.key);
        // A run of this very folder has a record here of whatever it does.
        if key.is_some() && key == own {
            continue;
        }
        if folder.is_some_and(|folder| Known::of(&Journal::of(&folder.state())).names(remnant)) {
            return Ok(Some(format!("{} has it in place", told(&living))));
        }
        others.entry(key).or_insert(living);
    }
    if let Some(living) = others.into_values().next() {
        return Ok(Some(format!("{} is alive, and it may be that run's", told(&living))));
    }
    // A scratch folder is locked by whoever lives, seen or not; a netem is not.
    let unseen = guard::unseen().filter(|_| matches!(remnant, Remnant::Netem(_)));
    Ok(unseen.map(|unseen| format!("it may belong to {unseen}")))
}

fn told(living: &LivingGuard) -> String {
    format!("process {} of {} (state folder {})", living.process(), name_of(living.user), living.state.display())
}

/// The faults that a journal names.
struct Known {
    ids: Vec<FaultId>,
    handles: Vec<u16>,
}

impl Known {
    /// What cannot be read explains nothing, but its name does.
    fn of(journal: &Journal) -> Self {
        let mut known = Self { ids: Vec::new(), handles: Vec::new() };
        for found in journal.read_all().unwrap_or_default() {
            match found {
                Found::Record(record) => {
                    known.handles.extend(record.plan.steps.iter().filter_map(|step| match step {
                        Step::Netem(netem) => Some(netem.handle),
                        _ => None,
                    }));
                    known.ids.push(record.plan.id);
                }
                Found::Unreadable { id, .. } => known.ids.extend(id),
            }
        }
        known
    }

    fn names(&self, remnant: &Remnant) -> bool {
        match remnant {
            Remnant::Table(fault) | Remnant::Scratch { fault, .. } => self.ids.contains(fault),
            // The handle alone follows from the fault's id; another fault of ours on that interface holds the frame.
            Remnant::Netem(netem) if netem.handle == FRAME_MAJOR => !self.handles.is_empty(),
            Remnant::Netem(netem) => self.handles.contains(&netem.handle),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::kernel::{Amend, Hold, HostKernel, KernelError};
    use crate::plan::Evidence;

    /// A host on which something with our names was found. It is given away when asked for.
    #[derive(Debug)]
    struct Finding {
        found: Vec<Remnant>,
        answer: fn() -> Result<Reverted, KernelError>,
        removed: Mutex<Vec<Remnant>>,
    }

    impl Kernel for Finding {
        fn apply(&self, _: &Step, _: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
            Ok(None)
        }
        fn revert(&self, _: &Step) -> Result<Reverted, KernelError> {
            Ok(Reverted::Absent)
        }
        fn is_present(&self, _: &Step) -> Result<bool, KernelError> {
            Ok(false)
        }
        fn measure(&self, _: &Step) -> Result<Evidence, KernelError> {
            Ok(Evidence::combine(Vec::new()))
        }
        fn remnants(&self) -> Vec<Remnant> {
            self.found.clone()
        }
        fn remove(&self, remnant: &Remnant) -> Result<Reverted, KernelError> {
            self.removed.lock().unwrap().push(remnant.clone());
            (self.answer)()
        }
    }

    fn state() -> (tempfile::TempDir, StateFolder) {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("state"))).unwrap();
        (scratch, state)
    }

    fn scratch(number: u64) -> Remnant {
        Remnant::Scratch { folder: "/mnt".into(), fault: FaultId::from_number(number) }
    }

    /// A process with a guard's arguments, which does nothing.
    struct Guard(std::process::Child);

    impl Guard {
        fn of(scratch: &Path, state: &Path) -> Self {
            std::fs::write(scratch.join("guard"), "read nothing").unwrap();
            let mut command = Command::new("sh");
            command.args(["guard", "--for", "1", "1"]).arg(state).current_dir(scratch);
            let process = Self(command.stdin(std::process::Stdio::piped()).spawn().unwrap());
            // The kernel shows the new arguments a moment after the program was started.
            let pid = i32::try_from(process.0.id()).unwrap();
            while !guard::living().unwrap().iter().any(|living| living.guard.pid == pid) {
                std::thread::yield_now();
            }
            process
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_living_run_of_another_folder_keeps_it_and_one_of_this_folder_does_not_count() {
        let (folder, own) = state();
        let (other_folder, other) = state();
        let _own_run = Guard::of(folder.path(), own.path());
        let run = Guard::of(other_folder.path(), other.path());
        let left = owner(&own, &scratch(0x005e_edc0_ffee)).unwrap().unwrap();
        assert!(left.contains("it may be that run's"), "{left}");
        // Its own record says more than that it may.
        std::fs::write(other.faults().join("005eedc0ffee.json"), "?").unwrap();
        let left = owner(&own, &scratch(0x005e_edc0_ffee)).unwrap().unwrap();
        assert!(left.contains(&format!("process {} of", run.0.id())) && left.contains("has it in place"), "{left}");
    }

    #[test]
    fn what_is_recorded_here_is_no_orphan_and_what_is_not_removed_is_told_with_its_reason() {
        let (_folder, state) = state();
        std::fs::write(state.faults().join("000000000001.json"), "?").unwrap();
        let superseded = || Ok(Reverted::Superseded("it is theirs".into()));
        let kernel = Finding { found: vec![scratch(1), scratch(2)], answer: superseded, removed: Mutex::default() };
        let orphans = sweep(&state, &kernel);
        // Other tests' runs may be alive beside this one; then it is not even tried.
        let [Orphan { what, fate: OrphanFate::Left { because }, command }] = orphans.as_slice() else {
            panic!("{orphans:?}")
        };
        assert!(what.ends_with("/mnt/.faultline-000000000002") && command == "rm -rf '/mnt/.faultline-000000000002'");
        assert!(*because == "it is theirs" || because.contains("is alive"), "{because}");
        assert!(kernel.removed.lock().unwrap().iter().all(|removed| *removed == scratch(2)));
    }

    #[test]
    fn a_table_without_a_record_is_shown_and_stays() {
        if let Err(error) = crate::kernel::namespace::enter_private() {
            println!("skipped: {error}");
            return;
        }
        let nft = |arguments: &str| Command::new("nft").args(arguments.split(' ')).output();
        match nft("add table inet faultline_000000000abc") {
            Ok(output) if output.status.success() => {}
            other => {
                println!("skipped: nft cannot make a table here: {other:?}");
                return;
            }
        }
        let table = Remnant::Table(FaultId::from_number(0xabc));
        assert!(HostKernel.remnants().contains(&table));
        assert_eq!(table.command(), "nft delete table inet faultline_000000000abc");
        assert!(matches!(HostKernel.remove(&table), Ok(Reverted::Superseded(_))));
        assert!(nft("list table inet faultline_000000000abc").unwrap().status.success());
    }
}
