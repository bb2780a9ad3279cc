//! What a controller does now and then: says that it lives, learns which others do and who was revoked, renews its
//! certificate, forgets.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::identity::Reached;
use crate::controller::Controller;
use crate::store::{Controller as Seen, StoreError};

/// How often the store is told that this controller lives, and asked who was revoked.
const LOOK: Duration = Duration::from_secs(5);
/// How often what nobody needs any more is removed: every hour.
const TIDY: u32 = 720;
/// How often old runs of schedules and old game days are: every minute.
const FORGET: u32 = 12;
/// Agents are told of another controller for so long after it was last seen: it may only be restarted.
const TOLD: Duration = Duration::from_secs(24 * 3600);
/// How long tokens and approvals that are over, and controllers that are gone, are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Goes on until the stop.
pub(super) async fn keep(controller: Arc<Controller>, reached: Reached, started: Timestamp, stop: CancellationToken) {
    for round in 0_u32.. {
        if let Err(error) = say(&controller, &reached, started).await {
            tracing::warn!(%error, "the store was not told that this controller lives");
        }
        if let Err(error) = look_for_others(&controller).await {
            tracing::warn!(%error, "it is not known which other controllers there are");
        }
        if let Err(error) = controller.read_revoked().await {
            tracing::warn!(%error, "the revoked certificates could not be read");
        }
        if let Err(error) = controller.follow_rotation().await {
            let hint = error.hint();
            tracing::error!(%error, hint, "what the fleet decided of its authority could not be done here");
        }
        match controller.authority().renew_server(Timestamp::now()) {
            Ok(true) => tracing::info!("the controller's certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the controller's certificate could not be renewed"),
        }
        if round % TIDY == 0
            && let Err(error) = tidy(&controller).await
        {
            tracing::warn!(%error, "what is not needed any more could not be removed");
        }
        if round % FORGET == 0
            && let Err(error) = controller.forget_old_runs().await
        {
            tracing::warn!(%error, "old runs could not be forgotten");
        }
        if round % FORGET == 0
            && let Err(error) = controller.forget_old_game_days().await
        {
            tracing::warn!(%error, "old game days could not be forgotten");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn say(controller: &Controller, reached: &Reached, started: Timestamp) -> Result<(), StoreError> {
    let store = controller.store();
    let seen = Seen {
        id: controller.id().to_owned(),
        address: reached.api.clone(),
        agents: reached.agents.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: started,
        seen_at: store.now().await?,
    };
    store.controller_seen(&seen).await
}

/// Has agents told of the other controllers of the store.
async fn look_for_others(controller: &Controller) -> Result<(), StoreError> {
    let store = controller.store();
    let since = store.now().await? - TOLD;
    let others = store.controllers().await?.into_iter().filter(|other| other.id != controller.id());
    let mut agents: Vec<String> = others.filter(|other| other.seen_at > since).map(|other| other.agents).collect();
    agents.retain(|address| !address.is_empty());
    agents.sort();
    agents.dedup();
    controller.registry().set_others(agents);
    Ok(())
}

async fn tidy(controller: &Controller) -> Result<(), StoreError> {
    let store = controller.store();
    let before = store.now().await? - KEPT;
    store.prune_enrolment_tokens(before).await?;
    store.prune_certificates(before).await?;
    store.prune_approvals(before).await?;
    store.forget_controllers(before).await?;
    Ok(())
}
