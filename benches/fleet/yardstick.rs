//! What this machine does at this moment: as many questions and answers over bare TLS as there are agents, between two
//! processes, without HTTP/2, messages, sessions or a registry. Its speed changes by itself; the ratio to this does not.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use faultline::fleet::server::Gate;
use faultline_agent::session::dial::{Dial, TlsDial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::certificates::Authority;

pub const CHILD: &str = "FAULTLINE_BENCH_YARDSTICK";
/// About as long as an order with its envelope, and as its answer.
const MESSAGE: usize = 200;
/// As many connections as are opened within a second or so.
const CONNECTIONS: usize = 500;

/// How long so many questions take until the last is answered.
pub async fn round_trips(count: usize, authority: &Authority) -> Duration {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = CONNECTIONS.min(count);
    let mut child = answering(connections, port, authority);
    let accept = TlsAcceptor::from(authority.gate().tls());
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(accept.accept(stream).await.unwrap());
    }
    let began = Instant::now();
    let asking = streams.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let mut answer = [0; MESSAGE];
            for _ in 0..count / connections {
                stream.write_all(&[7; MESSAGE]).await.unwrap();
                stream.flush().await.unwrap();
                stream.read_exact(&mut answer).await.unwrap();
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let took = began.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    took
}

fn answering(connections: usize, port: u16, authority: &Authority) -> Child {
    let text = format!("{connections} {port} {}", authority.to_json());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CHILD, text).stdin(Stdio::null()).spawn().unwrap()
}

/// The other process: answers whatever comes until its end.
pub async fn answer(text: &str) {
    let mut words = text.splitn(3, ' ');
    let (connections, port) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
    let authority = Authority::of_json(words.next().unwrap());
    let identity = authority.identity("yardstick");
    for _ in 0..connections {
        let mut stream = TlsDial::new("127.0.0.1", port, identity.clone()).dial().await.unwrap();
        tokio::spawn(async move {
            let mut question = [0; MESSAGE];
            while stream.read_exact(&mut question).await.is_ok() {
                stream.write_all(&question).await.unwrap();
                stream.flush().await.unwrap();
            }
        });
    }
    std::future::pending::<()>().await;
}
