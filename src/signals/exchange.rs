//! One HTTP exchange over a connection of our own, with every failure put into words.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use faultline_agent::units::Rate;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::reach::{self, Reach};

/// Why an exchange failed, and on whose side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What the other side or the network did: it counts against the signal.
    Theirs(String),
    /// What this host could not do: it says nothing about the other side.
    Ours(String),
}

impl Failure {
    /// The reason, whoever's it is.
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::Theirs(reason) | Self::Ours(reason) => reason,
        }
    }

    /// What an input or output error says.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        let ours = [
            nix::errno::Errno::EMFILE,
            nix::errno::Errno::ENFILE,
            nix::errno::Errno::EADDRNOTAVAIL,
            nix::errno::Errno::ENOBUFS,
            nix::errno::Errno::ENOMEM,
        ];
        if error.raw_os_error().is_some_and(|number| ours.contains(&nix::errno::Errno::from_raw(number))) {
            return Self::Ours(format!("this host cannot open a connection: {error}"));
        }
        Self::Theirs(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".into(),
            io::ErrorKind::ConnectionReset => "connection reset".into(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => "connection broken".into(),
            io::ErrorKind::UnexpectedEof => "connection closed before the answer was complete".into(),
            io::ErrorKind::HostUnreachable => "host unreachable".into(),
            io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
            io::ErrorKind::TimedOut => "connection timed out by the kernel".into(),
            _ => error.to_string(),
        })
    }

    fn from_hyper(error: &hyper::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(inner) = cause {
            if let Some(error) = inner.downcast_ref::<io::Error>() {
                return Self::from_io(error);
            }
            cause = inner.source();
        }
        Self::Theirs(if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            "connection closed before the answer was complete".into()
        } else if error.is_parse() {
            format!("not an HTTP answer: {error}")
        } else {
            error.to_string()
        })
    }
}

/// An exchange that failed, and whether the request was certainly not acted upon.
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    pub(crate) never_sent: bool,
}

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The `Host` field.
    pub(crate) authority: HeaderValue,
    /// Path and query.
    pub(crate) path: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Endpoint {
    /// Reads `http://HOST[:PORT]/PATH` or `https://…`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence that names it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("`{url}` must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{url}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err(format!("`{url}` holds credentials: send them by `headers` (Authorization) instead"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(format!("`{url}` names no host"));
        }
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" if secure => 443,
            "" => 80,
            port => port[1..].parse().map_err(|_| format!("`{url}`: `{port}` is not a port"))?,
        };
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|error| format!("`{host}` in `{url}`: {error}"))?;
            Some((tls_connector()?, name))
        } else {
            None
        };
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|error| format!("`{url}`: {error}"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, tls, authority, path })
    }

    /// Opens a connection: name, TCP, TLS if need be, HTTP/1.1. Names are resolved anew for each one.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        self.begin(open(&self.host, self.port).await?).await
    }

    /// The same for connections that are opened at this rate.
    pub(crate) async fn connect_at(&self, rate: Rate) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = open(&self.host, self.port).await?;
        free_port_at_once(&stream, rate);
        self.begin(stream).await
    }

    /// The same, to what this reach allows alone, whichever thread it is on.
    pub(crate) async fn connect_within(&self, reach: &Reach) -> Result<SendRequest<Full<Bytes>>, Failure> {
        self.begin(open_if(&self.host, self.port, |address| reach.check(address)).await?).await
    }

    async fn begin(&self, stream: TcpStream) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let Some((connector, name)) = &self.tls else {
            return begin(stream).await;
        };
        let stream = connector.connect(name.clone(), stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => Failure::Theirs(format!("TLS: {error}")),
                None => Failure::from_io(&error),
            }
        })?;
        begin(stream).await
    }
}

/// Opens a TCP connection that sends small writes at once.
pub(crate) async fn open(host: &str, port: u16) -> Result<TcpStream, Failure> {
    open_if(host, port, reach::check).await
}

async fn open_if(
    host: &str,
    port: u16,
    may: impl Fn(std::net::IpAddr) -> Result<(), String>,
) -> Result<TcpStream, Failure> {
    let connected = match host.parse::<std::net::IpAddr>() {
        Ok(address) => {
            may(address).map_err(Failure::Ours)?;
            TcpStream::connect((address, port)).await
        }
        Err(_) => {
            let addresses = tokio::net::lookup_host((host, port))
                .await
                .map_err(|error| Failure::Theirs(format!("`{host}` cannot be resolved: {error}")))?;
            let mut last = Err(io::Error::new(io::ErrorKind::NotFound, format!("`{host}` has no address")));
            for address in addresses {
                // The very address to which it is connected: another look-up might answer another one.
                may(address.ip()).map_err(Failure::Ours)?;
                last = TcpStream::connect(address).await;
                if last.is_ok() {
                    break;
                }
            }
            last
        }
    };
    let stream = connected.map_err(|error| Failure::from_io(&error))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Has a connection leave no trace on this host when it is closed, where they are opened so often that the minute for
/// which the kernel remembers each (TIME_WAIT, tcp(7)) would use up the 28,000 ports that there are.
pub(crate) fn free_port_at_once(stream: &TcpStream, rate: Rate) {
    if rate.count_per_second() > 200.0 {
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| Failure::from_hyper(&error))?;
    // It ends once the sender is dropped, also when the time of a request is up.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request and returns the head of the answer.
pub(crate) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Unanswered> {
    sender
        .send_request(request)
        .await
        .map_err(|error| Unanswered { never_sent: error.is_canceled(), failure: Failure::from_hyper(&error) })
}

/// Reads a body to its end and keeps at most `keep` bytes of it.
pub(crate) async fn drain(mut body: Incoming, keep: usize) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::from_hyper(&error))?;
        if let Some(data) = frame.data_ref() {
            let room = keep.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(&data[..room]);
        }
    }
    Ok(kept)
}

/// `HOST:PORT`, an IPv6 address in brackets.
pub(crate) fn split_address(address: &str) -> Result<(String, u16), String> {
    let refuse = || format!("`{address}` is not a host and a port, such as 127.0.0.1:5432 or [::1]:5432");
    let (host, port) = address.rsplit_once(':').ok_or_else(refuse)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(refuse)?,
        None if host.contains(':') => return Err(refuse()),
        None => host,
    };
    let port: u16 = port.parse().map_err(|_| refuse())?;
    if host.is_empty() || port == 0 { Err(refuse()) } else { Ok((host.to_owned(), port)) }
}

/// One for all: loading the host's certificates takes milliseconds.
fn tls_connector() -> Result<TlsConnector, String> {
    static CONNECTOR: OnceLock<Result<TlsConnector, String>> = OnceLock::new();
    let build = || {
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let problems: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(format!(
                "https needs the host's certificates, and none were found ({}); install ca-certificates or set SSL_CERT_FILE",
                if problems.is_empty() { "no certificate store".into() } else { problems.join("; ") }
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    };
    CONNECTOR.get_or_init(build).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let parsed = |url: &str| Endpoint::parse(url).map(|endpoint| format!("{endpoint:?}"));
        assert_eq!(parsed("http://127.0.0.1:8080/a?b=c").as_deref(), Ok("http://127.0.0.1:8080/a?b=c"));
        assert_eq!(parsed("http://shop").as_deref(), Ok("http://shop:80/"));
        assert_eq!(parsed("http://[::1]:8080/").as_deref(), Ok("http://::1:8080/"));
    }

    #[test]
    fn what_is_not_such_a_url_is_refused_by_name() {
        for url in
            ["", "127.0.0.1:8080", "ftp://x/", "http://", "http://user:secret@x/", "http://x:99999/", "http:///p"]
        {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.contains(&format!("`{url}`")), "{url}: {error}");
        }
    }

    #[test]
    fn an_address_needs_host_and_port() {
        assert_eq!(split_address("127.0.0.1:5432"), Ok(("127.0.0.1".into(), 5432)));
        assert_eq!(split_address("[::1]:80"), Ok(("::1".into(), 80)));
        for address in ["", "5432", "::1:80", "host:", "host:0", "host:70000", ":80", "[::1:80"] {
            assert!(split_address(address).is_err(), "{address}");
        }
    }

    #[test]
    fn what_this_host_lacks_is_not_blamed_on_the_service() {
        let error = io::Error::from_raw_os_error(nix::errno::Errno::EMFILE as i32);
        assert!(matches!(Failure::from_io(&error), Failure::Ours(_)));
        let error = io::Error::from_raw_os_error(nix::errno::Errno::ECONNREFUSED as i32);
        assert_eq!(Failure::from_io(&error), Failure::Theirs("connection refused".into()));
    }
}
