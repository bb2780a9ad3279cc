use std::sync::Arc;
use std::time::Duration;

use faultline_agent::credentials::{AgentName, PeerIdentity};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::gate::{Credentials, Gate};
use crate::authority::{Authority, AuthorityError, IssuedCertificate, Revocations, tls};
use crate::fleet::Answer;
use crate::fleet::registry::Peer;

/// Keeps what was issued in place of the certificate of this peer, before it is handed out.
pub type Record = Arc<dyn Fn(IssuedCertificate, Peer) -> Answer<Result<(), String>> + Send + Sync>;

/// The authority of this controller, as its port for agents asks it.
pub struct AuthorityGate {
    authority: Arc<Authority>,
    revocations: Revocations,
    tls: Arc<rustls::ServerConfig>,
    life: Duration,
    record: Record,
}

impl std::fmt::Debug for AuthorityGate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AuthorityGate").field("life", &self.life).finish_non_exhaustive()
    }
}

impl AuthorityGate {
    /// That of an authority, which signs for so long; what it signs is recorded before it is handed out, so that it can be
    /// revoked.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        authority: Arc<Authority>,
        revocations: Revocations,
        life: Duration,
        record: Record,
    ) -> Result<Self, AuthorityError> {
        let tls = tls::agent_port(&authority, &revocations, tls::system_time())?;
        Ok(Self { authority, revocations, tls, life, record })
    }
}

impl Gate for AuthorityGate {
    fn tls(&self) -> Arc<rustls::ServerConfig> {
        // One for all: it looks certificates, authorities and revocations up at each handshake.
        Arc::clone(&self.tls)
    }

    fn peer(&self, certificate: &CertificateDer<'_>) -> Result<Peer, String> {
        let identity = PeerIdentity::of(certificate).map_err(|problem| problem.to_string())?;
        Ok(Peer {
            name: identity.name.to_string(),
            serial: identity.serial.to_string(),
            valid_until: identity.not_after,
            labels: identity.labels,
        })
    }

    fn admits(&self, peer: &Peer) -> Result<(), String> {
        let serial = peer.serial.parse().map_err(|_| "its certificate has no serial number of ours".to_owned())?;
        if self.revocations.contains(serial) {
            return Err("the certificate of this host was revoked: enrol it anew".into());
        }
        if Timestamp::now() > peer.valid_until {
            return Err(format!("the certificate of this host was valid until {}", peer.valid_until));
        }
        Ok(())
    }

    fn renew(&self, peer: Peer, signing_request: String) -> Answer<Result<Credentials, String>> {
        let issued = peer.name.parse::<AgentName>().map_err(|error| error.to_string()).and_then(|name| {
            let issued = self.authority.issue_agent(&signing_request, &name, &peer.labels, self.life, Timestamp::now());
            issued.map_err(|error| error.to_string())
        });
        let record = Arc::clone(&self.record);
        Box::pin(async move {
            let issued = issued?;
            let credentials = Credentials {
                certificate_chain: issued.certificate_chain.clone(),
                trust_bundle: issued.trust_bundle.clone(),
            };
            record(issued, peer).await?;
            Ok(credentials)
        })
    }
}
