//! How hosts become agents: by one-time tokens.
//!
//! - A name belongs to whoever has it: while a certificate for it is good, nobody else is enrolled under it.
//! - What is signed is in the store before it is handed out, so that it can be revoked.
//! - The labels of a token are bound to the host by its certificate, and by each that follows it.

use std::sync::Arc;

use faultline_agent::credentials::{AgentName, Secret};
use jiff::Timestamp;
use serde_json::json;

use crate::audit::Deed;
use crate::authority::{AGENT_LIFE, Authority, IssuedCertificate};
use crate::fleet::Answer;
use crate::fleet::registry::Peer;
use crate::fleet::server::{Credentials, Enrolled, Enroller, Record, Wanted};
use crate::store::{CertificateRole, NewCertificate, Refusal, Store, StoreError};

/// What is said of every token that is not accepted: who tries tokens learns nothing.
const REFUSED: &str = "the token is not accepted: it is unknown, expired, used or revoked";

/// Keeps what was signed in place of a certificate that expires soon.
pub(super) fn record(store: Store) -> Record {
    Arc::new(move |issued: IssuedCertificate, former: Peer| {
        let store = store.clone();
        Box::pin(async move {
            let kept = async { store.record_renewal(&former.serial, &certificate(&issued), store.now().await?).await };
            kept.await.map_err(|error: StoreError| error.to_string())
        })
    })
}

fn certificate(issued: &IssuedCertificate) -> NewCertificate {
    NewCertificate {
        serial: issued.identity.serial.to_string(),
        subject: issued.identity.name.to_string(),
        role: CertificateRole::Agent,
        not_after: issued.identity.not_after,
        authority: issued.authority.to_string(),
        trusts: issued.trusts.iter().map(ToString::to_string).collect(),
    }
}

/// Enrols by the tokens in the store.
pub(super) struct ByToken {
    authority: Arc<Authority>,
    store: Store,
    /// Where agents reach this controller.
    agents: String,
}

impl ByToken {
    pub(super) fn new(authority: Arc<Authority>, store: Store, agents: String) -> Self {
        Self { authority, store, agents }
    }
}

impl Enroller for ByToken {
    fn enrol(&self, request: Wanted) -> Answer<Result<Enrolled, String>> {
        let (authority, store, agents) = (Arc::clone(&self.authority), self.store.clone(), self.agents.clone());
        Box::pin(async move {
            let (token, name) = (request.token_id.clone(), request.name.clone());
            let enrolled = enrol(&authority, &store, agents, request).await;
            let outcome = enrolled.as_ref().map_or_else(|why| format!("refused: {why}"), |_| "done".to_owned());
            let details = json!({ "name": name });
            let deed =
                Deed::new(format!("enrolment-token/{token}"), "enrol", format!("agent/{name}"), outcome, &details);
            let written = async { store.append_audit(&deed, store.now().await?).await };
            match written.await {
                Ok(_) => enrolled,
                Err(error) => Err(format!("it could not be written to the audit log: {error}")),
            }
        })
    }
}

async fn enrol(authority: &Authority, store: &Store, agents: String, request: Wanted) -> Result<Enrolled, String> {
    let told = |error: StoreError| match error.refusal() {
        Some(Refusal::Token(_)) => REFUSED.to_owned(),
        Some(refusal) => format!("{refusal}: {}", refusal.hint()),
        None => error.to_string(),
    };
    let name: AgentName = request.name.parse().map_err(|error| format!("{error}"))?;
    let now = store.now().await.map_err(told)?;
    let secret: Secret = request.token_secret.parse().map_err(|_| REFUSED.to_owned())?;
    let hash = secret.hash().to_string();
    // Everything that can be wrong is found before the token is used up: a request that is refused costs no token.
    let token = store.redeemable_token(&hash, now).await.map_err(told)?;
    if token.id != request.token_id {
        return Err(REFUSED.into());
    }
    let unlike =
        request.labels.iter().find(|(label, value)| token.labels.get(*label).is_some_and(|fixed| fixed != *value));
    if let Some((label, value)) = unlike {
        return Err(format!("the token is for hosts with {label}={}, not {value}", token.labels[label]));
    }
    // What the token fixes is bound, and nothing of what the host says of itself.
    let issued = authority
        .issue_agent(&request.signing_request, &name, &token.labels, AGENT_LIFE, Timestamp::now())
        .map_err(|error| error.to_string())?;
    store.enrol(&hash, &certificate(&issued), now).await.map_err(told)?;
    Ok(Enrolled {
        credentials: Credentials { certificate_chain: issued.certificate_chain, trust_bundle: issued.trust_bundle },
        server_name: authority.known_as(),
        agent_address: agents,
    })
}
