//! One request to a controller, over a connection of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The field with the key of a request.
const KEY: &str = "idempotency-key";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take: a little longer than the controller itself waits for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer: a page of a journal, or a report.
const LONGEST: usize = 256 << 20;

/// Where a controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "https://[{}]:{}", self.host, self.port),
            false => write!(formatter, "https://{}:{}", self.host, self.port),
        }
    }
}

/// Where the API is if its port is not said.
const PORT: u16 = 7443;

impl Address {
    /// Reads `https://HOST[:PORT]`.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") => return Err(format!("`{url}`: a token is only sent over https")),
            _ => return Err(format!("`{url}` must begin with https://")),
        }
        let authority = uri.authority().ok_or_else(|| format!("`{url}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err(format!("`{url}` holds a user or a password; the token is given by FAULTLINE_TOKEN"));
        }
        if uri.path() != "/" && !uri.path().is_empty() || uri.query().is_some() {
            return Err(format!("`{url}` has a path: only the host and the port of the controller are needed"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name =
            ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` in `{url}` is no name of a host"))?;
        Ok(Self { host, port: authority.port_u16().unwrap_or(PORT), name })
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) hint: String,
    /// Whether the request may have come to the controller all the same.
    pub(super) sent: bool,
}

fn trouble(what: impl Into<String>, hint: impl Into<String>) -> Trouble {
    Trouble { what: what.into(), hint: hint.into(), sent: false }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// By what it is known when it is asked again.
    pub(super) key: Option<&'a str>,
    /// Whether it may be asked again although it may have been done: it changes nothing, or changes it once.
    pub(super) repeatable: bool,
}

pub(super) async fn exchange(
    address: &Address,
    tls: &Arc<ClientConfig>,
    token: &str,
    asked: Asked<'_>,
) -> Result<Answer, Trouble> {
    let stream = match tokio::time::timeout(CONNECT, connect(address, tls)).await {
        Ok(stream) => stream?,
        Err(_) => {
            return Err(trouble(
                "no connection within 10 s",
                "see that the address is right and no firewall is between",
            ));
        }
    };
    let ended = |error: hyper::Error| {
        trouble(
            format!("the connection ended: {error}"),
            "the controller may be restarting; look what was done before asking again",
        )
    };
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(ended)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(asked.method)
        .uri(asked.path)
        .header(HOST, format!("{}:{}", address.host, address.port))
        .header(USER_AGENT, concat!("faultline/", env!("CARGO_PKG_VERSION")))
        .header(AUTHORIZATION, format!("Bearer {token}"));
    if !asked.body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(key) = asked.key {
        request = request.header(KEY, key);
    }
    let request = request
        .body(Full::new(Bytes::copy_from_slice(asked.body)))
        .map_err(|error| trouble(format!("the request cannot be made: {error}"), "is the token a single line?"))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(ended)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|error| {
            trouble(format!("the answer was not sent whole: {error}"), "the controller may be restarting: try again")
        })?;
        Ok(Answer { status, body: body.to_bytes().to_vec() })
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    connection.abort();
    let answered = answered.unwrap_or_else(|_| {
        Err(trouble("no answer within 120 s", "it may be done all the same: look before asking again"))
    });
    answered.map_err(|trouble| Trouble { sent: true, ..trouble })
}

async fn connect(
    address: &Address,
    tls: &Arc<ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "is `faultline serve` running there, and is this its API port?",
            _ => "see that the name and the port are right, and that the host can be reached",
        };
        trouble(error.to_string(), hint)
    })?;
    let _ = stream.set_nodelay(true);
    TlsConnector::from(Arc::clone(tls)).connect(address.name.clone(), stream).await.map_err(|error| {
        let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let hint = match rustls {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
                "it is not the controller of this authority: compare --fingerprint or --ca with what `faultline init` printed; \
                 if the authority was replaced since, ask an admin for the new one (`faultline rotate status`)"
            }
            Some(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. },
            )) => "use a name for which `faultline init --name` was called",
            Some(rustls::Error::InvalidCertificate(
                rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
            )) => "compare the clocks of this host and of the controller's",
            _ => "is this the API port of a Faultline controller?",
        };
        trouble(format!("TLS: {error}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_https_a_host_and_perhaps_a_port() {
        let read = |url: &str| Address::parse(url).map(|address| address.to_string());
        assert_eq!(read("https://chaos.example").as_deref(), Ok("https://chaos.example:7443"));
        assert_eq!(read("https://127.0.0.1:9000/").as_deref(), Ok("https://127.0.0.1:9000"));
        assert_eq!(read("https://[::1]:9000").as_deref(), Ok("https://[::1]:9000"));
        for wrong in
            ["", "chaos.example", "http://chaos.example", "https://a:b@chaos.example", "https://x/v1", "https://"]
        {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")), "{wrong}: {error}");
        }
    }
}
