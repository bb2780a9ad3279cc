use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, client};
use super::wire::RenewRequest;
use super::{Renewal, limits};

/// How often it is looked whether the certificate is due. It lives for days.
const LOOK: Duration = Duration::from_secs(60);

/// Renews the certificate over a standing connection when it is due; ends once there is a new one, and else never.
pub(super) async fn renew(connection: Connection, renewal: Option<Arc<dyn Renewal>>) {
    let Some(renewal) = renewal else { return std::future::pending().await };
    loop {
        if let Some(signing_request) = renewal.due() {
            let mut client = client(connection.clone());
            let asked = client.renew(RenewRequest { signing_request });
            let renewed = match tokio::time::timeout(limits::CONNECT, asked).await {
                Ok(Ok(answer)) => {
                    let answer = answer.into_inner();
                    renewal.accept(&answer.certificate_chain, &answer.trust_bundle)
                }
                Ok(Err(status)) => Err(status.message().to_owned()),
                Err(_) => Err("no answer came in time".into()),
            };
            match renewed {
                Ok(()) => {
                    tracing::info!("the certificate was renewed");
                    return;
                }
                Err(reason) => tracing::warn!(reason, "the certificate is due and could not be renewed; tried again"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
