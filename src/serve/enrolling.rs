//! How hosts become agents: by one-time tokens.
//!
//! A name belongs to whoever has it: while a certificate for it is good, nobody else is enrolled under it. What is signed
//! is in the store before it is handed out, so that it can be revoked.

use std::sync::Arc;

use faultline_agent::credentials::{AgentName, Secret};
use jiff::Timestamp;
use serde_json::json;

use crate::audit::Deed;
use crate::authority::{AGENT_LIFE, Authority, IssuedCertificate};
use crate::fleet::Answer;
use crate::fleet::server::{Credentials, Enrolled, Enroller, Record, Wanted};
use crate::store::{CertificateRole, NewCertificate, Store, StoreError};

/// What is said of every token that is not accepted: who tries tokens learns nothing.
const REFUSED: &str = "the token is not accepted: it is unknown, expired, used or revoked";

/// Keeps what was signed.
pub(super) fn record(store: Store) -> Record {
    Arc::new(move |issued: IssuedCertificate| {
        let store = store.clone();
        Box::pin(async move { keep(&store, &issued).await.map_err(|error| error.to_string()) })
    })
}

async fn keep(store: &Store, issued: &IssuedCertificate) -> Result<(), StoreError> {
    let certificate = NewCertificate {
        serial: issued.identity.serial.to_string(),
        subject: issued.identity.name.to_string(),
        role: CertificateRole::Agent,
        not_after: issued.identity.not_after,
    };
    store.record_certificate(&certificate, store.now().await?).await
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
    let told = |error: StoreError| error.to_string();
    let name: AgentName = request.name.parse().map_err(|error| format!("{error}"))?;
    let now = store.now().await.map_err(told)?;
    let secret: Secret = request.token_secret.parse().map_err(|_| REFUSED.to_owned())?;
    // Signed before the token is used up: a request that cannot be signed costs no token. Nobody has it yet.
    let issued = authority
        .issue_agent(&request.signing_request, &name, AGENT_LIFE, Timestamp::now())
        .map_err(|error| error.to_string())?;
    let theirs = store.certificates(Some(name.as_str())).await.map_err(told)?;
    if theirs.iter().any(|held| held.revoked_at.is_none() && held.not_after > now) {
        return Err(format!(
            "a host is enrolled as `{name}`: `faultline agents revoke {name}` first, if it is to be replaced"
        ));
    }
    let token = store
        .redeem_token(&secret.hash().to_string(), name.as_str(), now)
        .await
        .map_err(|error| if error.refusal().is_some() { REFUSED.to_owned() } else { told(error) })?;
    if token.id != request.token_id {
        return Err(REFUSED.into());
    }
    let unlike =
        request.labels.iter().find(|(label, value)| token.labels.get(*label).is_some_and(|fixed| fixed != *value));
    if let Some((label, value)) = unlike {
        return Err(format!("the token is for hosts with {label}={}, not {value}", token.labels[label]));
    }
    keep(store, &issued).await.map_err(told)?;
    Ok(Enrolled {
        credentials: Credentials { certificate_chain: issued.certificate_chain, trust_bundle: issued.trust_bundle },
        server_name: authority.known_as(),
        agent_address: agents,
    })
}
