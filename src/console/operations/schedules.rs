//! Schedules.

use crate::console::endpoint::{Call, Json, NoBody, Nothing};
use crate::console::requests::{FiresQuery, ScheduleRequest};
use crate::controller::schedules::{FiresList, ScheduleDetails, ScheduleView, SchedulesList};

use super::{Answered, within};

pub(in crate::console) async fn put_schedule(
    call: Call<Nothing, Json<ScheduleRequest>>,
) -> Answered<Json<ScheduleView>> {
    let Json(ScheduleRequest { document, version }) = &call.body;
    Ok(Json(call.controller.put_schedule(&call.principal, document, *version).await?))
}

pub(in crate::console) async fn schedules(call: Call<Nothing, NoBody>) -> Answered<Json<SchedulesList>> {
    Ok(Json(call.controller.schedules(&call.principal).await?))
}

pub(in crate::console) async fn schedule(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleDetails>> {
    Ok(Json(call.controller.schedule(&call.principal, call.part("schedule")).await?))
}

pub(in crate::console) async fn fires(call: Call<FiresQuery, NoBody>) -> Answered<Json<FiresList>> {
    let FiresQuery { from, until, limit } = call.query;
    let most = usize::try_from(within(limit, 100, 1000)?).unwrap_or(usize::MAX);
    Ok(Json(call.controller.fires(&call.principal, call.part("schedule"), from, until, most).await?))
}

pub(in crate::console) async fn suspend(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleView>> {
    Ok(Json(call.controller.suspend_schedule(&call.principal, call.part("schedule"), true).await?))
}

pub(in crate::console) async fn resume(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleView>> {
    Ok(Json(call.controller.suspend_schedule(&call.principal, call.part("schedule"), false).await?))
}

/// What is not there any more.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(in crate::console) struct Deleted {
    /// Its name.
    deleted: String,
}

pub(in crate::console) async fn delete_schedule(call: Call<Nothing, NoBody>) -> Answered<Json<Deleted>> {
    let name = call.part("schedule").to_owned();
    call.controller.delete_schedule(&call.principal, &name).await?;
    Ok(Json(Deleted { deleted: name }))
}
