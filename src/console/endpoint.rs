//! One endpoint: what it is called, who may call it, what goes in and out, and what it does. Everything else (the
//! router, the check of tokens, the description) is made from it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::access::{Action, Principal};
use crate::controller::Controller;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody, without a token. It must say nothing that is worth knowing.
    Open,
    /// Whoever may do this.
    Needs(Action),
}

/// How a type is described.
pub(super) type Described = fn(&mut SchemaGenerator) -> Schema;

/// What an endpoint answers when all is well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Success {
    /// Its status.
    pub(super) status: StatusCode,
    /// What it is about, for people.
    pub(super) description: &'static str,
    /// The media types, the first of which is the usual one; none without a body.
    pub(super) media: &'static [&'static str],
    /// What JSON it is, if it is JSON.
    pub(super) schema: Option<Described>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// What a request brought, before it is understood.
#[derive(Debug)]
pub(super) struct Raw {
    /// Who asks; nobody at an open endpoint.
    pub(super) principal: Option<Principal>,
    /// The parts of the path that stand in braces.
    pub(super) path: Vec<(String, String)>,
    /// What stands behind the question mark.
    pub(super) query: String,
    /// The body.
    pub(super) body: axum::body::Bytes,
    /// By what the request is known if it is sent again.
    pub(super) key: Option<String>,
}

/// The field by which a request says its key.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in bytes.
pub(super) const LONGEST_KEY: usize = 255;

/// An endpoint.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// With the variable parts in braces.
    pub(super) path: &'static str,
    /// Its name in the description, and for programs that are generated from it.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) query: Option<Described>,
    pub(super) body: Option<Described>,
    pub(super) success: Success,
    /// Whether a request may bear a key ([`KEY`]), and is done once however often it is sent with that.
    pub(super) once: bool,
    answer: Arc<dyn Fn(Arc<Controller>, Raw) -> Answering + Send + Sync>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// What a handler is given.
#[derive(Debug)]
pub(super) struct Call<Q, B> {
    pub(super) controller: Arc<Controller>,
    pub(super) principal: Principal,
    path: Vec<(String, String)>,
    pub(super) query: Q,
    pub(super) body: B,
    /// By what the request is known if it is sent again.
    pub(super) key: Option<String>,
}

impl<Q, B> Call<Q, B> {
    /// A variable part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Where nothing may be given.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// What a body may be.
pub(super) trait FromBody: Sized + Send {
    fn described() -> Option<Described>;
    fn read(bytes: &[u8]) -> Result<Self, Problem>;
}

/// No body.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoBody;

impl FromBody for NoBody {
    fn described() -> Option<Described> {
        None
    }

    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.is_empty() { Ok(Self) } else { Err(Problem::request("this takes no body", "leave it out")) }
    }
}

/// A body in JSON, or an answer in it.
#[derive(Debug, Clone)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema + Send> FromBody for Json<T> {
    fn described() -> Option<Described> {
        Some(|generator| generator.subschema_for::<T>())
    }

    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            Problem::request(
                format!("the body is not what this takes: {error}"),
                "GET /openapi.json describes it; fields that are not described are refused",
            )
        })
    }
}

/// What a handler may answer.
pub(super) trait Answer: Send {
    const SUCCESS: Success;
    fn into_response(self) -> Result<Response, Problem>;
}

const JSON: &[&str] = &["application/json"];

impl<T: Serialize + JsonSchema + Send> Answer for Json<T> {
    const SUCCESS: Success = Success {
        status: StatusCode::OK,
        description: "Done; what was asked for.",
        media: JSON,
        schema: Some(|generator| generator.subschema_for::<T>()),
    };

    fn into_response(self) -> Result<Response, Problem> {
        json(StatusCode::OK, &self.0)
    }
}

/// Something new, in JSON.
#[derive(Debug, Clone)]
pub(super) struct Created<T>(pub(super) T);

impl<T: Serialize + JsonSchema + Send> Answer for Created<T> {
    const SUCCESS: Success = Success {
        status: StatusCode::CREATED,
        description: "Made.",
        media: JSON,
        schema: Some(|generator| generator.subschema_for::<T>()),
    };

    fn into_response(self) -> Result<Response, Problem> {
        json(StatusCode::CREATED, &self.0)
    }
}

/// A report in any of its formats.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) media: &'static str,
    pub(super) text: String,
}

impl Answer for Text {
    const SUCCESS: Success = Success {
        status: StatusCode::OK,
        description: "The report, in the format that was asked for.",
        media: &[
            "text/plain; charset=utf-8",
            "application/json",
            "text/html; charset=utf-8",
            "application/xml",
            "text/markdown; charset=utf-8",
        ],
        schema: None,
    };

    fn into_response(self) -> Result<Response, Problem> {
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(self.media))], self.text).into_response())
    }
}

/// Metrics, as Prometheus reads them.
#[derive(Debug, Clone)]
pub(super) struct Exposition(pub(super) String);

/// What a scraper is told that it gets.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Answer for Exposition {
    const SUCCESS: Success = Success {
        status: StatusCode::OK,
        description: "The metrics, in the text format of OpenMetrics.",
        media: &[OPEN_METRICS],
        schema: None,
    };

    fn into_response(self) -> Result<Response, Problem> {
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS))], self.0).into_response())
    }
}

pub(super) fn json(status: StatusCode, data: &impl Serialize) -> Result<Response, Problem> {
    let text =
        serde_json::to_vec(data).map_err(|error| Problem::ours(format!("the answer cannot be written: {error}")))?;
    Ok((status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}

/// An endpoint of this name for whoever may do `action`.
pub(super) fn endpoint<Q, B, T, F>(
    method: Method,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    action: Action,
    handler: impl Fn(Call<Q, B>) -> F + Send + Sync + Copy + 'static,
) -> Endpoint
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    B: FromBody + 'static,
    T: Answer + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    Endpoint {
        method,
        path,
        name,
        summary,
        access: Access::Needs(action),
        query: Some(|generator| generator.subschema_for::<Q>()),
        body: B::described(),
        success: T::SUCCESS,
        once: false,
        answer: Arc::new(move |controller, raw| {
            Box::pin(async move {
                let principal = raw.principal.ok_or_else(Problem::no_token)?;
                let query = read_query(&raw.query)?;
                let body = B::read(&raw.body)?;
                handler(Call { controller, principal, path: raw.path, query, body, key: raw.key })
                    .await?
                    .into_response()
            })
        }),
    }
}

/// An endpoint for everybody.
pub(super) fn open<T, F>(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: impl Fn(Arc<Controller>) -> F + Send + Sync + Copy + 'static,
) -> Endpoint
where
    T: Answer + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    Endpoint {
        method: Method::GET,
        path,
        name,
        summary,
        access: Access::Open,
        query: None,
        body: None,
        success: T::SUCCESS,
        once: false,
        answer: Arc::new(move |controller, _| Box::pin(async move { handler(controller).await?.into_response() })),
    }
}

impl Endpoint {
    /// One whose requests may bear a key.
    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(super) fn answer(&self, controller: Arc<Controller>, raw: Raw) -> Answering {
        (self.answer)(controller, raw)
    }
}

fn read_query<Q: DeserializeOwned>(query: &str) -> Result<Q, Problem> {
    let uri = http::Uri::builder().path_and_query(format!("/?{query}")).build();
    let uri = uri.map_err(|error| Problem::request(format!("the query cannot be read: {error}"), ""))?;
    axum::extract::Query::try_from_uri(&uri).map(|query| query.0).map_err(|error| {
        Problem::request(
            format!("the query is not what this takes: {}", error.body_text()),
            "GET /openapi.json describes it; parameters that are not described are refused",
        )
    })
}
