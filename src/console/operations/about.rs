//! Whether a controller lives, who it and its caller are, and what it says of itself.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use crate::console::endpoint::{Answer, Call, Exposition, Json, NoBody, Nothing, Success, json};
use crate::console::problem::Problem;
use crate::controller::Controller;
use crate::controller::budgets::BudgetsList;
use crate::controller::controllers::ControllersList;
use crate::controller::identity::Identity;
use crate::controller::ready::Readiness;

use super::Answered;

/// That the process lives.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(in crate::console) struct Alive {
    /// Always true: a process that does not live does not answer.
    alive: bool,
}

pub(in crate::console) async fn alive(_: Arc<Controller>) -> Answered<Json<Alive>> {
    Ok(Json(Alive { alive: true }))
}

/// Whether all is well; 503 if it is not.
#[derive(Debug, Clone, Copy)]
pub(in crate::console) struct Ready(Readiness);

impl Answer for Ready {
    const SUCCESS: Success = Json::<Readiness>::SUCCESS;

    fn into_response(self) -> Result<Response, Problem> {
        json(if self.0.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &self.0)
    }
}

pub(in crate::console) async fn ready(controller: Arc<Controller>) -> Answered<Ready> {
    Ok(Ready(controller.readiness().await))
}

pub(in crate::console) async fn identity(call: Call<Nothing, NoBody>) -> Answered<Json<Identity>> {
    Ok(Json(call.controller.identity(&call.principal)))
}

pub(in crate::console) async fn controllers(call: Call<Nothing, NoBody>) -> Answered<Json<ControllersList>> {
    Ok(Json(call.controller.controllers(&call.principal).await?))
}

pub(in crate::console) async fn budgets(call: Call<Nothing, NoBody>) -> Answered<Json<BudgetsList>> {
    Ok(Json(call.controller.budgets(&call.principal).await?))
}

pub(in crate::console) async fn metrics(call: Call<Nothing, NoBody>) -> Answered<Exposition> {
    Ok(Exposition(call.controller.exposition(&call.principal).await?))
}

/// The description itself, of which no schema says more than that it is an object.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(in crate::console) struct Description(serde_json::Map<String, serde_json::Value>);

pub(in crate::console) async fn description(_: Call<Nothing, NoBody>) -> Answered<Json<Description>> {
    match crate::console::describe::description() {
        serde_json::Value::Object(description) => Ok(Json(Description(description))),
        _ => Err(Problem::ours("the description is no object")),
    }
}
