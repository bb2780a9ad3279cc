use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::super::test_server::{TestServer, request_head, samples};
use super::*;

fn prober(address: impl std::fmt::Display, change: impl FnOnce(&mut serde_json::Value)) -> Arc<HttpProber> {
    let mut signal = json!({"url": format!("http://{address}/page?x=1"), "rate": "10/s", "timeout": "300ms"});
    change(&mut signal);
    Arc::new(HttpProber::new(&serde_json::from_value(signal).unwrap()).unwrap())
}

async fn failure(prober: &Arc<HttpProber>) -> Option<String> {
    match prober.clone().probe(Instant::now()).await {
        Reading::Request { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

/// Answers each request with the same text.
async fn answering(text: &'static str) -> TestServer {
    TestServer::start(move |mut stream, _| async move {
        while request_head(&mut stream).await.is_some() && stream.write_all(text.as_bytes()).await.is_ok() {}
    })
    .await
}

async fn fails_with(server: &TestServer) -> String {
    failure(&prober(server.address, |_| {})).await.unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn status_and_body_tell_good_from_bad() {
    let server = answering(OK).await;
    assert_eq!(failure(&prober(server.address, |_| {})).await, None);
    assert_eq!(failure(&prober(server.address, |signal| signal["expectBody"] = "ell".into())).await, None);
    let body = failure(&prober(server.address, |signal| signal["expectBody"] = "order".into())).await;
    assert_eq!(body.as_deref(), Some("body without `order`"));
    let status = failure(&prober(server.address, |signal| signal["expectStatus"] = json!(["404", "500-599"]))).await;
    assert_eq!(status.as_deref(), Some("status 200"));
    let refused = answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(fails_with(&refused).await, "status 503");
    assert_eq!(failure(&prober(refused.address, |signal| signal["expectStatus"] = json!([503]))).await, None);
}

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let server = TestServer::start(move |mut stream: TcpStream, _| {
        let sent = sent.clone();
        async move {
            sent.send(request_head(&mut stream).await.unwrap()).unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let prober = prober(server.address, |signal| {
        signal["method"] = "POST".into();
        signal["body"] = "{}".into();
        signal["headers"] = json!({"Authorization": "Bearer x", "Host": "shop"});
    });
    assert_eq!(failure(&prober).await, None);
    let head = received.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /page?x=1 http/1.1\r\n"), "{head}");
    for line in ["host: shop", "authorization: bearer x", "content-length: 2", "connection: close"] {
        assert!(head.lines().any(|found| found == line), "{line} is missing: {head}");
    }
}

#[tokio::test]
async fn every_way_of_not_answering_has_its_words() {
    let silent = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(fails_with(&silent).await, "timeout after 300ms");
    let half = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf").await.unwrap();
    })
    .await;
    assert_eq!(fails_with(&half).await, "connection closed before the answer was complete");
    let stuck = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(fails_with(&stuck).await, "timeout after 300ms in the middle of the answer");
    let endless = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    assert_eq!(fails_with(&endless).await, "timeout after 300ms in the middle of the answer");
    let resetting = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_eq!(fails_with(&resetting).await, "connection reset");
    let hanging_up = TestServer::start(|_, _| async {}).await;
    let words = fails_with(&hanging_up).await;
    assert!(words == "connection closed before the answer was complete" || words == "connection reset", "{words}");
    let babbling = answering("220 smtp.example.com ESMTP\r\n").await;
    assert!(fails_with(&babbling).await.starts_with("not an HTTP answer"));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(failure(&prober(nobody, |_| {})).await.as_deref(), Some("connection refused"));
    let nameless = failure(&prober("no-such-host.invalid", |signal| signal["timeout"] = "20s".into())).await.unwrap();
    assert!(nameless.starts_with("`no-such-host.invalid` cannot be resolved"), "{nameless}");
}

#[tokio::test]
async fn a_full_accept_queue_is_a_timeout_while_connecting() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        let connecting = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await;
        held.extend(connecting.into_iter().flatten());
    }
    assert_eq!(failure(&prober(address, |_| {})).await.as_deref(), Some("timeout after 300ms while connecting"));
}

#[tokio::test]
async fn an_untrusted_certificate_and_plain_text_are_tls_failures() {
    if let Err(reason) = Endpoint::parse("https://127.0.0.1:1/") {
        println!("skipped: {reason}");
        return;
    }
    let plain = answering(OK).await;
    let prober = prober(plain.address, |signal| signal["url"] = format!("https://{}/", plain.address).into());
    let words = failure(&prober).await.unwrap();
    assert!(words.starts_with("TLS: ") || words.starts_with("timeout after 300ms"), "{words}");
}

#[tokio::test]
async fn latency_counts_from_the_intended_start() {
    let server = TestServer::start(|mut stream, _| async move {
        request_head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let reading = prober(server.address, |_| {}).probe(Instant::now() - Duration::from_millis(40)).await;
    let Reading::Request { latency, failure: None } = reading else { panic!("{reading:?}") };
    assert!((0.070..0.3).contains(&latency), "{latency}");
}

#[tokio::test]
async fn kept_connections_are_used_again_and_a_lost_one_is_no_failure() {
    let server = TestServer::start(|mut stream, number| async move {
        // The first connection is closed after its second answer, as by a server's idle limit.
        for _ in 0..if number == 0 { 2 } else { 100 } {
            if request_head(&mut stream).await.is_none() {
                return;
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let prober = prober(server.address, |signal| signal["keepAlive"] = true.into());
    for _ in 0..6 {
        assert_eq!(failure(&prober).await, None);
    }
    assert_eq!(server.connections(), 2);
}

/// The coordinated-omission test: the server stops for 300 ms; whoever waits for an answer before asking again sees one
/// slow request, an open loop sees all that would have been slow.
async fn stalls_show_in_many_samples(keep_alive: bool) {
    let stalled = Arc::new(Mutex::new(None::<Instant>));
    let server = TestServer::start(move |mut stream, number| {
        let stalled = stalled.clone();
        async move {
            while request_head(&mut stream).await.is_some() {
                let until = {
                    let mut stalled = stalled.lock().unwrap();
                    if number >= 3 && stalled.is_none() || keep_alive && stalled.is_none() {
                        *stalled = Some(Instant::now() + Duration::from_millis(300));
                    }
                    *stalled
                };
                if let Some(until) = until {
                    tokio::time::sleep_until(until.into()).await;
                }
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let url = format!("http://{}/", server.address);
    let signal = json!({"http": {"url": url, "rate": "100/s", "timeout": "2s", "keepAlive": keep_alive}});
    let samples = samples(signal, 80).await;
    let latency = |reading: &Reading| match reading {
        Reading::Request { latency, failure: None } => *latency,
        _ => f64::NAN,
    };
    let slow = samples.iter().filter(|sample| latency(&sample.reading) > 0.1).count();
    assert!((10..=30).contains(&slow), "{slow} slow of {samples:?}");
    let mut moments: Vec<f64> = samples.iter().map(|sample| sample.at).collect();
    moments.sort_by(f64::total_cmp);
    assert!(moments.windows(2).all(|pair| (pair[1] - pair[0] - 0.01).abs() < 1e-9), "each moment once: {moments:?}");
}

#[tokio::test]
async fn a_stall_shows_in_every_request_that_was_due_in_it() {
    stalls_show_in_many_samples(false).await;
    stalls_show_in_many_samples(true).await;
}

#[test]
fn what_cannot_be_sent_is_refused_beforehand() {
    let cases = [
        (json!({"url": "shop", "rate": "1/s"}), "http://"),
        (json!({"url": "http://shop", "rate": "1/s", "method": "GE T"}), "`GE T`"),
        (json!({"url": "http://shop", "rate": "1/s", "headers": {"a b": "c"}}), "`a b`"),
        (json!({"url": "http://shop", "rate": "1/s", "headers": {"a": "c\nd"}}), "`a`"),
        (json!({"url": "http://shop", "rate": "1/s", "timeout": "0"}), "`timeout`"),
        (json!({"url": "http://shop", "rate": "1/s", "expectBody": ""}), "`expectBody`"),
    ];
    for (signal, part) in cases {
        let error = HttpProber::new(&serde_json::from_value(signal).unwrap()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
