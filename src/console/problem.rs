//! The one shape of every error that the API answers: problem details (RFC 9457), with a hint.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::controller::ControllerError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{detail}")]
pub struct Problem {
    /// Which kind of problem: `urn:faultline:` and a word that stays the same.
    #[serde(rename = "type")]
    pub kind: String,
    /// That kind in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What went wrong this time, and with what.
    pub detail: String,
    /// The way on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The URL of the controller that answers this, if another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Box<str>>,
}

/// What every problem's type begins with.
pub const PREFIX: &str = "urn:faultline:";

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let hint = hint.into();
        Self {
            kind: format!("{PREFIX}{kind}"),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            hint: (!hint.is_empty()).then_some(hint),
            controller: None,
        }
    }

    /// The request itself is wrong.
    pub(super) fn request(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", "The request is wrong", detail, hint)
    }

    /// A defect.
    pub(super) fn ours(detail: impl Into<String>) -> Self {
        let title = "Faultline itself is at fault";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "defect",
            title,
            detail,
            "please report it with the log of the controller",
        )
    }

    /// Who asks did not show a token.
    pub(super) fn no_token() -> Self {
        let hint = "send `Authorization: Bearer TOKEN`; `faultline token create` makes one";
        Self::new(StatusCode::UNAUTHORIZED, "no-token", "A token is needed", "the request bears no token", hint)
    }

    /// The token is not one. Why not is in the controller's log alone.
    pub(super) fn bad_token() -> Self {
        let hint = "it may have expired or been revoked; an admin makes a new one with `faultline token create`";
        Self::new(StatusCode::UNAUTHORIZED, "bad-token", "The token is refused", "the token is not accepted", hint)
    }

    pub(super) fn nowhere(method: &str, path: &str) -> Self {
        let detail = format!("there is nothing at {method} {path}");
        Self::new(
            StatusCode::NOT_FOUND,
            "no-endpoint",
            "No such endpoint",
            detail,
            "GET /openapi.json lists all there is",
        )
    }

    pub(super) fn wrong_method(method: &str, path: &str) -> Self {
        let (detail, hint) = (format!("{path} does not know {method}"), "GET /openapi.json lists all there is");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Not with this method", detail, hint)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too long", detail, "documents are short")
    }

    pub(super) fn too_slow(seconds: u64) -> Self {
        let detail = format!("this was not done within {seconds} s");
        let hint = "it may be done all the same: look before asking again";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "too-slow", "It took too long", detail, hint)
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<ControllerError> for Problem {
    fn from(error: ControllerError) -> Self {
        let (status, kind, title) = error.class();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(%error, "a call of the API failed");
        }
        let problem = Self::new(status, kind, title, error.to_string(), error.hint());
        let controller = match error {
            ControllerError::Elsewhere { address, .. } => address.map(String::into_boxed_str),
            _ => None,
        };
        Self { controller, ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Texts and numbers can always be written.
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let media = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status(), media, text).into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"faultline\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
