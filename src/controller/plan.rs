//! What a run would do now, to whom: hosts chosen by the seed, and what each of them says that it would do.

use std::collections::BTreeMap;

use faultline_agent::plan::UndoClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::command::Object;
use super::{Controller, ControllerError, suitable};
use crate::access::{Action, Labels, Principal};
use crate::document::load::Loaded;
use crate::experiment::document::Experiment;
use crate::fleet::FaultRequest;
use crate::targets::fleet_plan::{self, Fleet, FleetPlan};
use crate::targets::hosts::HostQuestion;
use crate::targets::{draw_seed, on_host, seed_of_fault, seed_on_host};

/// What one host says of one injection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedHost {
    /// The host.
    pub host: String,
    /// The number of the injection among the faults of the method, from 1.
    pub injection: usize,
    /// What its target is there now: one line for each thing that is touched.
    pub touches: Vec<String>,
    /// What would be done, one line a step.
    pub steps: Vec<String>,
    /// How that is undone after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoClass>,
    /// Why the host cannot do it, or its own policy forbids it; the run would end before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Why it was not asked: it is connected to another controller alone. Whoever drives the run asks it before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<String>,
}

impl PlannedHost {
    fn unsaid(host: String, injection: usize) -> Self {
        Self { host, injection, touches: Vec::new(), steps: Vec::new(), undo: None, refused: None, not_asked: None }
    }
}

/// What a run would do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanAnswer {
    /// The experiment's name.
    pub experiment: String,
    /// The hash of the plan: what is approved, and what a run may be bound to.
    pub plan_hash: String,
    /// The plan itself: the injections with their hosts, and which hosts were left out and why.
    pub plan: serde_json::Value,
    /// What each host says of it.
    pub hosts: Vec<PlannedHost>,
    /// Why no run would begin now, if the fleet is halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// What in the document is probably not meant.
    pub warnings: Vec<String>,
}

/// A document with its plan.
pub(super) struct Planned {
    pub(super) loaded: Loaded<Experiment>,
    pub(super) plan: FleetPlan,
    /// The labels that are bound to each of its hosts.
    labels: BTreeMap<String, Labels>,
}

impl Controller {
    /// Plans an experiment on the hosts that are connected now, and asks each what it would do. Nothing is touched.
    ///
    /// # Errors
    /// If `who` may not, the document is wrong or cannot be run by a controller, no hosts can be chosen (be it since the
    /// fleet is halted), or by the store.
    pub async fn plan(&self, who: &Principal, text: &str, seed: Option<u64>) -> Result<PlanAnswer, ControllerError> {
        self.admit(who, Action::Plan).await?;
        let planned = match self.make_plan(text, seed).await {
            Err(ControllerError::Hosts(why)) => {
                self.not_halted().await?;
                return Err(ControllerError::Hosts(why));
            }
            planned => planned?,
        };
        let object = planned.object(format!("experiment/{}", planned.plan.experiment));
        self.authorise(who, Action::Plan, &object).await?;
        let hosts = self.ask_hosts(&planned).await?;
        Ok(PlanAnswer {
            experiment: planned.plan.experiment.clone(),
            plan_hash: planned.plan.hash().to_string(),
            plan: planned.json()?,
            hosts,
            halted: self.store.halted().await?.map(|halt| format!("{} (by {})", halt.reason, halt.by)),
            warnings: planned.loaded.warnings.iter().map(|warning| warning.message.clone()).collect(),
        })
    }

    /// Chooses hosts and makes the plan, without asking any host.
    pub(super) async fn make_plan(&self, text: &str, seed: Option<u64>) -> Result<Planned, ControllerError> {
        let loaded = suitable::experiment(text, &self.settings)?;
        let spec = &loaded.document.spec;
        let seed = seed.or(spec.seed).unwrap_or_else(draw_seed);
        let Fleet { hosts: fleet, held, ceilings } = self.fleet_now("").await?;
        let question = HostQuestion { spec, seed, fleet: &fleet, held: &held, ceilings: &ceilings };
        let plan = fleet_plan::plan(&loaded.document, &question)?;
        let chosen = plan.hosts();
        let labels = fleet.into_iter().filter(|facts| chosen.contains(facts.name.as_str()));
        let labels = labels.map(|facts| (facts.name, facts.bound)).collect();
        Ok(Planned { loaded, plan, labels })
    }

    /// What each host would do, all asked at once.
    pub(super) async fn ask_hosts(&self, planned: &Planned) -> Result<Vec<PlannedHost>, ControllerError> {
        let spec = &planned.loaded.document.spec;
        let elsewhere = self.reached_by_others().await?;
        let mut answers: Vec<PlannedHost> = Vec::new();
        let mut asked = JoinSet::new();
        for (index, (inject, injection)) in spec.injections().zip(&planned.plan.injections).enumerate() {
            for host in &injection.hosts {
                if let Some(controller) = elsewhere.get(host) {
                    let why = format!("it is connected to the controller {controller}, and not to this one");
                    let unasked = PlannedHost::unsaid(host.clone(), injection.number);
                    answers.push(PlannedHost { not_asked: Some(why), ..unasked });
                    continue;
                }
                let agent = self.agent_of(host);
                let request = FaultRequest {
                    target: spec.target(inject).map(on_host),
                    seed: seed_on_host(seed_of_fault(planned.plan.seed, index), host),
                    ..spec.fault_request(inject, "a-plan", agent.new_id())
                };
                let (number, host) = (injection.number, host.clone());
                asked.spawn(async move { (number, host, agent.plan(request).await) });
            }
        }
        while let Some(answer) = asked.join_next().await {
            let (injection, host, answer) = answer.map_err(|error| ControllerError::Broken(error.to_string()))?;
            answers.push(match answer {
                Ok(planned) => PlannedHost {
                    touches: planned.targets,
                    steps: planned.plan.steps.iter().map(|step| step.describe()).collect(),
                    undo: Some(planned.plan.undo_class()),
                    refused: planned.refused,
                    ..PlannedHost::unsaid(host, injection)
                },
                Err(error) => PlannedHost { refused: Some(error.reason), ..PlannedHost::unsaid(host, injection) },
            });
        }
        answers.sort_by(|one, other| (one.injection, &one.host).cmp(&(other.injection, &other.host)));
        Ok(answers)
    }
}

impl Planned {
    /// What would be met, as what somebody wants to do something to.
    pub(super) fn object(&self, name: impl Into<String>) -> Object {
        let object = Object::new(name).experiment(self.loaded.document.metadata.labels.clone());
        self.hosts().fold(object, |object, (host, labels)| object.host(host, labels))
    }

    /// Each host that is met, with its labels if they are known.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&str, Option<Labels>)> {
        self.plan.hosts().into_iter().map(|host| (host, self.labels.get(host).cloned()))
    }

    /// The plan with its hash, as others read it.
    pub(super) fn json(&self) -> Result<serde_json::Value, ControllerError> {
        self.plan.to_json().map_err(|error| ControllerError::Broken(error.to_string()))
    }
}
