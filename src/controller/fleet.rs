//! The fleet as a choice of hosts sees it.

use std::collections::BTreeMap;

use faultline_agent::node::MustStop;

use super::command::Object;
use super::{Controller, ControllerError};
use crate::access::Labels;
use crate::fleet::registry::HostView;
use crate::store::runs::{RunFilter, RunState};
use crate::store::{Agent, AgentHealth};
use crate::targets::fleet_plan::Fleet;
use crate::targets::hosts::{HeldHosts, HostFacts, HostHealth};

/// So many runs under way are looked at; more never are.
const MOST_RUNS: u32 = 100_000;

impl Controller {
    /// The fleet as it is now, and what runs other than this one hold of it.
    ///
    /// # Errors
    /// The store's.
    pub async fn fleet_now(&self, except: &str) -> Result<Fleet, ControllerError> {
        let mut held = self.held_hosts().await?;
        held.retain(|held| held.run != except);
        Ok(Fleet { hosts: self.fleet_facts().await?, held, ceilings: self.settings.ceilings.clone() })
    }

    /// A host as it is now, if it was ever connected here.
    pub fn facts_of_host(&self, name: &str) -> Option<HostFacts> {
        self.registry.view(name).map(facts_of)
    }

    /// All hosts that are known: those connected here as they are now, others as the store has them. A host is connected if
    /// it is to any controller that lives, so that each of them chooses among the same.
    pub(super) async fn fleet_facts(&self) -> Result<Vec<HostFacts>, ControllerError> {
        let mut facts: BTreeMap<String, HostFacts> = BTreeMap::new();
        for agent in self.store.agents(self.now().await?).await? {
            facts.insert(agent.name.clone(), self.facts_as_stored(agent));
        }
        for view in self.registry.views() {
            let elsewhere = || facts.get(&view.name).is_some_and(|facts| facts.connected);
            if view.connected || !elsewhere() {
                facts.insert(view.name.clone(), facts_of(view));
            }
        }
        self.mark_unclean(&mut facts).await?;
        Ok(facts.into_values().collect())
    }

    /// A host that is not connected here. What the store has of a connection here is over, or is about to be known.
    fn facts_as_stored(&self, agent: Agent) -> HostFacts {
        let connected = agent.connected.iter().any(|connected| connected.controller != self.id);
        let health = match agent.health {
            AgentHealth::Degraded => HostHealth::Unhealthy("it is halted, or faults could not be undone there".into()),
            AgentHealth::Healthy | AgentHealth::Unknown => HostHealth::Healthy,
        };
        HostFacts { name: agent.name, labels: agent.labels, bound: agent.bound, connected, health }
    }

    /// A controller to which a host is connected that is not connected here, as people reach that controller.
    pub(super) async fn reached_by_others(&self) -> Result<BTreeMap<String, String>, ControllerError> {
        let controllers: BTreeMap<String, String> =
            self.store.controllers().await?.into_iter().map(|other| (other.id, other.address)).collect();
        let mut reached = BTreeMap::new();
        for agent in self.store.agents(self.now().await?).await? {
            let other = agent.connected.iter().find(|connected| connected.controller != self.id);
            if let Some(other) = other.filter(|_| self.registry.line(&agent.name).is_none()) {
                let address = controllers.get(&other.controller).unwrap_or(&other.controller);
                reached.insert(agent.name, address.clone());
            }
        }
        Ok(reached)
    }

    /// The hosts that runs under way have.
    pub(super) async fn held_hosts(&self) -> Result<Vec<HeldHosts>, ControllerError> {
        let states = vec![RunState::Claimed, RunState::Running, RunState::Closing];
        let filter = RunFilter { states, ..RunFilter::default() };
        let mut held = Vec::new();
        for run in self.store.runs(&filter, None, MOST_RUNS).await?.0 {
            let hosts = self.store.run_document(&run.id).await?.hosts.into_iter().collect();
            held.push(HeldHosts { run: run.id, experiment: run.experiment, hosts, shares: run.shared_hosts });
        }
        Ok(held)
    }

    /// A run as what something is done to: its experiment, every host with the labels that are bound to it, and who
    /// asked for it.
    pub(super) async fn object_of_run(&self, id: &str) -> Result<Object, ControllerError> {
        let (run, texts) = (self.store.run(id).await?, self.store.run_document(id).await?);
        let mut known: BTreeMap<String, Labels> =
            self.fleet_facts().await?.into_iter().map(|facts| (facts.name, facts.bound)).collect();
        let object = Object::new(format!("run/{id}")).experiment(run.labels).requested_by(run.requested_by);
        Ok(texts.hosts.into_iter().fold(object, |object, host| {
            let labels = known.remove(&host);
            object.host(&host, labels)
        }))
    }
}

fn facts_of(view: HostView) -> HostFacts {
    let health = match view.status.must_stop {
        Some(MustStop::Halted(halt)) => HostHealth::Unhealthy(format!("halted: {}", halt.reason)),
        Some(MustStop::GuardLost) => HostHealth::Unhealthy("its guard is lost".into()),
        Some(MustStop::Newer(why)) => HostHealth::Unhealthy(format!("it says that everything there must end: {why}")),
        None if !view.status.stuck.is_empty() => {
            HostHealth::Unhealthy(format!("{} faults could not be undone there", view.status.stuck.len()))
        }
        None => HostHealth::Healthy,
    };
    HostFacts { name: view.name, labels: view.labels, bound: view.bound, connected: view.connected, health }
}
