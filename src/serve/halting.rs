//! The halt of the fleet, wherever it was ordered: by another controller it is only in the store.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::controller::Controller;
use crate::experiment::machine::Stop;
use crate::fleet::halt;
use crate::store::Halt;

/// How often the store is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Halts and releases the agents connected here as the store says, until the stop.
pub(super) async fn obey(controller: Arc<Controller>, telling: Telling, stop: CancellationToken) {
    let mut told: Option<Halt> = None;
    loop {
        let registry = controller.registry();
        // Before the store is asked: what is in force here by then is in the store too, unless it is being ordered.
        let (ordering, in_force) = (registry.is_ordering_halt(), registry.halted());
        if let Ok(ordered) = controller.store().halted().await
            && !ordering
        {
            if ordered != told {
                tell(&controller, &telling, told.take(), ordered.as_ref()).await;
                told.clone_from(&ordered);
            }
            let patience = controller.settings().halt_patience;
            match (ordered, in_force) {
                (Some(ordered), None) => {
                    tracing::warn!(reason = ordered.reason, by = ordered.by, "the fleet is halted");
                    controller.running().stop_all(&Stop::Halted(format!("the fleet was halted: {}", ordered.reason)));
                    let halted = halt::halt(registry, &ordered.reason, patience).await;
                    tracing::warn!(hosts = halted.hosts.len(), not_reached = halted.not_reached.len(), "halted");
                }
                (None, Some(_)) => {
                    let released = halt::release(registry, patience).await;
                    tracing::warn!(not_reached = released.not_reached.len(), "the halt of the fleet was taken back");
                }
                _ => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Tells others of a halt that is new here, and of one that is over.
async fn tell(controller: &Controller, telling: &Telling, before: Option<Halt>, now: Option<&Halt>) {
    if let Some(before) = before {
        let released = controller.last_release().await.ok().flatten().filter(|record| record.at >= before.since);
        telling.released(&before, released.map_or_else(|| "somebody".into(), |record| record.deed.actor));
    }
    if let Some(halt) = now {
        telling.halted(halt, controller.running().len());
    }
}
