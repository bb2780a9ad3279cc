//! Hosts that vanish and come back, told to others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::controller::Controller;
use crate::fleet::registry::FleetEvent;
use crate::notify::What;

/// How long after a host was lost here it is known in the store whether another controller has it.
const SETTLED: Duration = Duration::from_secs(3);
/// How often it is asked after that whether it still has.
const ASKED_AGAIN: Duration = Duration::from_secs(10);

/// A host that was lost here.
struct Gone {
    /// When it is looked whether another controller has it.
    look: Instant,
    active_faults: u32,
    /// When it was last heard of by any controller; known once that was told.
    told: Option<Timestamp>,
}

/// Tells of hosts that vanish and come back, until the stop. One that another controller still has did not vanish; of one
/// that all have lost each of them tells the same, which the outbox knows by its id.
pub(super) async fn watch(controller: Arc<Controller>, telling: Telling, stop: CancellationToken) {
    let registry = controller.registry();
    let mut events = registry.subscribe();
    let mut gone: BTreeMap<String, Gone> = BTreeMap::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                tell_of_vanished(&controller, &telling, &mut gone).await;
                continue;
            }
            event = events.recv() => event,
        };
        let event = match event {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(view) = registry.view(event.host()) else { continue };
        match event {
            FleetEvent::Vanished { .. } => {
                let active_faults = u32::try_from(view.status.active.len()).unwrap_or(u32::MAX);
                gone.insert(view.name, Gone { look: Instant::now() + SETTLED, active_faults, told: None });
            }
            FleetEvent::Rejoined { .. } | FleetEvent::Restarted { .. } => {
                if let Some(last_seen) = gone.remove(&view.name).and_then(|gone| gone.told) {
                    telling.tell(Timestamp::now(), &view.labels, What::AgentReturned { host: view.name, last_seen });
                }
            }
            _ => {}
        }
    }
}

/// Tells of those that no controller has any more.
async fn tell_of_vanished(controller: &Controller, telling: &Telling, gone: &mut BTreeMap<String, Gone>) {
    let now = Instant::now();
    if !gone.values().any(|gone| gone.told.is_none() && gone.look <= now) {
        return;
    }
    let store = controller.store();
    let Ok(agents) = (async { store.agents(store.now().await?).await }).await else { return };
    for (host, gone) in gone.iter_mut().filter(|(_, gone)| gone.told.is_none() && gone.look <= now) {
        let Some(agent) = agents.iter().find(|agent| agent.name == *host) else { continue };
        if !agent.connected.is_empty() {
            gone.look = now + ASKED_AGAIN;
            continue;
        }
        let (last_seen, active_faults) = (agent.last_seen, gone.active_faults);
        gone.told = Some(last_seen);
        let what = What::AgentVanished { host: host.clone(), last_seen, active_faults };
        telling.tell(Timestamp::now(), &agent.labels, what);
    }
}
