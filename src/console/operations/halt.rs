//! The halt of the fleet.

use crate::console::endpoint::{Call, Json, NoBody, Nothing};
use crate::console::requests::Reason;
use crate::controller::halt::{HaltAnswer, HaltState, ReleaseAnswer};

use super::{Answered, reason};

pub(in crate::console) async fn halt_state(call: Call<Nothing, NoBody>) -> Answered<Json<HaltState>> {
    Ok(Json(call.controller.halt_state(&call.principal).await?))
}

pub(in crate::console) async fn halt(call: Call<Nothing, Json<Reason>>) -> Answered<Json<HaltAnswer>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.halt(&call.principal, reason).await?))
}

pub(in crate::console) async fn release(call: Call<Nothing, NoBody>) -> Answered<Json<ReleaseAnswer>> {
    Ok(Json(call.controller.release(&call.principal).await?))
}
