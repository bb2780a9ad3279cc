//! Knowing that a service is up.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use crate::experiment::document::Ready;
use crate::signals::command::{self, CommandEnd};
use crate::signals::exchange::{Endpoint, drain, open, send, split_address};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);

/// Looks once; the error says what is missing.
pub(super) async fn look(
    ready: &Ready,
    environment: &BTreeMap<String, String>,
    directory: &Path,
) -> Result<(), String> {
    let all = async {
        if let Some(url) = &ready.http {
            http(url).await?;
        }
        if let Some(address) = &ready.tcp {
            let (host, port) = split_address(address)?;
            open(&host, port).await.map_err(|failure| format!("{address}: {}", failure.into_reason()))?;
        }
        if let Some(argv) = &ready.exec {
            exec(argv, environment, directory).await?;
        }
        Ok(())
    };
    tokio::time::timeout(LOOK, all).await.unwrap_or_else(|_| Err("it does not answer".into()))
}

async fn http(url: &str) -> Result<(), String> {
    let endpoint = Endpoint::parse(url)?;
    let say = |reason: String| format!("{url}: {reason}");
    let mut sender = endpoint.connect().await.map_err(|failure| say(failure.into_reason()))?;
    let request = Request::get(endpoint.path.as_str())
        .header(http::header::HOST, endpoint.authority.clone())
        .header(http::header::CONNECTION, "close")
        .body(Full::new(Bytes::new()))
        .map_err(|error| say(error.to_string()))?;
    let response = send(&mut sender, request).await.map_err(|unanswered| say(unanswered.failure.into_reason()))?;
    let status = response.status().as_u16();
    drain(response.into_body(), 0).await.map_err(|failure| say(failure.into_reason()))?;
    if status < 400 { Ok(()) } else { Err(say(format!("status {status}"))) }
}

async fn exec(argv: &[String], environment: &BTreeMap<String, String>, directory: &Path) -> Result<(), String> {
    let name = argv.first().map_or("", String::as_str);
    match command::run(argv, environment, Some(directory), LOOK).await {
        CommandEnd::Exited { status, .. } if status.success() => Ok(()),
        CommandEnd::Exited { status, stderr, .. } => {
            let text = String::from_utf8_lossy(&stderr);
            let last = text.lines().last().unwrap_or_default();
            let colon = if last.is_empty() { "" } else { ": " };
            Err(format!("`{name}` {}{colon}{last}", command::describe(status)))
        }
        CommandEnd::TimedOut => Err(format!("`{name}` does not end")),
        CommandEnd::NotStarted(error) => Err(format!("`{name}` cannot be run: {error}")),
    }
}
