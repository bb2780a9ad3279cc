use serde::{Deserialize, Serialize};

use crate::identity::{FaultId, ProcessIdentity};
use crate::lease::BootTime;
use crate::plan::{Plan, Step};

/// Where a fault is in its life; [`saga`](crate::engine::saga) says which change may follow which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultState {
    /// Recorded; none, some or all of its steps may have been taken.
    Intended,
    /// Every step is in place.
    Active,
    /// Being undone, or an undo was cut short.
    Reverting,
    /// Undo gave up; a person is needed.
    Stuck,
    /// Undone and verified. Its record is removed.
    Undone,
}

/// What became of one step of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Not taken, or being taken: it may have acted.
    Pending,
    /// In place.
    Applied,
    /// Taken back.
    Undone,
    /// It could not be taken back.
    Stuck {
        /// What the last attempt met.
        reason: String,
        /// How many attempts were made so far.
        attempts: u32,
        /// The command with which a person can take it back.
        command: String,
    },
}

/// Everything that undo needs to know of one fault, also in another process and after a reboot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The run to which the fault belongs, if any.
    pub run: Option<String>,
    /// The boot in which it was injected.
    pub boot_id: String,
    /// The process that injected it.
    pub worker: ProcessIdentity,
    /// The process that undoes it if the worker cannot.
    pub guard: Option<ProcessIdentity>,
    /// When it was recorded, wall clock, RFC 3339; for people.
    pub since: String,
    /// The moment of that boot at which it must be undone.
    pub deadline: BootTime,
    /// Where it is in its life.
    pub state: FaultState,
    /// What became of each step, in the order of the plan.
    pub steps: Vec<StepStatus>,
    /// What it does and how that is undone.
    pub plan: Plan,
}

impl Record {
    /// The fault's id.
    pub fn id(&self) -> &FaultId {
        &self.plan.id
    }

    /// The step with this number, if the plan has one.
    pub fn step(&self, index: usize) -> Option<&Step> {
        self.plan.steps.get(index)
    }

    /// Whether the process that injected it, or the one that undoes it in its place, is still there to undo it.
    pub fn has_keeper(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id && (self.worker.is_alive() || self.guard.is_some_and(|guard| guard.is_alive()))
    }
}
