//! The fleet as a choice of hosts sees it.

use std::collections::BTreeMap;

use faultline_agent::node::MustStop;

use super::command::Object;
use super::{Controller, ControllerError};
use crate::access::Labels;
use crate::fleet::registry::HostView;
use crate::store::runs::{RunFilter, RunState};
use crate::targets::hosts::{HeldHosts, HostFacts, HostHealth};

/// So many runs under way are looked at; more never are.
const MOST_RUNS: u32 = 100_000;

impl Controller {
    /// The hosts connected here, as they are now, and those known that are not.
    pub(super) async fn fleet_facts(&self) -> Result<Vec<HostFacts>, ControllerError> {
        let mut facts: BTreeMap<String, HostFacts> = BTreeMap::new();
        for agent in self.store.agents().await? {
            let health = HostHealth::Healthy;
            facts.insert(
                agent.name.clone(),
                HostFacts { name: agent.name, labels: agent.labels, connected: false, health },
            );
        }
        for view in self.registry.views() {
            facts.insert(view.name.clone(), facts_of(view));
        }
        Ok(facts.into_values().collect())
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

    /// A run as what something is done to: its experiment, every host with its labels as they are known now, and who
    /// asked for it.
    pub(super) async fn object_of_run(&self, id: &str) -> Result<Object, ControllerError> {
        let (run, texts) = (self.store.run(id).await?, self.store.run_document(id).await?);
        let mut known: BTreeMap<String, Labels> =
            self.fleet_facts().await?.into_iter().map(|facts| (facts.name, facts.labels)).collect();
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
        None if !view.status.stuck.is_empty() => {
            HostHealth::Unhealthy(format!("{} faults could not be undone there", view.status.stuck.len()))
        }
        None => HostHealth::Healthy,
    };
    HostFacts { name: view.name, labels: view.labels, connected: view.connected, health }
}
