//! The HTTP prober: requests at a fixed rate, each on a connection of its own unless connections are kept.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use faultline_agent::units::{Rate, TimeSpan};
use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;

use super::exchange::{Endpoint, Failure, drain, send};
use super::open_loop::{Probe, limit};
use super::sample::Reading;
use super::tcp::reading;
use crate::experiment::document::{HttpSignal, StatusRange};

/// How much of a body is searched for `expectBody`.
const SEARCHED: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct HttpProber {
    pub(super) rate: Rate,
    endpoint: Endpoint,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    timeout: TimeSpan,
    expect_status: Vec<StatusRange>,
    expect_body: Option<String>,
    /// Connections that nobody uses right now; nothing where they are not kept.
    idle: Option<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

/// How far a request has come, for the words of a timeout.
#[derive(Debug, Default)]
struct Progress(AtomicU8);

impl Progress {
    const CONNECTED: u8 = 1;
    const ANSWERED: u8 = 2;

    fn reach(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    fn describe(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            Self::ANSWERED => " in the middle of the answer",
            Self::CONNECTED => "",
            _ => " while connecting",
        }
    }
}

impl HttpProber {
    pub(super) fn new(signal: &HttpSignal) -> Result<Self, String> {
        let endpoint = Endpoint::parse(&signal.url)?;
        let method: Method = signal.method.parse().map_err(|_| format!("`{}` is not an HTTP method", signal.method))?;
        if signal.timeout.is_zero() {
            return Err("`timeout` is 0: nothing can be that fast".into());
        }
        if signal.expect_body.as_deref() == Some("") {
            return Err("`expectBody` is empty, which every body holds".into());
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, endpoint.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("faultline/", env!("CARGO_PKG_VERSION"))));
        if !signal.keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &signal.headers {
            let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is not the name of a header field"))?;
            let value = value.parse().map_err(|_| format!("the value of header field `{name}` cannot be sent"))?;
            headers.insert(header, value);
        }
        Ok(Self {
            rate: signal.rate,
            endpoint,
            method,
            headers,
            body: signal.body.clone().unwrap_or_default().into(),
            timeout: signal.timeout,
            expect_status: match &signal.expect_status[..] {
                [] => vec![StatusRange { first: 200, last: 399 }],
                given => given.to_vec(),
            },
            expect_body: signal.expect_body.clone(),
            idle: signal.keep_alive.then(Mutex::default),
        })
    }

    pub(super) fn limit(&self) -> usize {
        limit(self.rate.count_per_second(), self.timeout.duration())
    }

    async fn attempt(&self, progress: &Progress) -> Result<(), Failure> {
        let (mut sender, kept) = match self.kept().await {
            Some(sender) => (sender, true),
            None => (self.endpoint.connect_at(self.rate).await?, false),
        };
        progress.reach(Progress::CONNECTED);
        let response = match send(&mut sender, self.request()?).await {
            Ok(response) => response,
            // The server may hang up on a kept connection just as it is used (RFC 9112, 9.3.1): that is no failure.
            Err(unanswered) if kept && (unanswered.never_sent || self.method.is_idempotent()) => {
                progress.reach(0);
                sender = self.endpoint.connect_at(self.rate).await?;
                progress.reach(Progress::CONNECTED);
                send(&mut sender, self.request()?).await.map_err(|unanswered| unanswered.failure)?
            }
            Err(unanswered) => return Err(unanswered.failure),
        };
        progress.reach(Progress::ANSWERED);
        let status = response.status().as_u16();
        let searched = if self.expect_body.is_some() { SEARCHED } else { 0 };
        let body = drain(response.into_body(), searched).await?;
        if let Some(idle) = &self.idle {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        self.judge(status, &body)
    }

    fn judge(&self, status: u16, body: &[u8]) -> Result<(), Failure> {
        if !self.expect_status.iter().any(|range| range.contains(status)) {
            return Err(Failure::Theirs(format!("status {status}")));
        }
        match &self.expect_body {
            Some(text) if !body.windows(text.len()).any(|window| window == text.as_bytes()) => {
                Err(Failure::Theirs(format!("body without `{text}`")))
            }
            _ => Ok(()),
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.endpoint.path.as_str())
            .body(Full::new(self.body.clone()))
            .map_err(|error| Failure::Ours(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// The connection used last on which the server has not hung up. As many are kept as were ever needed at once, so
    /// that a slow answer never delays another request.
    async fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let idle = self.idle.as_ref()?;
        loop {
            let mut sender = idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }
}

impl Probe for HttpProber {
    async fn probe(self: Arc<Self>, intended: Instant) -> Reading {
        let progress = Progress::default();
        let deadline = intended + self.timeout.duration();
        let result = tokio::time::timeout_at(deadline.into(), self.attempt(&progress)).await;
        let latency = intended.elapsed();
        let timed_out = || Failure::Theirs(format!("timeout after {}{}", self.timeout, progress.describe()));
        reading(latency, result.unwrap_or_else(|_| Err(timed_out())))
    }
}

#[cfg(test)]
mod tests;
