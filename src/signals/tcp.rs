//! The TCP prober: connect, perhaps send, perhaps wait for a first answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::units::{Rate, TimeSpan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::exchange::{Failure, free_port_at_once, open, split_address};
use super::open_loop::{Probe, limit};
use super::sample::Reading;
use crate::experiment::document::TcpSignal;

/// How much of an answer is searched.
const SEARCHED: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct TcpProber {
    pub(super) rate: Rate,
    host: String,
    port: u16,
    timeout: TimeSpan,
    send: Vec<u8>,
    expect: Option<(String, Vec<u8>)>,
}

impl TcpProber {
    pub(super) fn new(signal: &TcpSignal) -> Result<Self, String> {
        let (host, port) = split_address(&signal.address)?;
        let expect = match &signal.expect {
            Some(text) if text.is_empty() => return Err("`expect` is empty, which every answer holds".into()),
            Some(text) => Some((text.clone(), unescape(text)?)),
            None => None,
        };
        if signal.timeout.is_zero() {
            return Err("`timeout` is 0: nothing can be that fast".into());
        }
        let send = signal.send.as_deref().map(unescape).transpose()?.unwrap_or_default();
        Ok(Self { rate: signal.rate, host, port, timeout: signal.timeout, send, expect })
    }

    pub(super) fn limit(&self) -> usize {
        limit(self.rate.count_per_second(), self.timeout.duration())
    }

    async fn attempt(&self) -> Result<(), Failure> {
        let broken = |error: std::io::Error| Failure::from_io(&error);
        let mut stream = open(&self.host, self.port).await?;
        free_port_at_once(&stream, self.rate);
        if !self.send.is_empty() {
            stream.write_all(&self.send).await.map_err(broken)?;
        }
        let Some((text, wanted)) = &self.expect else { return Ok(()) };
        let mut answer = Vec::new();
        loop {
            let seen = answer.len();
            if stream.read_buf(&mut answer).await.map_err(broken)? == 0 {
                return Err(Failure::Theirs(match seen {
                    0 => "connection closed without an answer".into(),
                    _ => format!("answer without `{text}`"),
                }));
            }
            // It may have begun at the end of what was there before.
            let from = seen.saturating_sub(wanted.len() - 1);
            if answer[from..].windows(wanted.len()).any(|window| window == wanted) {
                return Ok(());
            }
            if answer.len() > SEARCHED {
                return Err(Failure::Theirs(format!("answer without `{text}` in its first {SEARCHED} bytes")));
            }
        }
    }
}

impl Probe for TcpProber {
    async fn probe(self: Arc<Self>, intended: Instant) -> Reading {
        let deadline = intended + self.timeout.duration();
        let result = tokio::time::timeout_at(deadline.into(), self.attempt()).await;
        let latency = intended.elapsed();
        reading(latency, result.unwrap_or_else(|_| Err(Failure::Theirs(format!("timeout after {}", self.timeout)))))
    }
}

/// What one attempt says.
pub(super) fn reading(latency: Duration, result: Result<(), Failure>) -> Reading {
    let latency = latency.as_secs_f64();
    match result {
        Ok(()) => Reading::Request { latency, failure: None },
        Err(Failure::Theirs(reason)) => Reading::Request { latency, failure: Some(reason) },
        Err(Failure::Ours(reason)) => Reading::Missing { reason },
    }
}

/// Reads `\r`, `\n`, `\t`, `\\` and `\xHH`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let refuse = |what: &str| format!("`{text}`: {what} is no escape; there are \\r, \\n, \\t, \\\\ and \\xHH");
        bytes.push(match rest.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                let valid = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) if valid => byte,
                    _ => return Err(refuse(&format!("`\\x{digits}`"))),
                }
            }
            Some(other) => return Err(refuse(&format!("`\\{other}`"))),
            None => return Err(refuse("a `\\` at the end")),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_server::TestServer;
    use super::*;

    async fn probe(server: &TestServer, change: serde_json::Value) -> Reading {
        let mut signal = json!({"address": server.address.to_string(), "rate": "1/s", "timeout": "300ms"});
        signal.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Arc::new(TcpProber::new(&serde_json::from_value(signal).unwrap()).unwrap()).probe(Instant::now()).await
    }

    fn failure(reading: Reading) -> Option<String> {
        match reading {
            Reading::Request { failure, .. } => failure,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_expected_may_come_in_pieces() {
        let server = TestServer::start(|mut stream, _| async move {
            let mut asked = [0; 7];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"PING\r\n\0");
            for part in ["+OK wait\r\n+P", "ON", "G\r\n"] {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        })
        .await;
        let reading = probe(&server, json!({"send": r"PING\r\n\x00", "expect": r"+PONG\r\n"})).await;
        let Reading::Request { latency, failure: None } = reading else { panic!("{reading:?}") };
        assert!(latency >= 0.04, "{latency}");
    }

    #[tokio::test]
    async fn every_way_of_not_answering_has_its_words() {
        let silent = TestServer::start(|stream, _| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        assert_eq!(failure(probe(&silent, json!({})).await), None);
        let words = failure(probe(&silent, json!({"expect": "x"})).await);
        assert_eq!(words.as_deref(), Some("timeout after 300ms"));
        let wrong = TestServer::start(|mut stream, _| async move { stream.write_all(b"-ERR").await.unwrap() }).await;
        assert_eq!(failure(probe(&wrong, json!({"expect": "+OK"})).await).as_deref(), Some("answer without `+OK`"));
        let mute = TestServer::start(|_, _| async {}).await;
        let words = failure(probe(&mute, json!({"expect": "+OK"})).await);
        assert_eq!(words.as_deref(), Some("connection closed without an answer"));
    }

    #[test]
    fn escapes_are_read_and_others_refused() {
        assert_eq!(unescape(r"a\r\n\t\\\x00\xfFé").unwrap(), b"a\r\n\t\\\0\xff\xc3\xa9");
        for text in [r"\", r"\q", r"\x1", r"\xzz", r"\x+1"] {
            assert!(unescape(text).unwrap_err().contains("escape"), "{text}");
        }
    }
}
