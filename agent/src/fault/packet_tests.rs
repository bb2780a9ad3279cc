//! What the tests of the network faults share.

use super::{AnyFault, PlanContext, PlanError, Scope};
use crate::facts::ProcessFacts;
use crate::facts::fake::{FakeFacts, process};
use crate::identity::FaultId;
use crate::plan::Plan;
use crate::units::TimeSpan;

pub(super) fn plan(fault: &AnyFault, scope: &Scope, facts: &FakeFacts) -> Result<Plan, PlanError> {
    let id = FaultId::from_number(42);
    fault.plan(PlanContext { id: &id, scope, facts, seed: 7, lasts: TimeSpan::from_secs(60) })
}

pub(super) fn process_in(pid: i32, cgroup: &str) -> ProcessFacts {
    ProcessFacts { cgroup: Some(cgroup.into()), ..process(pid, "shop") }
}

pub(super) fn scope_of(facts: &FakeFacts, pids: &[i32]) -> Scope {
    let chosen = facts.processes.iter().filter(|process| pids.contains(&process.identity.pid)).cloned().collect();
    Scope { processes: Some(chosen), ..Scope::default() }
}
