//! Baselines of the gate.

use crate::console::endpoint::{Call, Json, NoBody, Nothing};
use crate::console::requests::BaselineRequest;
use crate::controller::baselines::BaselineView;

use super::Answered;

pub(in crate::console) async fn baseline(call: Call<Nothing, NoBody>) -> Answered<Json<BaselineView>> {
    Ok(Json(call.controller.baseline(&call.principal, call.part("baseline")).await?))
}

pub(in crate::console) async fn put_baseline(
    call: Call<Nothing, Json<BaselineRequest>>,
) -> Answered<Json<BaselineView>> {
    let name = call.part("baseline").to_owned();
    let Json(BaselineRequest { document, version }) = call.body;
    Ok(Json(call.controller.put_baseline(&call.principal, &name, version, document).await?))
}
