//! Reaching the controller: a TCP connection that network faults spare, and TLS over it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::Answer;
use super::limits::CONNECT;
use super::trouble::Trouble;
use crate::kernel::control_traffic;

/// A connection, of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the controller. Over TCP and TLS, or as a simulation has it.
pub trait Dial: Send + Sync + 'static {
    /// A new connection.
    fn dial(&self) -> Answer<Result<Box<dyn Stream>, Trouble>>;
    /// Whom it dials, for people.
    fn peer(&self) -> String;
}

/// Where and as whom to dial; asked before every connection, since certificates are renewed.
pub trait Identity: Send + Sync + 'static {
    /// The TLS configuration, with the client certificate, and the name that the controller must prove.
    ///
    /// # Errors
    /// If there is no certificate that can be used.
    fn tls(&self) -> Result<(Arc<ClientConfig>, ServerName<'static>), Trouble>;
}

/// Dials by TCP and TLS.
pub struct TlsDial {
    inner: Arc<Inner>,
}

struct Inner {
    host: String,
    port: u16,
    identity: Box<dyn Identity>,
    /// Where it was reached last: name resolution is not control traffic, and a fault may have cut it off.
    known: Mutex<Vec<SocketAddr>>,
}

impl std::fmt::Debug for TlsDial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsDial").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl TlsDial {
    /// For a host (a name or an address) and port.
    pub fn new(host: impl Into<String>, port: u16, identity: impl Identity) -> Self {
        let inner = Inner { host: host.into(), port, identity: Box::new(identity), known: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }
}

impl Dial for TlsDial {
    fn dial(&self) -> Answer<Result<Box<dyn Stream>, Trouble>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let dialled = tokio::time::timeout(CONNECT, inner.dial()).await;
            dialled.unwrap_or_else(|_| Err(Trouble::unreachable(&inner.peer(), "no answer within 10 s")))
        })
    }

    fn peer(&self) -> String {
        self.inner.peer()
    }
}

impl Inner {
    fn peer(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, Trouble> {
        let (tls, name) = self.identity.tls()?;
        let stream = self.connect().await?;
        let stream = TlsConnector::from(tls).connect(name, stream).await;
        let stream = stream.map_err(|error| Trouble::of(&self.peer(), &error))?;
        Ok(Box::new(stream))
    }

    async fn connect(&self) -> Result<TcpStream, Trouble> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = match tokio::net::lookup_host((self.host.as_str(), self.port)).await {
            Ok(addresses) => addresses.collect::<Vec<_>>(),
            Err(_) if !known().is_empty() => known().clone(),
            Err(error) => {
                return Err(Trouble::unreachable(&self.peer(), &format!("its name cannot be resolved: {error}")));
            }
        };
        let mut last = None;
        for address in &addresses {
            match connect_exempt(*address).await {
                Ok(stream) => {
                    *known() = addresses;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        let why = last.map_or_else(|| "its name has no address".to_owned(), |error| error.to_string());
        Err(Trouble::unreachable(&self.peer(), &why))
    }
}

/// Connects with the mark by which every network fault spares this connection. Who may not set marks may not inject
/// network faults either, and is connected without.
///
/// # Errors
/// If the connection cannot be made.
pub async fn connect_exempt(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Err(error) = control_traffic::exempt(&socket) {
        tracing::debug!(%error, "the connection to the controller is not marked as control traffic");
    }
    let stream = tokio::time::timeout(Duration::from_secs(5), socket.connect(address))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"))??;
    stream.set_nodelay(true)?;
    // What the kernel cannot deliver for so long is given up, so that a cut is noticed while the lease stands.
    let patience = u32::try_from(super::limits::SILENCE.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, patience)?;
    Ok(stream)
}
