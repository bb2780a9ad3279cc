//! Plans and runs.

use std::time::Duration;

use crate::console::endpoint::{Call, Created, Json, NoBody, Nothing, Text};
use crate::console::problem::Problem;
use crate::console::requests::{
    ApprovalRequest, JournalQuery, PlanRequest, Reason, ReportFormat, ReportQuery, RunRequest, RunsQuery,
};
use crate::controller::journal::JournalPage;
use crate::controller::plan::PlanAnswer;
use crate::controller::runs::{RunDetails, RunView, RunsPage, RunsWanted};
use crate::controller::submit::Submission;
use crate::report::Format;
use crate::store::runs::RunFilter;

use super::{Answered, COLUMNS, labels_of, of_a_page, reason};

pub(in crate::console) async fn plan(call: Call<Nothing, Json<PlanRequest>>) -> Answered<Json<PlanAnswer>> {
    let Json(PlanRequest { document, seed }) = &call.body;
    Ok(Json(call.controller.plan(&call.principal, document, *seed).await?))
}

pub(in crate::console) async fn submit(call: Call<Nothing, Json<RunRequest>>) -> Answered<Created<RunView>> {
    let Json(RunRequest { document, seed, approvals, plan_hash, not_before, deadline }) = call.body;
    let submission = Submission { document, seed, approvals, plan_hash, not_before, deadline };
    let run = match &call.key {
        Some(key) => call.controller.submit_once(&call.principal, key, submission).await?,
        None => call.controller.submit(&call.principal, submission).await?,
    };
    Ok(Created(run))
}

pub(in crate::console) async fn runs(call: Call<RunsQuery, NoBody>) -> Answered<Json<RunsPage>> {
    let RunsQuery { state, experiment, schedule, game_day, requested_by, labels, page } = call.query;
    let mut states = Vec::new();
    for word in state.iter().flat_map(|words| words.split(',')) {
        states.push(word.trim().parse().map_err(|_| {
            let hint = "queued, waiting-for-approval, claimed, running, closing, finished, cancelled";
            Problem::request(format!("`{word}` is no state of a run"), hint)
        })?);
    }
    let labels = labels_of(labels.as_deref().unwrap_or_default())?;
    let filter = RunFilter { states, experiment, requested_by, schedule, game_day, controller: None, labels };
    let wanted = RunsWanted { filter, limit: of_a_page(&page)?, after: page.after };
    Ok(Json(call.controller.runs(&call.principal, &wanted).await?))
}

pub(in crate::console) async fn run(call: Call<Nothing, NoBody>) -> Answered<Json<RunDetails>> {
    Ok(Json(call.controller.run(&call.principal, call.part("run")).await?))
}

pub(in crate::console) async fn report(call: Call<ReportQuery, NoBody>) -> Answered<Text> {
    let (format, media) = match call.query.format {
        ReportFormat::Json => (Format::Json, "application/json"),
        ReportFormat::Human => (Format::Human { colour: false, width: COLUMNS }, "text/plain; charset=utf-8"),
        ReportFormat::Html => (Format::Html, "text/html; charset=utf-8"),
        ReportFormat::Junit => (Format::Junit, "application/xml"),
        ReportFormat::Markdown => (Format::Markdown, "text/markdown; charset=utf-8"),
    };
    Ok(Text { media, text: call.controller.report(&call.principal, call.part("run"), format).await? })
}

pub(in crate::console) async fn journal(call: Call<JournalQuery, NoBody>) -> Answered<Json<JournalPage>> {
    let JournalQuery { from, wait } = call.query;
    let wait = Duration::from_secs(wait);
    Ok(Json(call.controller.journal(&call.principal, call.part("run"), from, wait).await?))
}

pub(in crate::console) async fn approve(call: Call<Nothing, Json<ApprovalRequest>>) -> Answered<Json<RunDetails>> {
    Ok(Json(call.controller.approve(&call.principal, call.part("run"), &call.body.0.plan_hash).await?))
}

pub(in crate::console) async fn cancel(call: Call<Nothing, Json<Reason>>) -> Answered<Json<RunView>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.cancel(&call.principal, call.part("run"), reason).await?))
}
