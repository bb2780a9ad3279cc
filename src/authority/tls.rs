//! TLS of the controller's two ports. TLS 1.3 only, by ring. The configurations stay as they are: certificates,
//! authorities and revocations are looked up at each handshake.

use std::sync::Arc;

use faultline_agent::credentials::tls::provider;
use faultline_agent::credentials::{CertificateProblem, PeerIdentity};
use rustls::server::{NoServerSessionStorage, ServerConnection, WantsServerCert};
use rustls::time_provider::TimeProvider;
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};

use super::verifier::OnlyAgents;
use super::{Authority, AuthorityError, Revocations};

pub use faultline_agent::credentials::tls::system_time;

/// The port for agents: a client certificate of our authority that names an agent and is not revoked. ALPN h2.
///
/// # Errors
/// If TLS cannot be set up.
pub fn agent_port(
    authority: &Authority,
    revocations: &Revocations,
    time: Arc<dyn TimeProvider>,
) -> Result<Arc<ServerConfig>, AuthorityError> {
    let only = OnlyAgents { trusted: Arc::clone(&authority.verifier), revocations: revocations.clone() };
    let builder = builder(time)?.with_client_cert_verifier(Arc::new(only));
    let mut config = finish(builder, authority, &[b"h2"]);
    // A session that is resumed shows no certificate: one that was revoked or has expired would pass.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The port for people and programs, and for hosts that enrol: the controller's certificate alone; who the client is, its
/// token says. ALPN h2 and http/1.1.
///
/// # Errors
/// If TLS cannot be set up.
pub fn api_port(authority: &Authority, time: Arc<dyn TimeProvider>) -> Result<Arc<ServerConfig>, AuthorityError> {
    Ok(Arc::new(finish(builder(time)?.with_no_client_auth(), authority, &[b"h2", b"http/1.1"])))
}

/// Who is at the other end of a connection to the port for agents, once its handshake is done.
///
/// # Errors
/// If no certificate was shown, or it names no agent; neither passes the handshake of [`agent_port`].
pub fn peer(connection: &ServerConnection) -> Result<PeerIdentity, CertificateProblem> {
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    PeerIdentity::of(shown.ok_or(CertificateProblem::Malformed)?)
}

fn builder(time: Arc<dyn TimeProvider>) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, AuthorityError> {
    ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| AuthorityError::Tls(error.to_string()))
}

fn finish(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    authority: &Authority,
    protocols: &[&[u8]],
) -> ServerConfig {
    let mut config = builder.with_cert_resolver(Arc::<super::ServerCertificate>::clone(&authority.server));
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}
