//! Agents, as a run sees them: who plans, injects, proves and undoes on one host.
//!
//! A run talks to [`Agent`] alone. The one of `faultline run` lives in the same process ([`local`]).

pub mod local;

use std::time::Duration;

use faultline_agent::facts::Facts;
use faultline_agent::fault::{AnyFault, PlanError, Scope};
use faultline_agent::halt::Halt;
use faultline_agent::identity::{FaultId, ProcessIdentity};
use faultline_agent::plan::{Evidence, Plan};
use faultline_agent::units::TimeSpan;

use crate::run::journal::UndoneStep;

/// What an undo found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// One line a step.
    pub steps: Vec<UndoneStep>,
    /// Whether the host was seen to be as before.
    pub verified: bool,
    /// How long it took.
    pub took: Duration,
}

/// An injection that failed: why, and what was taken back of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NotInjected {
    /// Why, with the way on.
    pub reason: String,
    /// Whether it is certain that nothing is left of it.
    pub verified: bool,
}

/// One host's agent. Calls block for as long as the kernel needs, which is milliseconds, and up to the speed of the
/// disk for a speed-limited fill.
pub trait Agent: Send + Sync {
    /// The host, to be read.
    fn facts(&self) -> &dyn Facts;

    /// Spares these processes, beside the agent's own, whatever a target says; replaces what was spared before.
    fn protect(&self, processes: Vec<ProcessIdentity>);

    /// A new fault's name.
    fn new_id(&self) -> FaultId;

    /// What a fault would do.
    ///
    /// # Errors
    /// If the parameters, the target, the host or the rules of safety forbid it.
    fn plan(&self, fault: &AnyFault, request: &PlanRequest<'_>) -> Result<Plan, PlanError>;

    /// Whether the host's own policy allows a plan.
    ///
    /// # Errors
    /// The reason, if it does not.
    fn permits(&self, plan: &Plan, lasts: TimeSpan) -> Result<(), String>;

    /// Puts a fault in place, for at most so long.
    ///
    /// # Errors
    /// If it is refused or a step fails; everything was taken back then, as far as the error says.
    fn inject(&self, plan: Plan, lasts: TimeSpan) -> Result<Duration, NotInjected>;

    /// What a fault in place was measured to do so far.
    ///
    /// # Errors
    /// If the fault is not there or the kernel cannot be asked.
    fn evidence(&self, fault: &FaultId) -> Result<Evidence, String>;

    /// Undoes a fault. Never fails: what could not be undone is in the answer.
    fn undo(&self, fault: &FaultId) -> Undone;

    /// Shows that the run is alive; without it for long, the guard undoes everything.
    fn heartbeat(&self);

    /// Why the run must end at once, if it must: the guard died, or somebody halted this host.
    fn must_stop(&self) -> Option<MustStop>;
}

/// Why an agent wants its run to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MustStop {
    /// The host was halted, for this reason.
    Halted(Halt),
    /// The guard is gone: nobody would undo if this process died now.
    GuardLost,
}

/// What an agent needs to plan.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// The fault's name.
    pub id: &'a FaultId,
    /// Where it acts.
    pub scope: &'a Scope,
    /// The seed of all its chance.
    pub seed: u64,
    /// How long it will last.
    pub lasts: TimeSpan,
}
