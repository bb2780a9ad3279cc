use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faultline_agent::session::limits;
use faultline_agent::session::wire::sessions_server::{Sessions, SessionsServer};
use faultline_agent::session::wire::{AgentMessage, ControllerMessage, RenewAnswer, RenewRequest};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

use super::conversation::Conversation;
use super::gate::Gate;
use crate::fleet::registry::{Peer, Registry};

/// How many streams one connection may have: its session, and a renewal beside it.
const STREAMS: u32 = 4;

/// What one connection serves.
struct Serves {
    registry: Arc<Registry>,
    gate: Arc<dyn Gate>,
    peer: Peer,
    address: String,
    sessions: Arc<Open>,
}

/// How many sessions a connection holds.
struct Open {
    count: AtomicUsize,
    changed: watch::Sender<()>,
}

/// One open session, counted until it is dropped.
pub(super) struct Opened(Arc<Open>);

impl Opened {
    fn new(open: &Arc<Open>) -> Self {
        open.count.fetch_add(1, Ordering::Relaxed);
        open.changed.send_replace(());
        Self(Arc::clone(open))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.send_replace(());
    }
}

/// Serves one connection of a peer who has proven who it is, until it closes or has held no session for long.
pub async fn serve_connection<S>(stream: S, peer: Peer, address: String, gate: Arc<dyn Gate>, registry: Arc<Registry>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let sessions = Arc::new(Open { count: AtomicUsize::new(0), changed: watch::Sender::new(()) });
    let mut changed = sessions.changed.subscribe();
    let name = peer.name.clone();
    let serves = Serves { registry, gate, peer, address: address.clone(), sessions: Arc::clone(&sessions) };
    let service = SessionsServer::new(serves)
        .max_decoding_message_size(limits::MESSAGE)
        .max_encoding_message_size(limits::MESSAGE);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut service = service.clone();
        async move { Service::call(&mut service, request).await.map_err(|error: Infallible| error) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::WINDOW)
        .initial_connection_window_size(limits::WINDOW)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(limits::HEADERS)
        .max_send_buf_size(64 * 1024)
        .auto_date_header(false);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        let idle = async {
            // A timer only where there is no session: one that stands is watched by the registry's sweep.
            if sessions.count.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(limits::WITHOUT_SESSION).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(host = name, address, %error, "a connection of an agent ended");
                }
                return;
            }
            () = idle => {
                tracing::debug!(host = name, address, "a connection without a session is closed");
                return;
            }
            _ = changed.changed() => {}
        }
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<ControllerMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Sessions for Serves {
    type SessionStream = Messages;

    async fn session(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Messages>, Status> {
        self.gate.admits(&self.peer).map_err(Status::permission_denied)?;
        let opened = Opened::new(&self.sessions);
        let (registry, peer, address) = (Arc::clone(&self.registry), self.peer.clone(), self.address.clone());
        let conversation = Conversation::new(registry, peer, address, request.into_inner(), opened);
        Ok(Response::new(Box::pin(conversation)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewAnswer>, Status> {
        self.gate.admits(&self.peer).map_err(Status::permission_denied)?;
        let renewed = self.gate.renew(self.peer.clone(), request.into_inner().signing_request);
        match tokio::time::timeout(limits::CONNECT, renewed).await {
            Ok(Ok(credentials)) => Ok(Response::new(RenewAnswer {
                certificate_chain: credentials.certificate_chain,
                trust_bundle: credentials.trust_bundle,
            })),
            Ok(Err(reason)) => Err(Status::failed_precondition(reason)),
            Err(_) => Err(Status::deadline_exceeded("the certificate was not signed in time")),
        }
    }
}
