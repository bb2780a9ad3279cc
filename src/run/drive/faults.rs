//! Faults of a run: asking agents to plan, inject, measure and undo them, without waiting for their answers.

use std::sync::Arc;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Evidence, Plan};

use super::hosts::undo_patiently;
use super::{Drive, Happening, Reply};
use crate::experiment::machine::{Event, FaultNumber};
use crate::fleet::{Agent, FaultRequest};

/// One fault of the run: an injection of the method, on one host.
#[derive(Debug, Clone)]
pub(super) struct FaultRun {
    /// What its agent is asked for.
    pub(super) request: FaultRequest,
    pub(super) agent: Arc<dyn Agent>,
    /// The host's name; nothing for the host of the run.
    pub(super) host: Option<String>,
    pub(super) plan: Option<Plan>,
    pub(super) measuring: bool,
    /// How many changes of its target's processes were noted.
    pub(super) changes: usize,
    /// Whether its agent said that it undid it without being asked, and that was taken in.
    pub(super) told_alone: bool,
}

impl FaultRun {
    /// A sentence of an agent, with the host that it is about.
    pub(super) fn of_host(&self, sentence: String) -> String {
        match &self.host {
            Some(host) => format!("{host}: {sentence}"),
            None => sentence,
        }
    }
}

impl Drive<'_, '_> {
    pub(super) fn inject(&mut self, number: FaultNumber) {
        self.refresh_services();
        let Some(fault) = self.faults.get(number.0) else { return };
        let injecting = fault.agent.inject(fault.request.clone());
        let replies = self.replies.clone();
        // The run listens until every fault has answered.
        tokio::spawn(async move {
            let reply = match injecting.await {
                Ok(injected) => Reply::Injected { fault: number, injected: Box::new(injected) },
                Err(why) => Reply::NotInjected { fault: number, why },
            };
            let _ = replies.send(reply);
        });
    }

    pub(super) fn undo(&mut self, number: FaultNumber) {
        let Some(fault) = self.faults.get(number.0) else { return };
        let (agent, replies, id) = (Arc::clone(&fault.agent), self.replies.clone(), fault.request.id.clone());
        let (is_lost, placebo) = (self.machine.is_lost(number), self.request.placebo);
        tokio::spawn(async move {
            // What is measured on a host that was lost is no evidence of anything.
            let evidence = if is_lost || placebo { None } else { agent.evidence(id.clone()).await.ok() };
            let undone = if is_lost { undo_patiently(agent.as_ref(), &id).await } else { agent.undo(id).await };
            let _ = replies.send(Reply::Undone { fault: number, evidence, undone });
        });
    }

    pub(super) fn measure(&mut self, number: FaultNumber) {
        let placebo = self.request.placebo;
        let Some(fault) = self.faults.get_mut(number.0).filter(|fault| !fault.measuring && !placebo) else { return };
        fault.measuring = true;
        let (measuring, replies) = (fault.agent.evidence(fault.request.id.clone()), self.replies.clone());
        tokio::spawn(async move {
            let _ = replies.send(Reply::Measured { fault: number, evidence: measuring.await });
        });
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Injected { fault, injected } => {
                self.planned(fault, injected.plan);
                let id = self.id(fault);
                self.note(Happening::Injected { fault: id, took: injected.took.as_secs_f64() });
                self.event(Event::Injected(fault));
                // What was not injected has no effect to be waited for.
                if self.request.placebo && self.machine.is_active(fault) && !self.machine.has_bitten(fault) {
                    self.event(Event::Bites(fault));
                }
            }
            Reply::NotInjected { fault, why } => {
                // A host that was lost says more of the run than that it did not answer.
                self.watch_hosts();
                let id = self.id(fault);
                let reason = self.faults.get(fault.0).map_or(why.reason.clone(), |run| run.of_host(why.reason.clone()));
                self.note(Happening::InjectionFailed { fault: id.clone(), reason: reason.clone() });
                if !why.verified {
                    self.note(Happening::Undone { fault: id, steps: Vec::new(), verified: false, took: 0.0 });
                }
                self.event(Event::InjectionFailed { fault, reason, verified: why.verified });
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
        self.faults.get(number.0).map_or_else(|| FaultId::from_number(0), |fault| fault.request.id.clone())
    }

    /// Records a plan unless it is the very one recorded before.
    pub(super) fn planned(&mut self, number: FaultNumber, plan: Plan) {
        let Some(fault) = self.faults.get_mut(number.0) else { return };
        if fault.plan.as_ref() != Some(&plan) {
            let (target, host) = (fault.request.target_name.clone(), fault.host.clone());
            fault.plan = Some(plan.clone());
            self.note(Happening::Planned { target, host, plan: Box::new(plan) });
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
                if let (Bite::No(reason), Some(fault)) = (bite, self.faults.get(number.0)) {
                    let reason = fault.of_host(format!("{} has no effect: {reason}", fault.request.fault.name()));
                    self.event(Event::NoEffect { fault: number, reason });
                }
            }
            Err(error) => tracing::warn!(fault = %self.id(number), error, "the fault could not be measured"),
        }
    }

    fn note_evidence(&mut self, number: FaultNumber, evidence: &Evidence, last: bool) {
        let id = self.id(number);
        let news = evidence.bite == Bite::Yes && !self.machine.has_bitten(number);
        let changed = self.faults.get_mut(number.0).is_some_and(|fault| {
            std::mem::replace(&mut fault.changes, evidence.changes.len()) != evidence.changes.len()
        });
        if last || news || changed || evidence.bite != Bite::Yes {
            self.note(Happening::Evidence { fault: id, evidence: evidence.clone() });
        }
        if news {
            self.event(Event::Bites(number));
        }
    }
}
