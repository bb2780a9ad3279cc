//! Faults of a run: planning them, and asking the agent to inject, measure and undo them without waiting for it.

use std::sync::Arc;

use faultline_agent::fault::{AnyFault, PlanError};
use faultline_agent::identity::{FaultId, ProcessIdentity};
use faultline_agent::plan::{Bite, Evidence, Plan};
use faultline_agent::units::TimeSpan;

use super::{Drive, Happening, Reply};
use crate::experiment::document::Target;
use crate::experiment::machine::{Event, FaultNumber};
use crate::fleet::{Agent, NotInjected, PlanRequest};
use crate::targets::{TargetContext, TargetError, resolve};

/// One injection of the method.
#[derive(Debug, Clone)]
pub(super) struct FaultRun {
    pub(super) id: FaultId,
    pub(super) fault: AnyFault,
    /// The target's name in the document, or `host`.
    pub(super) target_name: String,
    pub(super) target: Option<Target>,
    pub(super) lasts: TimeSpan,
    pub(super) seed: u64,
    pub(super) plan: Option<Plan>,
    pub(super) measuring: bool,
}

/// Why an injection cannot be planned.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotPlanned {
    /// Its target.
    #[error("target `{name}`: {error}")]
    Target { name: String, error: TargetError },
    /// Its fault.
    #[error("{fault}: {error}")]
    Fault { fault: &'static str, error: PlanError },
}

impl NotPlanned {
    /// Message and hint in one text.
    pub(super) fn told(&self) -> String {
        let hint = match self {
            Self::Target { error, .. } => error.hint(),
            Self::Fault { error, .. } => error.hint(),
        };
        if hint.is_empty() { self.to_string() } else { format!("{self} (hint: {hint})") }
    }

    /// Whether the host cannot do it, rather than must not or need not.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Fault { error: PlanError::Unsupported { .. }, .. })
    }
}

/// What planning needs beside the fault, cut loose from the run so that it can go to a thread.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) run: String,
    pub(super) namespace: faultline_agent::identity::NetworkNamespace,
    pub(super) services: std::collections::BTreeMap<String, Vec<ProcessIdentity>>,
}

/// Resolves the target of an injection as things are now, and plans it.
pub(super) fn plan(agent: &dyn Agent, fault: &FaultRun, ground: &Ground) -> Result<Plan, NotPlanned> {
    let context = TargetContext {
        facts: agent.facts(),
        namespace: &ground.namespace,
        seed: fault.seed,
        run: &ground.run,
        services: &ground.services,
    };
    let resolved = resolve(&fault.target_name, fault.target.as_ref(), &context)
        .map_err(|error| NotPlanned::Target { name: fault.target_name.clone(), error })?;
    let request = PlanRequest { id: &fault.id, scope: &resolved.scope, seed: fault.seed, lasts: fault.lasts };
    agent.plan(&fault.fault, &request).map_err(|error| NotPlanned::Fault { fault: fault.fault.name(), error })
}

impl Drive<'_, '_> {
    pub(super) fn ground(&self) -> Ground {
        let services = self.services.as_ref().map(crate::services::Services::processes).unwrap_or_default();
        self.agent.protect(self.services.as_ref().map(crate::services::Services::keepers).unwrap_or_default());
        Ground { run: self.run.clone(), namespace: self.namespace.clone(), services }
    }

    pub(super) fn inject(&mut self, number: FaultNumber) {
        let Some(fault) = self.faults.get(number.0).cloned() else { return };
        let (agent, ground, replies) = (Arc::clone(&self.agent), self.ground(), self.replies.clone());
        tokio::task::spawn_blocking(move || {
            let reply = match plan(agent.as_ref(), &fault, &ground) {
                Ok(plan) => {
                    let _ = replies.send(Reply::Planned { fault: number, plan: Box::new(plan.clone()) });
                    match agent.inject(plan, fault.lasts) {
                        Ok(took) => Reply::Injected { fault: number, took },
                        Err(why) => Reply::NotInjected { fault: number, why },
                    }
                }
                Err(error) => {
                    let why = NotInjected { reason: error.told(), verified: true };
                    Reply::NotInjected { fault: number, why }
                }
            };
            // The run listens until every fault has answered.
            let _ = replies.send(reply);
        });
    }

    pub(super) fn undo(&mut self, number: FaultNumber) {
        let Some(fault) = self.faults.get(number.0) else { return };
        let (agent, replies, id) = (Arc::clone(&self.agent), self.replies.clone(), fault.id.clone());
        tokio::task::spawn_blocking(move || {
            let evidence = agent.evidence(&id).ok();
            let undone = agent.undo(&id);
            let _ = replies.send(Reply::Undone { fault: number, evidence, undone });
        });
    }

    pub(super) fn measure(&mut self, number: FaultNumber) {
        let Some(fault) = self.faults.get_mut(number.0).filter(|fault| !fault.measuring) else { return };
        fault.measuring = true;
        let (agent, replies, id) = (Arc::clone(&self.agent), self.replies.clone(), fault.id.clone());
        tokio::task::spawn_blocking(move || {
            let _ = replies.send(Reply::Measured { fault: number, evidence: agent.evidence(&id) });
        });
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Planned { fault, plan } => self.planned(fault, *plan),
            Reply::Injected { fault, took } => {
                let id = self.id(fault);
                self.note(Happening::Injected { fault: id, took: took.as_secs_f64() });
                self.event(Event::Injected(fault));
            }
            Reply::NotInjected { fault, why } => {
                let id = self.id(fault);
                self.note(Happening::InjectionFailed { fault: id, reason: why.reason.clone() });
                if !why.verified {
                    let id = self.id(fault);
                    self.note(Happening::Undone { fault: id, steps: Vec::new(), verified: false, took: 0.0 });
                }
                self.event(Event::InjectionFailed { fault, reason: why.reason, verified: why.verified });
            }
            Reply::Measured { fault, evidence } => self.measured(fault, evidence),
            Reply::Undone { fault, evidence, undone } => {
                if let Some(evidence) = evidence {
                    self.note_evidence(fault, &evidence, true);
                }
                let verified = undone.verified;
                let (id, took) = (self.id(fault), undone.took.as_secs_f64());
                self.note(Happening::Undone { fault: id, steps: undone.steps, verified, took });
                self.event(Event::Undone { fault, verified });
            }
        }
    }

    pub(super) fn id(&self, number: FaultNumber) -> FaultId {
        self.faults.get(number.0).map_or_else(|| FaultId::from_number(0), |fault| fault.id.clone())
    }

    /// Records a plan unless it is the very one recorded before.
    pub(super) fn planned(&mut self, number: FaultNumber, plan: Plan) {
        let Some(fault) = self.faults.get_mut(number.0) else { return };
        if fault.plan.as_ref() != Some(&plan) {
            let target = fault.target_name.clone();
            fault.plan = Some(plan.clone());
            self.note(Happening::Planned { target, plan: Box::new(plan) });
        }
    }

    fn measured(&mut self, number: FaultNumber, evidence: Result<Evidence, String>) {
        let Some(fault) = self.faults.get_mut(number.0) else { return };
        fault.measuring = false;
        // A measurement that comes after the undo was asked for is old news: the undo took the last one itself.
        if !self.machine.is_active(number) {
            return;
        }
        match evidence {
            Ok(evidence) => {
                let bite = evidence.bite.clone();
                self.note_evidence(number, &evidence, false);
                if let Bite::No(reason) = bite {
                    let name = self.faults.get(number.0).map_or("", |fault| fault.fault.name());
                    self.event(Event::NoEffect { fault: number, reason: format!("{name} has no effect: {reason}") });
                }
            }
            Err(error) => tracing::warn!(fault = %self.id(number), error, "the fault could not be measured"),
        }
    }

    fn note_evidence(&mut self, number: FaultNumber, evidence: &Evidence, last: bool) {
        let id = self.id(number);
        let news = evidence.bite == Bite::Yes && !self.machine.has_bitten(number);
        if last || news || evidence.bite != Bite::Yes {
            self.note(Happening::Evidence { fault: id, evidence: evidence.clone() });
        }
        if news {
            self.event(Event::Bites(number));
        }
    }
}
