use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{FaultState, Found, Journal, JournalError, Record, StepStatus};
use crate::guard;
use crate::halt::{self, Halt};
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

/// A run that uses another state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherRun {
    /// Its process.
    pub process: i32,
    /// The user whose it is.
    pub user: String,
    /// Its state folder, as it names it.
    pub folder: PathBuf,
}

/// The journal of a state folder, and what else is going on, to be shown. Printed as it is by `list --json`: fields are
/// added, and never renamed or removed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The halt in force, if any.
    pub halt: Option<Halt>,
    /// The faults.
    pub faults: Vec<Listed>,
    /// Files that cannot be read.
    pub unreadable: Vec<UnreadableRecord>,
    /// Runs on this host whose faults are recorded elsewhere.
    pub other_runs: Vec<OtherRun>,
}

impl Listing {
    /// Whether a person must look: something is stuck or cannot be read.
    pub fn is_stuck(&self) -> bool {
        !self.unreadable.is_empty() || self.faults.iter().any(|fault| fault.state == FaultState::Stuck)
    }
}

/// Every fault that is, or may be, in place by the records of a state folder, if there is one, and the runs that use
/// another. Changes nothing.
///
/// # Errors
/// If the journal cannot be read.
pub fn list(state: Option<&StateFolder>) -> Result<Listing, JournalError> {
    let boot_id = boot_id().unwrap_or_default();
    let mut listing = Listing {
        halt: state.map_or_else(halt::read_wide, halt::read),
        other_runs: other_runs(state),
        ..Listing::default()
    };
    for found in state.map(|state| Journal::of(state).read_all()).transpose()?.unwrap_or_default() {
        match found {
            Found::Record(record) => listing.faults.push(listed(*record, &boot_id)),
            Found::Unreadable { path, reason, .. } => listing.unreadable.push(UnreadableRecord { path, reason }),
        }
    }
    Ok(listing)
}

fn other_runs(state: Option<&StateFolder>) -> Vec<OtherRun> {
    // Where `/proc` cannot be listed, nothing is known of others.
    let living = guard::living().unwrap_or_default().into_iter();
    let others = living.filter(|living| state.is_none_or(|state| living.state != state.path()));
    others
        .map(|living| OtherRun { process: living.process(), user: halt::name_of(living.user), folder: living.state })
        .collect()
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
        if let Some(halt) = &self.halt {
            writeln!(formatter, "HALTED: {}\n    {}\n", halt.reason, halt.hint())?;
        }
        if self.faults.is_empty() && self.unreadable.is_empty() {
            writeln!(formatter, "no active faults")?;
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
            let run = fault.run.as_ref().map(|run| format!(" (run {run})")).unwrap_or_default();
            writeln!(formatter, "{}  {}{run}  {state}, {keeper}", fault.id, fault.fault)?;
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
        for OtherRun { process, user, folder } in &self.other_runs {
            writeln!(formatter, "process {process} of {user} keeps its faults in {}", folder.display())?;
        }
        Ok(())
    }
}
