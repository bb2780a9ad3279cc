//! The recovery: undoes what processes left that died, guard and all, and what a reboot did not end.
//!
//! It touches no fault whose worker or guard is alive. It runs at the start of every engine and by `recover`.

mod orphans;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use serde::Serialize;

use crate::engine::{Undone, undo_recorded};
use crate::identity::{FaultId, boot_id};
use crate::journal::{Found, Journal, JournalError, Record};
use crate::kernel::Kernel;
use crate::state::StateFolder;

pub use orphans::{Orphan, orphans};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Each record of the journal.
    pub faults: Vec<RecoveredFault>,
    /// What bears our names and has no record; looked for when a person asks ([`orphans()`]).
    pub orphans: Vec<Orphan>,
}

impl Recovery {
    /// Whether something of a dead process is left: a stuck step, or a record that cannot be read.
    pub fn is_stuck(&self) -> bool {
        self.stuck().next().is_some()
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

/// Undoes every fault of the journal whose worker and guard are dead.
///
/// # Errors
/// If the journal cannot be read. What goes wrong with one fault is in the report.
pub fn recover(state: &StateFolder, kernel: &dyn Kernel) -> Result<Recovery, RecoverError> {
    let journal = Journal::of(state);
    let boot_id = boot_id().map_err(RecoverError::Boot)?;
    let mut faults = Vec::new();
    for found in journal.read_all()? {
        faults.extend(recover_one(&journal, kernel, &boot_id, found)?);
    }
    journal.tidy();
    Ok(Recovery { faults, orphans: Vec::new() })
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

impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() && self.orphans.is_empty() {
            return writeln!(formatter, "nothing was left");
        }
        for fault in &self.faults {
            let id = fault.id.as_ref().map_or_else(|| "?".to_owned(), FaultId::to_string);
            write!(formatter, "{id}  {}  ", fault.fault.as_deref().unwrap_or("unknown fault"))?;
            match &fault.result {
                RecoverResult::Undone(undone) => {
                    let how = if undone.verified { "undone" } else { "STUCK" };
                    writeln!(formatter, "{how} in {:.1} ms", undone.took.as_secs_f64() * 1e3)?;
                    for step in &undone.steps {
                        writeln!(formatter, "    {}: {}", step.step, step.outcome)?;
                    }
                }
                RecoverResult::Kept { worker } => writeln!(formatter, "left alone: process {worker} keeps it")?,
                RecoverResult::Busy => writeln!(formatter, "left alone: another process is undoing it")?,
                RecoverResult::Unreadable { path, reason } => {
                    writeln!(formatter, "STUCK: {}: {reason}; what it recorded may be in place", path.display())?;
                }
            }
        }
        for Orphan { what, command } in &self.orphans {
            writeln!(
                formatter,
                "no record here explains {what}; unless another state folder's fault is alive: {command}"
            )?;
        }
        Ok(())
    }
}
