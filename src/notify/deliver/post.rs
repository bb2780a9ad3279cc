//! One delivery: a request over a connection of its own, and what came of it.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use jiff::Timestamp;

use crate::notify::format::{Credential, Format};
use crate::notify::occurrence::Occurrence;
use crate::notify::retry::{Outcome, retry_after};
use crate::notify::settings::Endpoint;
use crate::notify::signature::sign;
use crate::signals::exchange::send;

/// No more of an answer is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// So much of it is kept for people, in characters.
const KEPT: usize = 200;

/// Sends an occurrence to an endpoint. Redirects are not followed: the settings say where to send.
pub(super) async fn post(endpoint: &Endpoint, source: &str, occurrence: &Occurrence, now: Timestamp) -> Outcome {
    let (request, key) = match request(endpoint, source, occurrence, now) {
        Ok(request) => request,
        Err(outcome) => return outcome,
    };
    match tokio::time::timeout(endpoint.timeout.duration(), exchange(endpoint, request, now)).await {
        // What it says may repeat what was sent.
        Ok(Outcome::Answered { status, retry_after, said }) if !key.is_empty() => {
            Outcome::Answered { status, retry_after, said: said.replace(&key, "…") }
        }
        Ok(outcome) => outcome,
        Err(_) => Outcome::Unanswered(format!("no complete answer within {}", endpoint.timeout)),
    }
}

/// The request, and the key that it holds.
fn request(
    endpoint: &Endpoint,
    source: &str,
    occurrence: &Occurrence,
    now: Timestamp,
) -> Result<(Request<Full<Bytes>>, String), Outcome> {
    let unread = |error: &dyn std::error::Error| Outcome::NotSent(error.to_string());
    let (mut signing, mut key) = (Vec::new(), String::new());
    match (&endpoint.secret, endpoint.format.credential()) {
        (Some(secret), Credential::Signing { .. }) => signing = secret.signing().map_err(|error| unread(&error))?,
        (Some(secret), Credential::Key(_)) => key = secret.key().map_err(|error| unread(&error))?,
        _ => {}
    }
    let Some(rendered) = endpoint.format.render(occurrence, source, &key) else {
        return Err(Outcome::Unsendable(format!("`{}` has no message for this", endpoint.format.name())));
    };
    let body = Bytes::from(rendered.body.to_string());
    let mut request = Request::post(endpoint.target.path.as_str())
        .header(HOST, endpoint.target.authority.clone())
        .header(USER_AGENT, concat!("Faultline/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, rendered.content_type)
        // Whoever understands it can drop what comes twice.
        .header("webhook-id", occurrence.id.as_str());
    if !signing.is_empty() {
        let second = now.as_second();
        request = request
            .header("webhook-timestamp", second)
            .header("webhook-signature", sign(&signing, &occurrence.id, second, &body));
    }
    if endpoint.format == Format::Grafana {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request.body(Full::new(body)).map_err(|error| Outcome::Unsendable(error.to_string()))?;
    Ok((request, key))
}

async fn exchange(endpoint: &Endpoint, request: Request<Full<Bytes>>, now: Timestamp) -> Outcome {
    let mut sender = match endpoint.target.connect().await {
        Ok(sender) => sender,
        Err(failure) => return Outcome::Unanswered(failure.into_reason()),
    };
    let answer = match send(&mut sender, request).await {
        Ok(answer) => answer,
        Err(unanswered) => return Outcome::Unanswered(unanswered.failure.into_reason()),
    };
    let status = answer.status();
    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|value| retry_after(value, now));
    let said = match beginning(answer.into_body()).await {
        Ok(said) => said,
        // A receiver that dies while it answers may not have kept what it was told.
        Err(reason) if status.is_success() => return Outcome::Unanswered(reason),
        Err(_) => String::new(),
    };
    if status.is_success() {
        return Outcome::Accepted;
    }
    let printable = said.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    Outcome::Answered {
        status: status.as_u16(),
        retry_after,
        said: printable.take(KEPT).collect::<String>().trim().to_owned(),
    }
}

/// The answer's body, as far as it is read.
async fn beginning(mut body: Incoming) -> Result<String, String> {
    let mut read = Vec::new();
    while read.len() < LONGEST_ANSWER
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|_| "connection closed before the answer was complete".to_owned())?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(LONGEST_ANSWER - read.len())]);
        }
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}
