//! The controller's port for agents: TCP, mutual TLS 1.3, HTTP/2, gRPC.
//!
//! Invariants:
//! - nothing is read of a peer but its TLS handshake until it has proven who it is;
//! - what has not been proven yet is bounded in number, in all and by address, and in time;
//! - a connection without a session is closed, and one session costs one task beside that of its connection.

mod authority_gate;
mod connection;
mod conversation;
mod enrolment;
mod gate;
mod unproven;

use std::net::SocketAddr;
use std::sync::Arc;

use faultline_agent::session::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use authority_gate::{AuthorityGate, Record};
pub use connection::serve_connection;
pub use enrolment::{Enrolled, Enroller, Wanted, enrolment};
pub use gate::{Credentials, Gate};
use unproven::Unproven;

use super::registry::{Peer, Registry};

/// How often it is asked of the sessions that stand whether their certificates are still good.
const ADMITTED: std::time::Duration = std::time::Duration::from_secs(2);

/// Serves agents until told to stop; then every agent is told to come back, and their faults stay for the length of the
/// lease, so that a restarted controller finds them.
pub async fn serve(listener: TcpListener, gate: Arc<dyn Gate>, registry: Arc<Registry>, stop: CancellationToken) {
    let unproven = Unproven::default();
    let sweeping = sweep(&registry, gate.as_ref());
    tokio::pin!(sweeping);
    let connections = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
            () = &mut sweeping => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most of all: those that end make room.
                tracing::warn!(%error, "a connection of an agent cannot be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = unproven.enter(address.ip()) else {
            tracing::debug!(%address, "too many connections have not proven yet who they are; this one is closed");
            continue;
        };
        let (gate, registry, ended) = (Arc::clone(&gate), Arc::clone(&registry), connections.clone());
        tokio::spawn(async move {
            let proven = tokio::time::timeout(limits::HANDSHAKE, prove(stream, gate.as_ref())).await;
            drop(place);
            match proven {
                Ok(Ok((stream, peer))) => tokio::select! {
                    () = serve_connection(stream, peer, told(address), gate, registry) => {}
                    () = ended.cancelled() => {}
                },
                Ok(Err(reason)) => tracing::info!(%address, reason, "a connection is refused"),
                Err(_) => tracing::info!(%address, "a connection is refused: its TLS handshake took too long"),
            }
        });
    }
    registry.end_all("the controller stops");
    // Time for that word to leave.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    connections.cancel();
}

/// Ends the sessions of those that are silent, and of those that are not admitted any more.
async fn sweep(registry: &Registry, gate: &dyn Gate) {
    let refusing = async {
        loop {
            tokio::time::sleep(ADMITTED).await;
            registry.end_refused(|peer| gate.admits(peer));
        }
    };
    tokio::select! {
        () = registry.sweep() => {}
        () = refusing => {}
    }
}

/// The TLS handshake, and who the peer is by its certificate.
async fn prove(
    stream: TcpStream,
    gate: &dyn Gate,
) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Peer), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream = TlsAcceptor::from(gate.tls()).accept(stream).await.map_err(|error| error.to_string())?;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first).ok_or("it has no certificate")?;
    let peer = gate.peer(certificate)?;
    gate.admits(&peer).map_err(|reason| format!("{reason} ({}, certificate {})", peer.name, peer.serial))?;
    Ok((stream, peer))
}

/// An address as it is told: the one under which an IPv4 peer is known, also over a socket for both families.
fn told(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}
