//! The port for people and programs, and for hosts that enrol: TLS 1.3, HTTP/1.1 and HTTP/2.
//!
//! What has not shown yet who it is costs little: connections are counted, and a handshake, a head and a silent
//! connection have their time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, AuthorityError, tls};

/// How many connections there may be at once.
const MOST: usize = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How often a connection of HTTP/2 must show that somebody is there.
const ALIVE: Duration = Duration::from_secs(30);
/// How long calls under way may take once the controller stops.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// TLS with the controller's certificate.
///
/// # Errors
/// If the authority cannot issue one.
pub fn tls(authority: &Authority) -> Result<TlsAcceptor, AuthorityError> {
    Ok(TlsAcceptor::from(tls::api_port(authority, tls::system_time())?))
}

/// Serves these routes until the stop.
pub async fn serve(listener: TcpListener, accept: TlsAcceptor, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the API cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Closed at once, which tells a client more than silence.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (accept, router, watcher) = (accept.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            converse(stream, accept, router, watcher).await;
            drop(place);
        });
    }
    if let Some(graceful) = Arc::into_inner(graceful)
        && tokio::time::timeout(LAST_CALLS, graceful.shutdown()).await.is_err()
    {
        tracing::info!("some calls of the API were cut off");
    }
}

async fn converse(
    stream: TcpStream,
    accept: TlsAcceptor,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, accept.accept(stream)).await else { return };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(ALIVE).keep_alive_timeout(HEAD);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(error, "a connection to the API ended badly");
    }
}
