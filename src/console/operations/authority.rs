//! The authorities of the fleet, and their rotation.

use crate::console::endpoint::{Call, Json, NoBody, Nothing};
use crate::controller::rotation::{RotationRequest, RotationView};

use super::Answered;

pub(in crate::console) async fn authority(call: Call<Nothing, NoBody>) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.rotation(&call.principal).await?))
}

pub(in crate::console) async fn begin_rotation(
    call: Call<Nothing, Json<RotationRequest>>,
) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.begin_rotation(&call.principal, call.body.0).await?))
}

pub(in crate::console) async fn switch_rotation(
    call: Call<Nothing, Json<RotationRequest>>,
) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.switch_rotation(&call.principal, call.body.0).await?))
}

pub(in crate::console) async fn finish_rotation(
    call: Call<Nothing, Json<RotationRequest>>,
) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.finish_rotation(&call.principal, call.body.0).await?))
}
