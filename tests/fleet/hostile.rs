//! Peers that are slow, malformed or greedy.

use std::time::Duration;

use faultline::fleet::Agent;
use faultline_agent::session::dial::Dial;
use faultline_agent::session::wire::agent_message::Message;
use faultline_agent::session::wire::{AgentMessage, Heartbeat, Hello};
use faultline_agent::session::{client, limits, speak};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::certificates::Authority;
use crate::network::{Controller, run_agent, until};
use crate::played_host::request;

/// Reads until the other end closes; how long that took.
async fn until_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Duration {
    let began = tokio::time::Instant::now();
    let mut buffer = [0; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap();
    began.elapsed()
}

/// That the controller is well, whatever somebody did to it.
async fn serves_others(controller: &Controller, authority: &Authority) {
    let running = run_agent("good", controller.dial(authority.identity("good")));
    let agent = controller.agent("good");
    agent.plan(request(1, Duration::from_secs(1))).await.unwrap();
    running.end("over").await;
}

#[tokio::test]
async fn garbage_in_place_of_tls_is_closed_at_once() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut stream = TcpStream::connect(controller.address).await.unwrap();
    stream.write_all(&[0x47; 4096]).await.unwrap();
    assert!(until_closed(&mut stream).await < Duration::from_secs(2));
    serves_others(&controller, &authority).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_or_comes_in_drops_is_closed_in_time() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut silent = TcpStream::connect(controller.address).await.unwrap();
    let dripping = TcpStream::connect(controller.address).await.unwrap();
    let (mut read, mut write) = dripping.into_split();
    tokio::spawn(async move {
        // The head of a record of 512 bytes, byte by byte.
        for byte in [0x16, 3, 1, 2, 0].into_iter().chain(std::iter::repeat(1)) {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    serves_others(&controller, &authority).await;
    let (one, other) = tokio::join!(until_closed(&mut silent), until_closed(&mut read));
    let bound = limits::HANDSHAKE + Duration::from_secs(2);
    assert!(one < bound && other < bound, "{one:?} {other:?}");
}

#[tokio::test]
async fn one_address_cannot_open_handshakes_without_bound() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(TcpStream::connect(controller.address).await.unwrap());
    }
    let mut closed = 0;
    for stream in &mut flood {
        let mut buffer = [0; 1];
        let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut buffer)).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert!((40..100).contains(&closed), "{closed} of 300 were closed at once");
    drop(flood);
    serves_others(&controller, &authority).await;
}

#[tokio::test]
async fn garbage_in_place_of_grpc_is_closed_at_once() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    for garbage in [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0xff; 4096][..]] {
        let mut stream = controller.dial(authority.identity("bad")).dial().await.unwrap();
        stream.write_all(garbage).await.unwrap();
        assert!(until_closed(&mut stream).await < Duration::from_secs(2));
    }
    serves_others(&controller, &authority).await;
}

#[tokio::test]
async fn a_connection_that_opens_no_session_is_closed() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let mut stream = controller.dial(authority.identity("bad")).dial().await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    let took = until_closed(&mut stream).await;
    assert!(took < limits::WITHOUT_SESSION + Duration::from_secs(2), "{took:?}");
}

/// Opens a session and says these things; answers what the controller says to it at the end.
async fn say(controller: &Controller, authority: &Authority, messages: Vec<AgentMessage>) -> tonic::Status {
    let stream = controller.dial(authority.identity("bad")).dial().await.unwrap();
    let (connection, driver) = speak(stream).await.unwrap();
    tokio::spawn(driver);
    let mut client = client(connection).max_encoding_message_size(usize::MAX);
    let (say, said) = mpsc::channel(64);
    let session = client.session(ReceiverStream::new(said));
    for message in messages {
        say.send(message).await.unwrap();
    }
    let mut heard = match session.await {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        match heard.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return tonic::Status::ok("the session ended"),
            Err(status) => return status,
        }
    }
}

fn message(message: Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}

#[tokio::test]
async fn a_greeting_that_is_wrong_or_never_comes_ends_the_session_with_the_reason() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let beat = say(&controller, &authority, vec![message(Message::Heartbeat(Heartbeat::default()))]).await;
    assert_eq!(beat.message(), "the first message must be a greeting");
    let old = say(&controller, &authority, vec![message(Message::Hello(Hello::default()))]).await;
    assert!(old.message().contains("install the same version on both"), "{old}");
    let began = tokio::time::Instant::now();
    let never = say(&controller, &authority, Vec::new()).await;
    assert_eq!(never.message(), "no greeting came in time");
    assert!((4..8).contains(&began.elapsed().as_secs()));
    assert!(controller.registry.views().is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_session() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let name = "x".repeat(limits::MESSAGE + 1);
    let large = say(&controller, &authority, vec![message(Message::Hello(Hello { name, ..Hello::default() }))]).await;
    assert_eq!(large.code(), tonic::Code::OutOfRange, "{large}");
    serves_others(&controller, &authority).await;
}

#[tokio::test]
async fn more_requests_than_a_host_takes_are_refused_and_an_undo_gets_through() {
    let authority = Authority::new();
    let controller = Controller::start(authority.gate()).await;
    let running = run_agent("good", controller.dial(authority.identity("good")));
    until("it is there", || controller.registry.connected() == 1).await;
    running.host.state().injection_takes = Duration::from_secs(3);
    let agent = controller.agent("good");
    let asked: Vec<_> =
        (1..=200).map(|number| tokio::spawn(agent.inject(request(number, Duration::from_secs(60))))).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(agent.undo(request(500, Duration::ZERO).id).await.verified, "while everything else is full");
    let mut outcomes = [0, 0];
    for answer in asked {
        outcomes[usize::from(answer.await.unwrap().is_ok())] += 1;
    }
    assert_eq!(outcomes, [200 - limits::REQUESTS, limits::REQUESTS]);
    assert_eq!(running.host.state().in_place.len(), limits::REQUESTS);
    running.end("over").await;
}
