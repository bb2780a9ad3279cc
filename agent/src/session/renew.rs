use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use super::connection::{Connection, client};
use super::wire::RenewRequest;
use super::{Renewal, limits};
use crate::crash_point;

/// How often it is looked whether the certificate is due. It lives for days.
const LOOK: Duration = Duration::from_secs(60);

/// The renewal of the one certificate, over whichever session is there: by one of them at a time. The others are dialled
/// anew with it at their next look, and so not all at once.
pub(super) struct Renewing {
    renewal: Option<Arc<dyn Renewal>>,
    turn: Mutex<()>,
    /// How many times it was renewed.
    generation: AtomicU64,
}

impl Renewing {
    pub(super) fn new(renewal: Option<Arc<dyn Renewal>>) -> Self {
        Self { renewal, turn: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Tells the present certificate from the one before it. To be asked before a connection is dialled.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Renews the certificate over a standing connection when it is due, or ordered over it. Ends once there is another than that with which
    /// the connection was dialled, and else never.
    pub(super) async fn renew(&self, connection: Connection, dialled_with: u64, ordered: &Notify) {
        let Some(renewal) = &self.renewal else { return std::future::pending().await };
        let mut at_once = false;
        loop {
            if self.generation() != dialled_with {
                return;
            }
            // While another session is at it, this one looks again later.
            if let Ok(_turn) = self.turn.try_lock()
                && let Some(signing_request) = renewal.due(at_once)
            {
                match renew_now(renewal.as_ref(), connection.clone(), signing_request).await {
                    Ok(()) => {
                        tracing::info!("the certificate was renewed");
                        self.generation.fetch_add(1, Ordering::Release);
                        return;
                    }
                    Err(reason) => {
                        tracing::warn!(reason, "the certificate is due and could not be renewed; tried again");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                // An order is carried out once; after a failure with the next look.
                () = ordered.notified() => at_once = true,
            }
        }
    }
}

async fn renew_now(renewal: &dyn Renewal, connection: Connection, signing_request: String) -> Result<(), String> {
    crash_point!("session/renewal/unasked");
    let mut client = client(connection);
    let asked = client.renew(RenewRequest { signing_request });
    match tokio::time::timeout(limits::CONNECT, asked).await {
        Ok(Ok(answer)) => {
            let answer = answer.into_inner();
            crash_point!("session/renewal/unsaved");
            renewal.accept(&answer.certificate_chain, &answer.trust_bundle)?;
            crash_point!("session/renewal/saved");
            Ok(())
        }
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_) => Err("no answer came in time".into()),
    }
}
