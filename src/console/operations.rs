//! What each endpoint does: from the texts of a request to one call of the controller, and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use super::endpoint::{Answer, Call, Created, Exposition, Json, NoBody, Nothing, Success, Text, json};
use super::problem::Problem;
use super::requests::{
    AnswerRequest, ApiTokenRequest, ApprovalRequest, AuditQuery, EnrolmentTokenRequest, FindingRequest, FiresQuery,
    GameDayRequest, JournalQuery, NoteRequest, PageQuery, PlanRequest, Reason, ReportFormat, ReportQuery, RunRequest,
    RunsQuery, ScheduleRequest, SheetForm, SheetQuery, VerifyRequest,
};
use crate::audit::Head;
use crate::controller::Controller;
use crate::controller::agents::{AgentDetails, AgentsList, Revoked};
use crate::controller::api_tokens::{ApiTokenView, ApiTokensList, MadeApiToken};
use crate::controller::audit::{AuditPage, AuditVerified};
use crate::controller::controllers::ControllersList;
use crate::controller::enrolment::{EnrolmentTokenView, EnrolmentTokensList, MadeEnrolmentToken};
use crate::controller::game_days::{GameDayDetails, GameDayJournal, GameDaysPage};
use crate::controller::halt::{HaltAnswer, HaltState, ReleaseAnswer};
use crate::controller::identity::Identity;
use crate::controller::journal::JournalPage;
use crate::controller::plan::PlanAnswer;
use crate::controller::ready::Readiness;
use crate::controller::rotation::{RotationRequest, RotationView};
use crate::controller::runs::{RunDetails, RunView, RunsPage, RunsWanted};
use crate::controller::schedules::{FiresList, ScheduleDetails, ScheduleView, SchedulesList};
use crate::controller::submit::Submission;
use crate::controller::unclean::Acknowledged;
use crate::game_day::sheet;
use crate::report::Format;
use crate::store::AuditFilter;
use crate::store::runs::RunFilter;

type Answered<T> = Result<T, Problem>;

/// So many columns has a report for people.
const COLUMNS: usize = 100;

// ---- without a token

/// That the process lives.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(super) struct Alive {
    /// Always true: a process that does not live does not answer.
    alive: bool,
}

pub(super) async fn alive(_: Arc<Controller>) -> Answered<Json<Alive>> {
    Ok(Json(Alive { alive: true }))
}

/// Whether all is well; 503 if it is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready(Readiness);

impl Answer for Ready {
    const SUCCESS: Success = Json::<Readiness>::SUCCESS;

    fn into_response(self) -> Result<Response, Problem> {
        json(if self.0.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &self.0)
    }
}

pub(super) async fn ready(controller: Arc<Controller>) -> Answered<Ready> {
    Ok(Ready(controller.readiness().await))
}

// ---- about the controller

pub(super) async fn identity(call: Call<Nothing, NoBody>) -> Answered<Json<Identity>> {
    Ok(Json(call.controller.identity(&call.principal)))
}

pub(super) async fn controllers(call: Call<Nothing, NoBody>) -> Answered<Json<ControllersList>> {
    Ok(Json(call.controller.controllers(&call.principal).await?))
}

pub(super) async fn metrics(call: Call<Nothing, NoBody>) -> Answered<Exposition> {
    Ok(Exposition(call.controller.exposition(&call.principal).await?))
}

/// The description itself, of which no schema says more than that it is an object.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub(super) struct Description(serde_json::Map<String, serde_json::Value>);

pub(super) async fn description(_: Call<Nothing, NoBody>) -> Answered<Json<Description>> {
    match super::describe::description() {
        serde_json::Value::Object(description) => Ok(Json(Description(description))),
        _ => Err(Problem::ours("the description is no object")),
    }
}

// ---- the authority

pub(super) async fn authority(call: Call<Nothing, NoBody>) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.rotation(&call.principal).await?))
}

pub(super) async fn begin_rotation(call: Call<Nothing, Json<RotationRequest>>) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.begin_rotation(&call.principal, call.body.0).await?))
}

pub(super) async fn switch_rotation(call: Call<Nothing, Json<RotationRequest>>) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.switch_rotation(&call.principal, call.body.0).await?))
}

pub(super) async fn finish_rotation(call: Call<Nothing, Json<RotationRequest>>) -> Answered<Json<RotationView>> {
    Ok(Json(call.controller.finish_rotation(&call.principal, call.body.0).await?))
}

// ---- runs

pub(super) async fn plan(call: Call<Nothing, Json<PlanRequest>>) -> Answered<Json<PlanAnswer>> {
    let Json(PlanRequest { document, seed }) = &call.body;
    Ok(Json(call.controller.plan(&call.principal, document, *seed).await?))
}

pub(super) async fn submit(call: Call<Nothing, Json<RunRequest>>) -> Answered<Created<RunView>> {
    let Json(RunRequest { document, seed, approvals, plan_hash, not_before, deadline }) = call.body;
    let submission = Submission { document, seed, approvals, plan_hash, not_before, deadline };
    let run = match &call.key {
        Some(key) => call.controller.submit_once(&call.principal, key, submission).await?,
        None => call.controller.submit(&call.principal, submission).await?,
    };
    Ok(Created(run))
}

pub(super) async fn runs(call: Call<RunsQuery, NoBody>) -> Answered<Json<RunsPage>> {
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

pub(super) async fn run(call: Call<Nothing, NoBody>) -> Answered<Json<RunDetails>> {
    Ok(Json(call.controller.run(&call.principal, call.part("run")).await?))
}

pub(super) async fn report(call: Call<ReportQuery, NoBody>) -> Answered<Text> {
    let (format, media) = match call.query.format {
        ReportFormat::Json => (Format::Json, "application/json"),
        ReportFormat::Human => (Format::Human { colour: false, width: COLUMNS }, "text/plain; charset=utf-8"),
        ReportFormat::Html => (Format::Html, "text/html; charset=utf-8"),
        ReportFormat::Junit => (Format::Junit, "application/xml"),
        ReportFormat::Markdown => (Format::Markdown, "text/markdown; charset=utf-8"),
    };
    Ok(Text { media, text: call.controller.report(&call.principal, call.part("run"), format).await? })
}

pub(super) async fn journal(call: Call<JournalQuery, NoBody>) -> Answered<Json<JournalPage>> {
    let JournalQuery { from, wait } = call.query;
    let wait = Duration::from_secs(wait);
    Ok(Json(call.controller.journal(&call.principal, call.part("run"), from, wait).await?))
}

pub(super) async fn approve(call: Call<Nothing, Json<ApprovalRequest>>) -> Answered<Json<RunDetails>> {
    Ok(Json(call.controller.approve(&call.principal, call.part("run"), &call.body.0.plan_hash).await?))
}

pub(super) async fn cancel(call: Call<Nothing, Json<Reason>>) -> Answered<Json<RunView>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.cancel(&call.principal, call.part("run"), reason).await?))
}

// ---- agents

pub(super) async fn agents(call: Call<PageQuery, NoBody>) -> Answered<Json<AgentsList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.agents(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(super) async fn agent(call: Call<Nothing, NoBody>) -> Answered<Json<AgentDetails>> {
    Ok(Json(call.controller.agent(&call.principal, call.part("agent")).await?))
}

pub(super) async fn revoke_agent(call: Call<Nothing, Json<Reason>>) -> Answered<Json<Revoked>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.revoke_agent(&call.principal, call.part("agent"), reason).await?))
}

pub(super) async fn acknowledge_agent(call: Call<Nothing, Json<Reason>>) -> Answered<Json<Acknowledged>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.acknowledge_agent(&call.principal, call.part("agent"), reason).await?))
}

pub(super) async fn enrolment_tokens(call: Call<PageQuery, NoBody>) -> Answered<Json<EnrolmentTokensList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.enrolment_tokens(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(super) async fn create_enrolment_token(
    call: Call<Nothing, Json<EnrolmentTokenRequest>>,
) -> Answered<Created<MadeEnrolmentToken>> {
    let Json(EnrolmentTokenRequest { labels, lasts, uses }) = call.body;
    let made = call.controller.create_enrolment_token(&call.principal, labels, lasts.duration(), uses).await?;
    Ok(Created(made))
}

pub(super) async fn revoke_enrolment_token(call: Call<Nothing, NoBody>) -> Answered<Json<EnrolmentTokenView>> {
    Ok(Json(call.controller.revoke_enrolment_token(&call.principal, call.part("token")).await?))
}

// ---- tokens of the API

pub(super) async fn api_tokens(call: Call<PageQuery, NoBody>) -> Answered<Json<ApiTokensList>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.api_tokens(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(super) async fn create_api_token(call: Call<Nothing, Json<ApiTokenRequest>>) -> Answered<Created<MadeApiToken>> {
    let Json(ApiTokenRequest { name, role, scope, lasts }) = call.body;
    let lasts = lasts.map(|lasts| lasts.duration());
    Ok(Created(call.controller.create_api_token(&call.principal, &name, &role, &scope, lasts).await?))
}

pub(super) async fn revoke_api_token(call: Call<Nothing, NoBody>) -> Answered<Json<ApiTokenView>> {
    Ok(Json(call.controller.revoke_api_token(&call.principal, call.part("token")).await?))
}

// ---- schedules

pub(super) async fn put_schedule(call: Call<Nothing, Json<ScheduleRequest>>) -> Answered<Json<ScheduleView>> {
    let Json(ScheduleRequest { document, version }) = &call.body;
    Ok(Json(call.controller.put_schedule(&call.principal, document, *version).await?))
}

pub(super) async fn schedules(call: Call<Nothing, NoBody>) -> Answered<Json<SchedulesList>> {
    Ok(Json(call.controller.schedules(&call.principal).await?))
}

pub(super) async fn schedule(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleDetails>> {
    Ok(Json(call.controller.schedule(&call.principal, call.part("schedule")).await?))
}

pub(super) async fn fires(call: Call<FiresQuery, NoBody>) -> Answered<Json<FiresList>> {
    let FiresQuery { from, until, limit } = call.query;
    let most = usize::try_from(within(limit, 100, 1000)?).unwrap_or(usize::MAX);
    Ok(Json(call.controller.fires(&call.principal, call.part("schedule"), from, until, most).await?))
}

pub(super) async fn suspend(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleView>> {
    Ok(Json(call.controller.suspend_schedule(&call.principal, call.part("schedule"), true).await?))
}

pub(super) async fn resume(call: Call<Nothing, NoBody>) -> Answered<Json<ScheduleView>> {
    Ok(Json(call.controller.suspend_schedule(&call.principal, call.part("schedule"), false).await?))
}

/// What is not there any more.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(super) struct Deleted {
    /// Its name.
    deleted: String,
}

pub(super) async fn delete_schedule(call: Call<Nothing, NoBody>) -> Answered<Json<Deleted>> {
    let name = call.part("schedule").to_owned();
    call.controller.delete_schedule(&call.principal, &name).await?;
    Ok(Json(Deleted { deleted: name }))
}

// ---- game days

pub(super) async fn submit_game_day(call: Call<Nothing, Json<GameDayRequest>>) -> Answered<Created<GameDayDetails>> {
    Ok(Created(call.controller.submit_game_day(&call.principal, &call.body.0.document).await?))
}

pub(super) async fn game_days(call: Call<PageQuery, NoBody>) -> Answered<Json<GameDaysPage>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.game_days(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(super) async fn game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.game_day(&call.principal, call.part("gameDay")).await?))
}

pub(super) async fn game_day_journal(call: Call<JournalQuery, NoBody>) -> Answered<Json<GameDayJournal>> {
    let JournalQuery { from, wait } = call.query;
    let wait = Duration::from_secs(wait);
    Ok(Json(call.controller.game_day_journal(&call.principal, call.part("gameDay"), from, wait).await?))
}

pub(super) async fn game_day_sheet(call: Call<SheetQuery, NoBody>) -> Answered<Text> {
    let (format, media) = match call.query.format {
        SheetForm::Json => (sheet::Format::Json, "application/json"),
        SheetForm::Markdown => (sheet::Format::Markdown, "text/markdown; charset=utf-8"),
        SheetForm::Html => (sheet::Format::Html, "text/html; charset=utf-8"),
        SheetForm::Postmortem => (sheet::Format::PostmortemMarkdown, "text/markdown; charset=utf-8"),
        SheetForm::PostmortemHtml => (sheet::Format::PostmortemHtml, "text/html; charset=utf-8"),
    };
    Ok(Text { media, text: call.controller.game_day_sheet(&call.principal, call.part("gameDay"), format).await? })
}

pub(super) async fn approve_game_day(call: Call<Nothing, Json<ApprovalRequest>>) -> Answered<Json<GameDayDetails>> {
    let hash = &call.body.0.plan_hash;
    Ok(Json(call.controller.approve_game_day(&call.principal, call.part("gameDay"), hash).await?))
}

pub(super) async fn withdraw_game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.withdraw_game_day(&call.principal, call.part("gameDay")).await?))
}

pub(super) async fn replan_game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.replan_game_day(&call.principal, call.part("gameDay")).await?))
}

pub(super) async fn answer_game_day(call: Call<Nothing, Json<AnswerRequest>>) -> Answered<Json<GameDayDetails>> {
    let AnswerRequest { to, answer, remark } = call.body.0.clone();
    if remark.as_ref().is_some_and(|remark| remark.chars().count() > 500) {
        return Err(Problem::request("a remark has at most 500 letters", "a note may be longer"));
    }
    let day = call.part("gameDay");
    Ok(Json(call.controller.answer_game_day(&call.principal, day, to, answer, remark).await?))
}

pub(super) async fn note_game_day(call: Call<Nothing, Json<NoteRequest>>) -> Answered<Json<GameDayDetails>> {
    let Json(NoteRequest { text, tags }) = &call.body;
    let is_tag = |tag: &String| (1..=64).contains(&tag.len()) && !tag.contains(char::is_whitespace);
    if tags.len() > 10 || !tags.iter().all(is_tag) {
        return Err(Problem::request("a note has at most 10 tags, each one word", "as in `detected`"));
    }
    let text = told(text)?;
    Ok(Json(call.controller.note_game_day(&call.principal, call.part("gameDay"), text, tags).await?))
}

pub(super) async fn find_in_game_day(call: Call<Nothing, Json<FindingRequest>>) -> Answered<Json<GameDayDetails>> {
    let Json(request) = call.body.clone();
    let text = told(&request.text)?.to_owned();
    let finding = FindingRequest { text, ..request }.by(call.principal.name.clone());
    Ok(Json(call.controller.find_in_game_day(&call.principal, call.part("gameDay"), finding).await?))
}

pub(super) async fn abort_game_day(call: Call<Nothing, Json<Reason>>) -> Answered<Json<GameDayDetails>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.abort_game_day(&call.principal, call.part("gameDay"), reason).await?))
}

// ---- halt

pub(super) async fn halt_state(call: Call<Nothing, NoBody>) -> Answered<Json<HaltState>> {
    Ok(Json(call.controller.halt_state(&call.principal).await?))
}

pub(super) async fn halt(call: Call<Nothing, Json<Reason>>) -> Answered<Json<HaltAnswer>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.halt(&call.principal, reason).await?))
}

pub(super) async fn release(call: Call<Nothing, NoBody>) -> Answered<Json<ReleaseAnswer>> {
    Ok(Json(call.controller.release(&call.principal).await?))
}

// ---- the audit log

pub(super) async fn audit(call: Call<AuditQuery, NoBody>) -> Answered<Json<AuditPage>> {
    let AuditQuery { actor, action, object, since, before, limit } = call.query;
    let filter = AuditFilter { actor, action, object, outcome: None, since, before };
    Ok(Json(call.controller.audit(&call.principal, &filter, within(limit, 100, 1000)?).await?))
}

pub(super) async fn verify_audit(call: Call<Nothing, Json<VerifyRequest>>) -> Answered<Json<AuditVerified>> {
    let wrong = |_| Problem::request("`head` is not a number, a colon, and 64 hexadecimal digits", "");
    let head = call.body.0.head.as_deref().map(|head| head.parse::<Head>().map_err(wrong)).transpose()?;
    Ok(Json(call.controller.verify_audit(&call.principal, head).await?))
}

// ---- what several of them need

fn reason(given: &Reason) -> Answered<&str> {
    let reason = given.reason.trim();
    match reason.chars().count() {
        1..=500 => Ok(reason),
        _ => Err(Problem::request("a reason has 1 to 500 letters", "say it in a sentence, for those whom it concerns")),
    }
}

fn told(text: &str) -> Answered<&str> {
    let text = text.trim();
    match text.chars().count() {
        1..=2000 => Ok(text),
        _ => Err(Problem::request("this text has 1 to 2000 letters", "say what is seen")),
    }
}

/// How many are wanted on a page.
fn of_a_page(page: &PageQuery) -> Answered<u32> {
    within(page.limit, 50, 500)
}

fn within(limit: Option<u32>, usual: u32, most: u32) -> Answered<u32> {
    match limit.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(Problem::request(format!("`limit` is {limit}"), format!("1 to {most}"))),
    }
}

fn labels_of(text: &str) -> Answered<BTreeMap<String, String>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Problem::request(format!("`{pair}` is no label"), "as in `team=payments,tier=1`")),
        })
        .collect()
}
