//! The audit log.

use crate::audit::Head;
use crate::console::endpoint::{Call, Json, NoBody, Nothing};
use crate::console::problem::Problem;
use crate::console::requests::{AuditQuery, VerifyRequest};
use crate::controller::audit::{AuditPage, AuditVerified};
use crate::store::AuditFilter;

use super::{Answered, within};

pub(in crate::console) async fn audit(call: Call<AuditQuery, NoBody>) -> Answered<Json<AuditPage>> {
    let AuditQuery { actor, action, object, since, before, limit } = call.query;
    let filter = AuditFilter { actor, action, object, outcome: None, since, before };
    Ok(Json(call.controller.audit(&call.principal, &filter, within(limit, 100, 1000)?).await?))
}

pub(in crate::console) async fn verify_audit(
    call: Call<Nothing, Json<VerifyRequest>>,
) -> Answered<Json<AuditVerified>> {
    let wrong = |_| Problem::request("`head` is not a number, a colon, and 64 hexadecimal digits", "");
    let head = call.body.0.head.as_deref().map(|head| head.parse::<Head>().map_err(wrong)).transpose()?;
    Ok(Json(call.controller.verify_audit(&call.principal, head).await?))
}
