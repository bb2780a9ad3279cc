//! The halt of the fleet, wherever it was ordered: by another controller it is only in the store.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::controller::Controller;
use crate::experiment::machine::Stop;
use crate::fleet::halt;

/// How often the store is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Halts and releases the agents connected here as the store says, until the stop.
pub(super) async fn obey(controller: Arc<Controller>, stop: CancellationToken) {
    loop {
        if let Ok(ordered) = controller.store().halted().await {
            let (registry, patience) = (controller.registry(), controller.settings().halt_patience);
            match (ordered, registry.halted()) {
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
