use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{FaultState, Found, Journal, JournalError, Record, StepStatus};
use crate::identity::{FaultId, boot_id};
use crate::lease::BootTime;
use crate::plan::UndoClass;
use crate::state::StateFolder;

/// Who will undo a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// The process that injected it, which is alive.
    Worker(i32),
    /// Its guard alone: the worker is dead, and the guard is at work.
    Guard(i32),
    /// Nobody: `recover` must be called.
    Nobody,
}

/// One fault of the journal, for people and scripts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its id.
    pub id: FaultId,
    /// Its name in the catalogue.
    pub fault: String,
    /// The run to which it belongs.
    pub run: Option<String>,
    /// What it touches, one line a target.
    pub targets: Vec<String>,
    /// Where it is in its life.
    pub state: FaultState,
    /// When it was injected, RFC 3339.
    pub since: String,
    /// Seconds until it must be gone; negative when overdue, nothing if it is of another boot.
    pub seconds_left: Option<f64>,
    /// How it would be undone if everything died.
    pub undo: UndoClass,
    /// Who will undo it.
    pub keeper: Keeper,
    /// The steps that could not be undone.
    pub stuck: Vec<StuckStep>,
}

/// A step that could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckStep {
    /// What its undo would do.
    pub step: String,
    /// Why that failed.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The command with which a person can undo it.
    pub command: String,
}

/// A file of the journal that cannot be read as a record; what it recorded may be in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnreadableRecord {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The journal of a host, to be shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The faults.
    pub faults: Vec<Listed>,
    /// Files that cannot be read.
    pub unreadable: Vec<UnreadableRecord>,
}

impl Listing {
    /// Whether a person must look: something is stuck or cannot be read.
    pub fn is_stuck(&self) -> bool {
        !self.unreadable.is_empty() || self.faults.iter().any(|fault| fault.state == FaultState::Stuck)
    }
}

/// Every fault that is, or may be, in place on this host. Changes nothing.
///
/// # Errors
/// If the journal cannot be read.
pub fn list(state: &StateFolder) -> Result<Listing, JournalError> {
    let journal = Journal::of(state);
    let boot_id = boot_id().unwrap_or_default();
    let mut listing = Listing::default();
    for found in journal.read_all()? {
        match found {
            Found::Record(record) => listing.faults.push(listed(*record, &boot_id)),
            Found::Unreadable { path, reason, .. } => listing.unreadable.push(UnreadableRecord { path, reason }),
        }
    }
    Ok(listing)
}

fn listed(record: Record, boot_id: &str) -> Listed {
    let is_this_boot = record.boot_id == boot_id;
    let keeper = match (record.worker, record.guard) {
        (worker, _) if is_this_boot && worker.is_alive() => Keeper::Worker(worker.pid),
        (_, Some(guard)) if is_this_boot && guard.is_alive() => Keeper::Guard(guard.pid),
        _ => Keeper::Nobody,
    };
    let now = BootTime::now();
    let left = record.deadline.since(now).as_secs_f64() - now.since(record.deadline).as_secs_f64();
    let stuck = record.plan.steps.iter().zip(&record.steps).filter_map(|(step, status)| match status {
        StepStatus::Stuck { reason, attempts, command } => Some(StuckStep {
            step: step.describe_undo(),
            reason: reason.clone(),
            attempts: *attempts,
            command: command.clone(),
        }),
        _ => None,
    });
    Listed {
        stuck: stuck.collect(),
        seconds_left: is_this_boot.then_some(left),
        undo: record.plan.undo_class(),
        keeper,
        id: record.plan.id,
        fault: record.plan.fault,
        run: record.run,
        targets: record.plan.targets,
        state: record.state,
        since: record.since,
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() && self.unreadable.is_empty() {
            return writeln!(formatter, "no faults");
        }
        for fault in &self.faults {
            let state = match fault.state {
                FaultState::Intended => "being injected",
                FaultState::Active => "active",
                FaultState::Reverting => "being undone",
                FaultState::Stuck => "STUCK",
                FaultState::Undone => "undone",
            };
            let keeper = match fault.keeper {
                Keeper::Worker(pid) => format!("kept by process {pid}"),
                Keeper::Guard(pid) => format!("its worker died, guard {pid} is undoing it"),
                Keeper::Nobody => "kept by nobody: run `faultline recover`".into(),
            };
            writeln!(formatter, "{}  {}  {state}, {keeper}", fault.id, fault.fault)?;
            for target in &fault.targets {
                writeln!(formatter, "    {target}")?;
            }
            if let Some(left) = fault.seconds_left {
                let time = if left < 0.0 { format!("overdue by {:.0} s", -left) } else { format!("{left:.0} s left") };
                writeln!(formatter, "    since {}, {time}; {}", fault.since, fault.undo.describe())?;
            }
            for StuckStep { step, reason, attempts, command } in &fault.stuck {
                writeln!(formatter, "    cannot {step} ({attempts} attempts): {reason}\n    by hand: {command}")?;
            }
        }
        for UnreadableRecord { path, reason } in &self.unreadable {
            writeln!(formatter, "{}  STUCK: {reason}; what it recorded may be in place", path.display())?;
        }
        Ok(())
    }
}
