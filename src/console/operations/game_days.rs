//! Game days.

use std::time::Duration;

use crate::console::endpoint::{Call, Created, Json, NoBody, Nothing, Text};
use crate::console::problem::Problem;
use crate::console::requests::{
    AnswerRequest, ApprovalRequest, FindingRequest, GameDayRequest, JournalQuery, NoteRequest, PageQuery, Reason,
    SheetForm, SheetQuery,
};
use crate::controller::game_days::{GameDayDetails, GameDayJournal, GameDaysPage};
use crate::game_day::sheet;

use super::{Answered, of_a_page, reason, told};

pub(in crate::console) async fn submit_game_day(
    call: Call<Nothing, Json<GameDayRequest>>,
) -> Answered<Created<GameDayDetails>> {
    Ok(Created(call.controller.submit_game_day(&call.principal, &call.body.0.document).await?))
}

pub(in crate::console) async fn game_days(call: Call<PageQuery, NoBody>) -> Answered<Json<GameDaysPage>> {
    let limit = of_a_page(&call.query)?;
    Ok(Json(call.controller.game_days(&call.principal, call.query.after.as_deref(), limit).await?))
}

pub(in crate::console) async fn game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.game_day(&call.principal, call.part("gameDay")).await?))
}

pub(in crate::console) async fn game_day_journal(call: Call<JournalQuery, NoBody>) -> Answered<Json<GameDayJournal>> {
    let JournalQuery { from, wait } = call.query;
    let wait = Duration::from_secs(wait);
    Ok(Json(call.controller.game_day_journal(&call.principal, call.part("gameDay"), from, wait).await?))
}

pub(in crate::console) async fn game_day_sheet(call: Call<SheetQuery, NoBody>) -> Answered<Text> {
    let (format, media) = match call.query.format {
        SheetForm::Json => (sheet::Format::Json, "application/json"),
        SheetForm::Markdown => (sheet::Format::Markdown, "text/markdown; charset=utf-8"),
        SheetForm::Html => (sheet::Format::Html, "text/html; charset=utf-8"),
        SheetForm::Postmortem => (sheet::Format::PostmortemMarkdown, "text/markdown; charset=utf-8"),
        SheetForm::PostmortemHtml => (sheet::Format::PostmortemHtml, "text/html; charset=utf-8"),
    };
    Ok(Text { media, text: call.controller.game_day_sheet(&call.principal, call.part("gameDay"), format).await? })
}

pub(in crate::console) async fn approve_game_day(
    call: Call<Nothing, Json<ApprovalRequest>>,
) -> Answered<Json<GameDayDetails>> {
    let hash = &call.body.0.plan_hash;
    Ok(Json(call.controller.approve_game_day(&call.principal, call.part("gameDay"), hash).await?))
}

pub(in crate::console) async fn withdraw_game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.withdraw_game_day(&call.principal, call.part("gameDay")).await?))
}

pub(in crate::console) async fn replan_game_day(call: Call<Nothing, NoBody>) -> Answered<Json<GameDayDetails>> {
    Ok(Json(call.controller.replan_game_day(&call.principal, call.part("gameDay")).await?))
}

pub(in crate::console) async fn answer_game_day(
    call: Call<Nothing, Json<AnswerRequest>>,
) -> Answered<Json<GameDayDetails>> {
    let AnswerRequest { to, answer, remark } = call.body.0.clone();
    if remark.as_ref().is_some_and(|remark| remark.chars().count() > 500) {
        return Err(Problem::request("a remark has at most 500 letters", "a note may be longer"));
    }
    let day = call.part("gameDay");
    Ok(Json(call.controller.answer_game_day(&call.principal, day, to, answer, remark).await?))
}

pub(in crate::console) async fn note_game_day(
    call: Call<Nothing, Json<NoteRequest>>,
) -> Answered<Json<GameDayDetails>> {
    let Json(NoteRequest { text, tags }) = &call.body;
    let is_tag = |tag: &String| (1..=64).contains(&tag.len()) && !tag.contains(char::is_whitespace);
    if tags.len() > 10 || !tags.iter().all(is_tag) {
        return Err(Problem::request("a note has at most 10 tags, each one word", "as in `detected`"));
    }
    let text = told(text)?;
    Ok(Json(call.controller.note_game_day(&call.principal, call.part("gameDay"), text, tags).await?))
}

pub(in crate::console) async fn find_in_game_day(
    call: Call<Nothing, Json<FindingRequest>>,
) -> Answered<Json<GameDayDetails>> {
    let Json(request) = call.body.clone();
    let text = told(&request.text)?.to_owned();
    let finding = FindingRequest { text, ..request }.by(call.principal.name.clone());
    Ok(Json(call.controller.find_in_game_day(&call.principal, call.part("gameDay"), finding).await?))
}

pub(in crate::console) async fn abort_game_day(call: Call<Nothing, Json<Reason>>) -> Answered<Json<GameDayDetails>> {
    let reason = reason(&call.body.0)?;
    Ok(Json(call.controller.abort_game_day(&call.principal, call.part("gameDay"), reason).await?))
}
