//! The undo of one fault, the same for the worker, the guard and the recovery.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::crash_point;
use crate::identity::FaultId;
use crate::journal::{FaultLock, Journal, JournalError, Record, StepStatus};
use crate::kernel::{Hold, Kernel, Reverted};
use crate::plan::{Step, UndoClass};

use super::saga::{Change, next};

/// Pauses between the rounds of an undo: a kernel that is busy for a moment gets some, a broken one does not hold up
/// the rest.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// How the undo of one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was there and is gone.
    Undone,
    /// It was not there.
    Absent,
    /// Somebody else changed it since, and their change was left; this says what was found.
    Superseded(String),
    /// It is still there, or that cannot be told.
    Failed {
        /// What the last attempt met.
        error: String,
        /// The command with which a person can undo it.
        command: String,
    },
}

impl Outcome {
    /// Whether nothing of ours is left.
    pub fn is_clean(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Undone => formatter.write_str("undone"),
            Self::Absent => formatter.write_str("was absent"),
            Self::Superseded(found) => write!(formatter, "left as it is, somebody changed it: {found}"),
            Self::Failed { error, command } => write!(formatter, "STUCK: {error}; by hand: {command}"),
        }
    }
}

/// One step, undone or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepUndone {
    /// What its undo does, in one line.
    pub step: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How the undo of a fault ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// Its steps, in the order in which they were undone.
    pub steps: Vec<StepUndone>,
    /// Whether it was seen that nothing of it is left.
    pub verified: bool,
    /// How long it took; in JSON a number of seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

/// Takes every step of a plan back, last first, with what is held for it, and looks whether it is gone. A step that
/// fails does not keep the others from being undone; it is tried again after them.
pub(crate) fn revert(
    kernel: &dyn Kernel,
    steps: &[Step],
    holds: &mut Vec<Option<Box<dyn Hold>>>,
    rebooted: bool,
) -> Undone {
    let began = Instant::now();
    holds.resize_with(steps.len().max(holds.len()), || None);
    let mut outcomes: Vec<Option<Outcome>> = vec![None; steps.len()];
    for pause in [None].into_iter().chain(PAUSES.map(Some)) {
        if let Some(pause) = pause {
            if outcomes.iter().flatten().all(Outcome::is_clean) {
                break;
            }
            kernel.pause(pause);
        }
        for (index, step) in steps.iter().enumerate().rev() {
            if outcomes[index].as_ref().is_some_and(Outcome::is_clean) {
                continue;
            }
            crash_point!("before-undo-{index}");
            let hold = holds[index].take();
            outcomes[index] = Some(caught(step, || {
                // What ends with its hold is absent afterwards, and was undone all the same.
                let ends_with_hold = hold.is_some() && matches!(kernel.is_present(step), Ok(true));
                drop(hold);
                match revert_one(kernel, step, rebooted) {
                    Outcome::Absent if ends_with_hold => Outcome::Undone,
                    outcome => outcome,
                }
            }));
            crash_point!("after-undo-{index}");
        }
    }
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Absent)).collect();
    let verified = outcomes.iter().all(Outcome::is_clean);
    let steps = steps.iter().zip(outcomes).rev();
    let steps = steps.map(|(step, outcome)| StepUndone { step: step.describe_undo(), outcome }).collect();
    Undone { steps, verified, took: began.elapsed() }
}

fn failed(step: &Step, error: &dyn std::fmt::Display) -> Outcome {
    Outcome::Failed { error: error.to_string(), command: step.manual_undo() }
}

fn revert_one(kernel: &dyn Kernel, step: &Step, rebooted: bool) -> Outcome {
    let left;
    let step = if rebooted {
        let Some(found) = step.after_reboot() else { return Outcome::Absent };
        left = found;
        // Names of namespaces and interfaces mean others after a reboot, so what a reboot ends is looked at first.
        if left.undo_class() <= UndoClass::Guard && !matches!(kernel.is_present(&left), Ok(true)) {
            return Outcome::Absent;
        }
        &left
    } else {
        step
    };
    let outcome = match kernel.revert(step) {
        Ok(Reverted::Undone) => Outcome::Undone,
        Ok(Reverted::Absent) => Outcome::Absent,
        Ok(Reverted::Superseded(found)) => return Outcome::Superseded(found),
        Err(error) if error.is_gone() => return Outcome::Absent,
        Err(error) => return failed(step, &error),
    };
    match kernel.is_present(step) {
        Ok(false) => outcome,
        Ok(true) => failed(step, &"it is still there after its undo reported success"),
        Err(error) if error.is_gone() => outcome,
        Err(error) => failed(step, &format!("whether it is gone cannot be seen: {error}")),
    }
}

/// Undo goes on when one room panics: the other steps are no less in place.
fn caught(step: &Step, work: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        #[cfg(all(test, debug_assertions))]
        if payload.is::<crate::crash::simulated::Crash>() {
            std::panic::resume_unwind(payload);
        }
        failed(step, &format!("its undo panicked: {}", panic_text(payload.as_ref())))
    })
}

pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}

/// Undoes a fault under its lock and brings the journal up to date: the record goes when nothing is left, else it says
/// what is stuck.
pub(crate) fn undo_recorded(
    journal: &Journal,
    kernel: &dyn Kernel,
    mut record: Record,
    holds: &mut Vec<Option<Box<dyn Hold>>>,
    lock: FaultLock,
    boot_id: &str,
) -> (Undone, Result<(), JournalError>) {
    let reverting = match next(record.state, Change::Revert) {
        Ok(state) => state,
        Err(illegal) => return (refused(&illegal.to_string(), record.id()), Ok(())),
    };
    record.state = reverting;
    let undone = revert(kernel, &record.plan.steps, holds, record.boot_id != boot_id);
    let end = if undone.verified { Change::Reverted } else { Change::GiveUp };
    record.state = next(record.state, end).unwrap_or(record.state);
    if undone.verified {
        crash_point!("before-forget");
        let forgotten = journal.forget(record.id(), lock);
        return (undone, forgotten);
    }
    for (index, step) in undone.steps.iter().rev().enumerate() {
        let before = record.steps.get(index).map_or(0, |status| match status {
            StepStatus::Stuck { attempts, .. } => *attempts,
            _ => 0,
        });
        let status = match &step.outcome {
            Outcome::Failed { error, command } => StepStatus::Stuck {
                reason: error.clone(),
                attempts: before.saturating_add(u32::try_from(PAUSES.len()).unwrap_or(u32::MAX).saturating_add(1)),
                command: command.clone(),
            },
            _ => StepStatus::Undone,
        };
        match record.steps.get_mut(index) {
            Some(place) => *place = status,
            None => record.steps.push(status),
        }
    }
    let written = journal.write(&record);
    drop(lock);
    (undone, written)
}

/// The answer to an undo that could not be tried at all.
pub(crate) fn refused(why: &str, id: &FaultId) -> Undone {
    let outcome = Outcome::Failed { error: why.to_owned(), command: format!("faultline-agent recover # fault {id}") };
    Undone {
        steps: vec![StepUndone { step: format!("undo fault {id}"), outcome }],
        verified: false,
        took: Duration::ZERO,
    }
}
