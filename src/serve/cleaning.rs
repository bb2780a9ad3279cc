//! Hosts that were left unclean are trusted again once their own agents have shown that nothing is left.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::controller::Controller;
use crate::controller::unclean::Known;

/// How often it is looked at them.
const LOOK: Duration = Duration::from_secs(2);

/// Goes on until the stop.
pub(super) async fn watch(controller: Arc<Controller>, stop: CancellationToken) {
    let mut known = Known::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = controller.look_at_unclean(&mut known) => looked,
        };
        if let Err(error) = looked {
            tracing::warn!(%error, "it could not be looked whether hosts that were left unclean are clean");
        }
    }
}
