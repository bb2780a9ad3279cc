//! Asking the backend for a price: one attempt after another, each with its own timeout.

use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How the front end treats its backend.
#[derive(Debug, Clone)]
pub struct CheckoutOptions {
    /// Host and port of the backend.
    pub backend: String,
    /// How long one attempt may take, connecting included.
    pub timeout: Duration,
    /// How many more attempts are made after a failed one.
    pub retries: u32,
    /// Whether a checkout without a price is still answered with 200 and a degraded body.
    pub fallback: bool,
    /// Whether connections to the backend are kept for the next checkout.
    pub keep_alive: bool,
}

/// Why an attempt gave no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptError {
    /// No answer in time.
    Timeout,
    /// No connection, a broken one, or an answer other than 200.
    Unavailable,
}

/// The connections to the backend, and the way to use them.
#[derive(Debug)]
pub struct Backend {
    options: CheckoutOptions,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Backend {
    /// A backend that no connection leads to yet.
    pub fn new(options: CheckoutOptions) -> Self {
        Self { options, idle: Mutex::new(Vec::new()) }
    }

    /// How it is treated.
    pub fn options(&self) -> &CheckoutOptions {
        &self.options
    }

    /// The backend's answer, and how many attempts were made.
    ///
    /// # Errors
    /// The last attempt's, once there are none left.
    pub async fn price(&self) -> (Result<Bytes, AttemptError>, u32) {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let attempt = tokio::time::timeout(self.options.timeout, self.attempt()).await;
            let result = attempt.unwrap_or(Err(AttemptError::Timeout));
            if result.is_ok() || attempts > self.options.retries {
                return (result, attempts);
            }
        }
    }

    async fn attempt(&self) -> Result<Bytes, AttemptError> {
        let mut sender = match self.kept().await {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::get("/price")
            .header(http::header::HOST, self.options.backend.as_str())
            .body(Empty::new())
            .map_err(|_| AttemptError::Unavailable)?;
        let response = sender.send_request(request).await.map_err(|_| AttemptError::Unavailable)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|_| AttemptError::Unavailable)?.to_bytes();
        if self.options.keep_alive
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push(sender);
        }
        if status == StatusCode::OK { Ok(body) } else { Err(AttemptError::Unavailable) }
    }

    /// A kept connection on which the backend has not hung up.
    async fn kept(&self) -> Option<SendRequest<Empty<Bytes>>> {
        loop {
            let mut sender = self.idle.lock().ok()?.pop()?;
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, AttemptError> {
        let stream = TcpStream::connect(&self.options.backend).await.map_err(|_| AttemptError::Unavailable)?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| AttemptError::Unavailable)?;
        // Dropping the sender ends the connection, also when the attempt's time is up.
        tokio::spawn(connection);
        Ok(sender)
    }
}
