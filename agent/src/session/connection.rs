use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response, Uri};
use tower::Service;

use super::dial::Stream;
use super::limits;
use super::wire::sessions_client::SessionsClient;

/// One HTTP/2 connection, as the generated client wants it. Unlike a channel of tonic it never reconnects by itself: when
/// it is gone the session is, and the lease decides.
#[derive(Debug, Clone)]
pub struct Connection(SendRequest<Body>);

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Speaks HTTP/2 over a stream. The connection lives while the future that is answered too is driven.
///
/// # Errors
/// If the stream ends before both ends have greeted each other.
pub async fn speak(
    stream: Box<dyn Stream>,
) -> Result<(Connection, impl Future<Output = Result<(), hyper::Error>> + Send), hyper::Error> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::WINDOW)
        .initial_connection_window_size(limits::WINDOW)
        .max_header_list_size(limits::HEADERS)
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(limits::SILENCE)
        .keep_alive_timeout(limits::CONNECT);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    Ok((Connection(sender), connection))
}

/// The client of the controller's sessions over a connection, with the limits of both directions.
pub fn client(connection: Connection) -> SessionsClient<Connection> {
    // Nobody looks at this name: who the controller is was proven by its certificate.
    SessionsClient::with_origin(connection, Uri::from_static("https://controller"))
        .max_decoding_message_size(limits::MESSAGE)
        .max_encoding_message_size(limits::MESSAGE)
}
