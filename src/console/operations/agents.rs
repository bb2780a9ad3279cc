//! Agents, and the tokens by which hosts become such and people use the API.

use crate::console::endpoint::{Call, Created, Json, NoBody, Nothing};
use crate::console::requests::{ApiTokenRequest, EnrolmentTokenRequest, PageQuery, Reason};
use crate::controller::agents::{AgentDetails, AgentsList, Revoked};
use crate::controller::api_tokens::{ApiTokenView, ApiTokensList, MadeApiToken};
use crate::controller::enrolment::{EnrolmentTokenView, EnrolmentTokensList, MadeEnrolmentToken};
use crate::controller::unclean::Acknowledged;

use super::{Answered, of_a_page, reason};

pub(in crate::console) async fn agents(call: Call<PageQuery, NoBody>) -> Answered<Json<AgentsList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.agents(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(in crate::console) async fn agent(call: Call<Nothing, NoBody>) -> Answered<Json<AgentDetails>> {
    Ok(Json(call.controller.agent(&call.principal, call.part("agent")).await?))
}

pub(in crate::console) async fn revoke_agent(call: Call<Nothing, Json<Reason>>) -> Answered<Json<Revoked>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.revoke_agent(&call.principal, call.part("agent"), reason).await?))
}

pub(in crate::console) async fn acknowledge_agent(call: Call<Nothing, Json<Reason>>) -> Answered<Json<Acknowledged>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.acknowledge_agent(&call.principal, call.part("agent"), reason).await?))
}

pub(in crate::console) async fn enrolment_tokens(call: Call<PageQuery, NoBody>) -> Answered<Json<EnrolmentTokensList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.enrolment_tokens(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(in crate::console) async fn create_enrolment_token(
    call: Call<Nothing, Json<EnrolmentTokenRequest>>,
) -> Answered<Created<MadeEnrolmentToken>> {
    let Json(EnrolmentTokenRequest { labels, lasts, uses }) = call.body;
    let made = call.controller.create_enrolment_token(&call.principal, labels, lasts.duration(), uses).await?;
    Ok(Created(made))
}

pub(in crate::console) async fn revoke_enrolment_token(
    call: Call<Nothing, NoBody>,
) -> Answered<Json<EnrolmentTokenView>> {
    Ok(Json(call.controller.revoke_enrolment_token(&call.principal, call.part("token")).await?))
}

pub(in crate::console) async fn api_tokens(call: Call<PageQuery, NoBody>) -> Answered<Json<ApiTokensList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.api_tokens(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(in crate::console) async fn create_api_token(
    call: Call<Nothing, Json<ApiTokenRequest>>,
) -> Answered<Created<MadeApiToken>> {
    let Json(ApiTokenRequest { name, role, scope, lasts }) = call.body;
    let lasts = lasts.map(|lasts| lasts.duration());
    Ok(Created(call.controller.create_api_token(&call.principal, &name, &role, &scope, lasts).await?))
}

pub(in crate::console) async fn revoke_api_token(call: Call<Nothing, NoBody>) -> Answered<Json<ApiTokenView>> {
    Ok(Json(call.controller.revoke_api_token(&call.principal, call.part("token")).await?))
}
