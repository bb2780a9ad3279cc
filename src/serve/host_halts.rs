//! A halt that somebody set on a host itself halts the whole fleet: whoever stands before any one machine can stop
//! everything.
//!
//! It does so once. Whoever releases the fleet while that host stays halted has seen that it does, and is not overruled,
//! neither by this controller nor by another or by the same one after a restart. A halt of one state folder alone
//! (`--state`) stays on its host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use faultline_agent::halt::Halt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::access::{Principal, Role, Scope};
use crate::controller::{Controller, ControllerError};

/// How often hosts are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Halts the fleet for the sake of its hosts, until the stop.
pub(super) async fn follow(controller: Arc<Controller>, stop: CancellationToken) {
    // What each host was seen to be: the time of its halt, or none.
    let mut seen: BTreeMap<String, Option<String>> = BTreeMap::new();
    loop {
        for (host, halt) in controller.registry().halts_by_hand() {
            let time = halt.as_ref().map(|halt| halt.time.clone());
            let before = seen.get(&host);
            if before == Some(&time) {
                continue;
            }
            let Some(halt) = halt else {
                seen.insert(host, time);
                continue;
            };
            match obey(&controller, &host, &halt, before.is_some()).await {
                Ok(()) => _ = seen.insert(host, time),
                // Tried again: the host stays halted.
                Err(error) => tracing::error!(host, %error, "a halt of this host could not be ordered for the fleet"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn obey(controller: &Controller, host: &str, halt: &Halt, was_seen: bool) -> Result<(), ControllerError> {
    if controller.store().halted().await?.is_some() {
        return Ok(());
    }
    if !was_seen && let Some(release) = controller.last_release().await? {
        // Its own clock says when; one that says nothing is new.
        let set: Option<Timestamp> = halt.time.parse().ok();
        if set.is_some_and(|set| set < release.at) {
            return Ok(());
        }
    }
    tracing::warn!(host, reason = halt.reason, "somebody halted this host, and with it the fleet");
    let who = Principal { name: format!("host/{host}"), role: Role::Viewer, scope: Scope::everything() };
    controller.halt(&who, &halt.reason).await?;
    Ok(())
}
