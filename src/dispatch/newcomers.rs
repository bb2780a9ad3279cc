//! Hosts that join while a run goes on and that one of its targets means.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Hosts;
use crate::experiment::document::Experiment;
use crate::fleet::registry::FleetEvent;
use crate::run::Newcomer;
use crate::targets::fleet_plan::{FleetPlan, targets_joined};
use crate::targets::hosts::HostFacts;

/// Tells of each host of these events once, for as long as somebody listens.
pub(super) fn watch(
    hosts: Arc<dyn Hosts>,
    mut events: Receiver<FleetEvent>,
    plan: FleetPlan,
    experiment: Experiment,
) -> UnboundedReceiver<Newcomer> {
    let (told, newcomers) = unbounded_channel();
    let mut looking = Looking { plan, experiment, told, known: BTreeSet::new() };
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                () = looking.told.closed() => return,
                event = events.recv() => event,
            };
            match event {
                Ok(FleetEvent::Joined { host } | FleetEvent::Rejoined { host } | FleetEvent::Restarted { host }) => {
                    looking.at(hosts.facts(&host));
                }
                Ok(_) => {}
                // Some events were missed: everybody is looked at.
                Err(RecvError::Lagged(_)) => match hosts.fleet("").await {
                    Ok(fleet) => fleet.hosts.into_iter().for_each(|host| looking.at(Some(host))),
                    Err(error) => tracing::warn!(error, "hosts that joined may be missing in the report of a run"),
                },
                Err(RecvError::Closed) => return,
            }
        }
    });
    newcomers
}

struct Looking {
    plan: FleetPlan,
    experiment: Experiment,
    told: UnboundedSender<Newcomer>,
    known: BTreeSet<String>,
}

impl Looking {
    fn at(&mut self, host: Option<HostFacts>) {
        let Some(host) = host.filter(|host| !self.known.contains(&host.name)) else { return };
        let targets = targets_joined(&self.plan, &self.experiment, &host);
        if !targets.is_empty() {
            self.known.insert(host.name.clone());
            // A run that is over does not mind.
            let _ = self.told.send(Newcomer { host: host.name, targets });
        }
    }
}
