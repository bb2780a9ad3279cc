//! The HTTP API: what [`Controller`] can do, for people and programs.
//!
//! One table ([`table`]) lists every endpoint with the action that it needs. The router, the check of tokens, the
//! OpenAPI description and its tests are made from it, so an endpoint that nobody authorised cannot exist.
//!
//! - Only `/healthz` and `/readyz` answer without a token, and they say nothing but whether all is well.
//! - A request is understood as a whole or not at all: unknown fields and parameters are refused, and so are bodies
//!   where none belong.
//! - A request that makes something that must not be made twice may bear a key ([`endpoint::KEY`]) by which it is known
//!   when it is sent again, as whoever lost an answer does.
//! - No answer is for a page of another site: there are no cookies and no CORS.
//! - What was begun is finished, also when whoever asked for it does not wait.

mod describe;
mod endpoint;
mod operations;
mod problem;
mod requests;
mod table;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

pub use describe::description;
pub use problem::{PREFIX, Problem};
pub use requests::*;

use crate::access::Principal;
use crate::controller::Controller;
use endpoint::{Access, Endpoint, KEY, LONGEST_KEY, Raw};

/// The longest body: a document (1 MiB) as a JSON text, in which a letter may need more than one.
pub const LONGEST_BODY: usize = 3 << 20;
/// The time in which a request must be read and answered; longer than any call waits on purpose.
const PATIENCE: Duration = Duration::from_secs(90);

/// The API over a controller, for any listener.
pub fn router(controller: &Arc<Controller>) -> Router {
    let add = |router: Router, endpoint: Endpoint| {
        let Ok(filter) = MethodFilter::try_from(endpoint.method.clone()) else { return router };
        let path = endpoint.path;
        let (endpoint, controller) = (Arc::new(endpoint), Arc::clone(controller));
        let serve = move |path: RawPathParams, request: Request| {
            respond(Arc::clone(&endpoint), Arc::clone(&controller), path, request)
        };
        router.route(path, on(filter, serve))
    };
    let counted = Arc::clone(controller);
    table::endpoints()
        .into_iter()
        .fold(Router::new(), add)
        .method_not_allowed_fallback(async |request: Request| {
            Problem::wrong_method(request.method().as_str(), request.uri().path())
        })
        .fallback(async |request: Request| Problem::nowhere(request.method().as_str(), request.uri().path()))
        .layer(axum::middleware::map_response(move |response: Response| {
            let controller = Arc::clone(&counted);
            async move {
                controller.metrics().answered(response.status().as_u16());
                guarded(response)
            }
        }))
}

async fn respond(
    endpoint: Arc<Endpoint>,
    controller: Arc<Controller>,
    path: RawPathParams,
    request: Request,
) -> Response {
    let answered = tokio::time::timeout(PATIENCE, answer(&endpoint, controller, path, request)).await;
    let answered = answered.unwrap_or_else(|_| Err(Problem::too_slow(PATIENCE.as_secs())));
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    endpoint: &Endpoint,
    controller: Arc<Controller>,
    path: RawPathParams,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let principal = match endpoint.access {
        Access::Open => None,
        Access::Needs(action) => {
            let principal = authenticate(&controller, &parts.headers).await?;
            controller.admit(&principal, action).await?;
            Some(principal)
        }
    };
    // Read only now: who may not ask is not listened to.
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|error| {
        let too_long =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        match too_long {
            true => Problem::too_large(LONGEST_BODY),
            false => Problem::request(format!("the body was not sent whole: {error}"), ""),
        }
    })?;
    let raw = Raw {
        principal,
        key: key(endpoint, &parts.headers)?,
        path: path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    // In a task of its own, which goes on when the connection ends.
    match tokio::spawn(endpoint.answer(controller, raw)).await {
        Ok(answered) => answered,
        Err(error) => {
            tracing::error!(%error, ?endpoint, "a call of the API broke");
            Err(Problem::ours("this call broke"))
        }
    }
}

/// The key that a request bears. One that would be ignored is refused: whoever sends it counts on it.
fn key(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut fields = headers.get_all(KEY).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if !endpoint.once {
        let hint = "leave it out; GET /openapi.json says which endpoints take one";
        return Err(Problem::request("this takes no Idempotency-Key", hint));
    }
    let text = field.to_str().ok().filter(|text| (1..=LONGEST_KEY).contains(&text.len()) && fields.next().is_none());
    let wrong =
        || Problem::request("the Idempotency-Key cannot be read", "one, of 1 to 255 visible characters (ASCII)");
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

/// Who asks, by the token in the request.
async fn authenticate(controller: &Controller, headers: &HeaderMap) -> Result<Principal, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(Problem::no_token()) };
    let text = field.to_str().map_err(|_| Problem::no_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::no_token)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_token());
    }
    controller.authenticate(token.trim()).await.map_err(|error| match error.class().0 {
        401 => {
            // Which token it was and why it is refused is for whoever reads the log, and not for whoever tries tokens.
            tracing::info!(%error, "a token was refused");
            Problem::bad_token()
        }
        _ => error.into(),
    })
}

/// What every answer says to browsers: take it for nothing else, keep it nowhere, load and run nothing.
fn guarded(mut response: Response) -> Response {
    let fields: [(HeaderName, &'static str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
