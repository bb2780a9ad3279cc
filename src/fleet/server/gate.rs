use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::fleet::Answer;
use crate::fleet::registry::Peer;

/// What the port for agents asks of the authority.
pub trait Gate: Send + Sync + 'static {
    /// The configuration for the next connection: mutual TLS 1.3. Asked each time, since certificates are renewed.
    fn tls(&self) -> Arc<rustls::ServerConfig>;

    /// Who a verified client certificate is.
    ///
    /// # Errors
    /// If it is not that of an agent, with the reason.
    fn peer(&self, certificate: &CertificateDer<'_>) -> Result<Peer, String>;

    /// Whether a peer may begin or go on with a session. Asked at each connection and session, and every few seconds of
    /// every session that stands; must not wait.
    ///
    /// # Errors
    /// The reason, if its certificate was revoked or has expired.
    fn admits(&self, peer: &Peer) -> Result<(), String>;

    /// Signs a new certificate for the name in the present one.
    fn renew(&self, peer: Peer, signing_request: String) -> Answer<Result<Credentials, String>>;
}

/// What an agent gets when it is enrolled or renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// PEM: the agent's certificate and those up to the root.
    pub certificate_chain: String,
    /// PEM: the roots by which the controller is known.
    pub trust_bundle: String,
}
