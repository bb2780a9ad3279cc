//! The recovery: undoes what processes left that died, guard and all, and what a reboot did not end.
//!
//! It touches no fault whose worker or guard is alive. It runs at the start of every engine and by `recover`.
//!
//! It knows one state folder, and what bears our names without a record ([`Orphan`]). Processes that a crash left stopped
//! and whose record is lost cannot be told from those that somebody else stopped: they are not looked for.

mod orphans;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use serde::Serialize;

use crate::engine::{Undone, undo_recorded};
use crate::guard;
use crate::identity::{FaultId, boot_id};
use crate::journal::{Found, Journal, JournalError, Record};
use crate::kernel::Kernel;
use crate::state::{StateFolder, owns_system_folders};

pub use orphans::{Orphan, OrphanFate};

/// How long a guard whose worker has died is given to finish.
const PATIENCE: Duration = Duration::from_secs(3);

/// The recovery could not look.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Which boot this is cannot be told.
    #[error("cannot read /proc/sys/kernel/random/boot_id: {0}")]
    Boot(#[source] io::Error),
}

/// What was found of one fault, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveredFault {
    /// Its id, unless not even the name of its file says it.
    pub id: Option<FaultId>,
    /// Its name in the catalogue, if its record can be read.
    pub fault: Option<String>,
    /// The run to which it belonged.
    pub run: Option<String>,
    /// What it touched, one line a target.
    pub targets: Vec<String>,
    /// What became of it.
    pub result: RecoverResult,
}

/// What the recovery did about a fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecoverResult {
    /// It was undone, or some of its steps are stuck.
    Undone(Undone),
    /// Its worker, or its guard, is alive and keeps it.
    Kept {
        /// The worker's process number.
        worker: i32,
    },
    /// Another process is undoing it at this moment.
    Busy,
    /// Its record cannot be read. It is left where it is, and what it did may be in place.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Everything that a recovery found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// The state folder that was swept.
    pub state: PathBuf,
    /// Each record of its journal.
    pub faults: Vec<RecoveredFault>,
    /// What bears our names and has no record.
    pub orphans: Vec<Orphan>,
    /// What of this host was not looked at, and how it can be, in a sentence; none if that was all.
    pub unseen: Option<String>,
}

impl Recovery {
    /// Whether something of a dead process is left: a stuck step, a record that cannot be read, an orphan that could not
    /// be removed.
    pub fn is_stuck(&self) -> bool {
        self.stuck().next().is_some()
            || self.orphans.iter().any(|orphan| matches!(orphan.fate, OrphanFate::Failed { .. }))
    }

    /// The faults of which something is, or may be, left.
    pub fn stuck(&self) -> impl Iterator<Item = &RecoveredFault> {
        self.faults.iter().filter(|fault| match &fault.result {
            RecoverResult::Undone(undone) => !undone.verified,
            RecoverResult::Unreadable { .. } => true,
            RecoverResult::Kept { .. } | RecoverResult::Busy => false,
        })
    }

    /// The faults that were undone now.
    pub fn undone(&self) -> impl Iterator<Item = &RecoveredFault> {
        self.faults.iter().filter(|fault| matches!(&fault.result, RecoverResult::Undone(undone) if undone.verified))
    }
}

/// Undoes every fault of the journal whose worker and guard are dead, and removes what bears our names, has no record,
/// and can belong to nobody who is alive.
///
/// # Errors
/// If the journal cannot be read. What goes wrong with one fault is in the report.
pub fn recover(state: &StateFolder, kernel: &dyn Kernel) -> Result<Recovery, RecoverError> {
    let faults = recover_recorded(state, kernel)?;
    let orphans = orphans::sweep(state, kernel);
    Ok(Recovery { state: state.path().to_owned(), faults, orphans, unseen: unseen() })
}

/// The first half of [`recover`]: what is recorded.
///
/// # Errors
/// As [`recover`].
pub(crate) fn recover_recorded(state: &StateFolder, kernel: &dyn Kernel) -> Result<Vec<RecoveredFault>, RecoverError> {
    let journal = Journal::of(state);
    let boot_id = boot_id().map_err(RecoverError::Boot)?;
    let mut faults = Vec::new();
    for found in journal.read_all()? {
        faults.extend(recover_one(&journal, kernel, &boot_id, found)?);
    }
    journal.tidy();
    Ok(faults)
}

/// What a recovery by this user leaves to others.
fn unseen() -> Option<String> {
    (!owns_system_folders()).then(|| {
        "what runs of root or of other users left is theirs to recover: `sudo faultline recover` does it for root's"
            .into()
    })
}

fn recover_one(
    journal: &Journal,
    kernel: &dyn Kernel,
    boot_id: &str,
    found: Found,
) -> Result<Option<RecoveredFault>, JournalError> {
    let record = match found {
        Found::Record(record) => record,
        Found::Unreadable { path, id, reason } => return Ok(Some(unreadable(id, path, reason))),
    };
    wait_for_guard(journal, &record, boot_id);
    if record.has_keeper(boot_id) {
        let worker = record.worker.pid;
        return Ok(journal.read(record.id())?.map(|_| report(&record, RecoverResult::Kept { worker })));
    }
    if let Some(guard) = guard_elsewhere(&record, boot_id) {
        return Ok(Some(report(&record, RecoverResult::Kept { worker: guard })));
    }
    let Some(lock) = journal.lock(record.id(), PATIENCE)? else {
        return Ok(Some(report(&record, RecoverResult::Busy)));
    };
    // Whoever held the lock may have undone it, or have written what is stuck.
    match journal.read(record.id())? {
        None => {
            lock.remove();
            Ok(None)
        }
        Some(Found::Unreadable { path, id, reason }) => Ok(Some(unreadable(id, path, reason))),
        Some(Found::Record(record)) => {
            let mut report = report(&record, RecoverResult::Busy);
            let (undone, journaled) = undo_recorded(journal, kernel, *record, &mut Vec::new(), lock, boot_id);
            report.result = RecoverResult::Undone(undone);
            // A stuck fault whose record cannot be rewritten keeps the older one, which is as good for the next try.
            if let Err(error) = journaled {
                tracing::warn!(%error, "a record could not be brought up to date");
            }
            Ok(Some(report))
        }
    }
}

/// A guard whose worker has died is at its undo, which it does better than we: it is in the right namespaces.
fn wait_for_guard(journal: &Journal, record: &Record, boot_id: &str) {
    let began = Instant::now();
    let is_there = || record.has_keeper(boot_id) && matches!(journal.read(record.id()), Ok(Some(_)));
    while !record.worker.is_alive() && is_there() && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
}

/// The process of a run in a container that shares this state folder: it is recorded under the number that its guard
/// has within.
fn guard_elsewhere(record: &Record, boot_id: &str) -> Option<i32> {
    let recorded = record.guard.filter(|_| record.boot_id == boot_id)?;
    let living = guard::living().unwrap_or_default();
    living.iter().find(|living| !living.shares_numbers && living.is(recorded)).map(guard::LivingGuard::process)
}

fn report(record: &Record, result: RecoverResult) -> RecoveredFault {
    RecoveredFault {
        id: Some(record.id().clone()),
        fault: Some(record.plan.fault.clone()),
        run: record.run.clone(),
        targets: record.plan.targets.clone(),
        result,
    }
}

fn unreadable(id: Option<FaultId>, path: PathBuf, reason: String) -> RecoveredFault {
    let result = RecoverResult::Unreadable { path, reason };
    RecoveredFault { id, fault: None, run: None, targets: Vec::new(), result }
}

impl fmt::Display for RecoveredFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_ref().map_or("(unknown id)".into(), FaultId::to_string);
        let fault = self.fault.as_deref().unwrap_or("(unknown fault)");
        let target = self.targets.first().map(|target| format!(" on {target}")).unwrap_or_default();
        let name = format!("{id} {fault}{target}");
        match &self.result {
            RecoverResult::Undone(undone) if undone.verified => {
                writeln!(formatter, "undone   {name} (verified, in {:.1} ms)", undone.took.as_secs_f64() * 1e3)
            }
            RecoverResult::Undone(undone) => {
                writeln!(formatter, "STUCK    {name}")?;
                let stuck = undone.steps.iter().filter(|step| !step.outcome.is_clean());
                stuck.into_iter().try_for_each(|step| writeln!(formatter, "         {}: {}", step.step, step.outcome))
            }
            RecoverResult::Kept { worker } => {
                writeln!(formatter, "kept     {name}: process {worker} is alive and will undo it")
            }
            RecoverResult::Busy => writeln!(formatter, "busy     {name}: another process is undoing it now"),
            RecoverResult::Unreadable { path, reason } => writeln!(
                formatter,
                "STUCK    {name}: its record {} cannot be read ({reason}); what it recorded may be in place\n         \
                 look with `faultline-agent fingerprint` whether anything is left, then move the file away",
                path.display()
            ),
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() && self.orphans.is_empty() {
            match self.unseen {
                None => writeln!(formatter, "nothing was left")?,
                Some(_) => writeln!(formatter, "nothing of yours was left in {}", self.state.display())?,
            }
        }
        self.faults.iter().try_for_each(|fault| write!(formatter, "{fault}"))?;
        self.orphans.iter().try_for_each(|orphan| write!(formatter, "{orphan}"))?;
        self.unseen.iter().try_for_each(|unseen| writeln!(formatter, "{unseen}"))
    }
}
