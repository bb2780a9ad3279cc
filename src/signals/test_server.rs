//! Servers for tests, well and badly behaved.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::sample::Sample;
use super::{SignalContext, build};
use crate::experiment::document::Signal;

/// A server on a free local port; it ends with the test's runtime.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl TestServer {
    /// Handles each connection by `handle`, which is told how many came before.
    pub(super) async fn start<H, F>(handle: H) -> Self
    where
        H: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(handle(stream, counted.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { address, connections }
    }

    /// How many connections came.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads up to the end of a request's head, and returns it; nothing once the client has hung up.
pub(super) async fn request_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// The samples of a signal that ran until there were `count` of them, and for at most 20 s.
pub(super) async fn samples(signal: serde_json::Value, count: usize) -> Vec<Sample> {
    let signal: Signal = serde_json::from_value(signal).unwrap();
    let context = SignalContext::new(std::time::Instant::now());
    let source = build("probe", &signal, &context).unwrap();
    let (sink, mut received) = unbounded_channel();
    let stop = CancellationToken::new();
    let running = tokio::spawn(source.run(sink, stop.clone()));
    let mut samples = Vec::new();
    let collecting = async {
        while samples.len() < count
            && let Some(sample) = received.recv().await
        {
            samples.push(sample);
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), collecting).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    while let Ok(sample) = received.try_recv() {
        samples.push(sample);
    }
    samples
}
