//! The game days of a controller.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use http::Method;

use super::hold;
use super::terminal::{Terminal, listen};
use crate::cli::client::game_day::path;
use crate::cli::client::{Client, ControllerFlags, query};
use crate::cli::failure::Failure;
use crate::cli::flags::{DataFormat, Global};
use crate::cli::{output, table};
use crate::console::{AnswerRequest, ApprovalRequest, FindingRequest, GameDayRequest, NoteRequest, Reason};
use crate::controller::game_days::{GameDayDetails, GameDayStep, GameDayView, GameDaysPage};
use crate::controller::identity::Identity;
use crate::game_day::drive::Voices;
use crate::game_day::journal::Journal;
use crate::game_day::machine::{Answer, Asked, FindingSeverity};
use crate::game_day::sheet::{Format, Sheet};
use crate::report::notation;

/// A controller.
#[derive(Debug, Args)]
pub(super) struct OnController {
    /// The controller
    #[command(flatten)]
    controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    format: DataFormat,
}

/// Which game days are listed.
#[derive(Debug, Args)]
pub(super) struct List {
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: u32,
    /// The controller, and how to print
    #[command(flatten)]
    on: OnController,
}

/// A game day of a controller.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its id
    #[arg(value_name = "GAMEDAY")]
    id: String,
    /// The controller, and how to print
    #[command(flatten)]
    on: OnController,
}

/// An approval.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The hash of the plan that you have looked at (`faultline gameday show`)
    #[arg(long, value_name = "HASH")]
    plan_hash: String,
    /// Which game day
    #[command(flatten)]
    named: Named,
}

/// An answer.
#[derive(Debug, Args)]
pub(super) struct Say {
    /// To what, as `faultline gameday show` says; refused if something else is asked by now [default: what is asked now]
    #[arg(long, value_name = "ASKED")]
    to: Option<Asked>,
    /// What you say with it, for the run sheet
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    /// Which game day
    #[command(flatten)]
    named: Named,
}

/// A note.
#[derive(Debug, Args)]
pub(super) struct Note {
    /// Which game day
    #[command(flatten)]
    named: Named,
    /// What you see
    #[arg(value_name = "TEXT")]
    text: String,
    /// A tag; `detected`, `mitigated` and `recovered` mark these moments of the experiment that runs
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

/// A finding.
#[derive(Debug, Args)]
pub(super) struct Find {
    /// Which game day
    #[command(flatten)]
    named: Named,
    /// What somebody must see to
    #[arg(value_name = "TEXT")]
    text: String,
    /// How bad it is: high, medium or low
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = severity)]
    severity: FindingSeverity,
    /// Who sees to it
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// Until when, as in 2026-12-24
    #[arg(long, value_name = "DATE")]
    due: Option<jiff::civil::Date>,
}

/// The end of a game day.
#[derive(Debug, Args)]
pub(super) struct Abort {
    /// Why, for everybody whom it concerns
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Which game day
    #[command(flatten)]
    named: Named,
}

fn severity(text: &str) -> Result<FindingSeverity, String> {
    let known = FindingSeverity::ALL.into_iter().find(|known| known.name() == text);
    known.ok_or_else(|| format!("`{text}` is no severity: high, medium or low"))
}

pub(super) fn list(List { limit, on }: List) -> anyhow::Result<ExitCode> {
    let page: GameDaysPage =
        on.controller.client()?.get(&format!("/v1/game-days{}", query([("limit", Some(limit.to_string()))])))?;
    output::either(on.format.json, &page, || human(&page.game_days))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show(Named { id, on }: Named) -> anyhow::Result<ExitCode> {
    let details: GameDayDetails = on.controller.client()?.get(&path(&id, ""))?;
    output::either(on.format.json, &details, || one(&details))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn approve(Approve { plan_hash, named }: Approve) -> anyhow::Result<ExitCode> {
    done(&named, Method::POST, "/approval", Some(&ApprovalRequest { plan_hash }), |day| {
        let given = day.approvals.iter().filter(|approval| approval.counts).count();
        format!("approved, {given} of {}", day.approvals_required)
    })
}

pub(super) fn withdraw(named: Named) -> anyhow::Result<ExitCode> {
    done(&named, Method::DELETE, "/approval", None::<&()>, |_| "the approval is taken back".into())
}

pub(super) fn replan(named: Named) -> anyhow::Result<ExitCode> {
    done(&named, Method::POST, "/plan", None::<&()>, |day| format!("the plan is {}", day.plan_hash))
}

pub(super) fn answer(Say { to, remark, named }: Say, answer: Answer) -> anyhow::Result<ExitCode> {
    let to = match to {
        Some(to) => to,
        None => {
            let day: GameDayDetails = named.on.controller.client()?.get(&path(&named.id, ""))?;
            day.asks.ok_or_else(|| {
                Failure::precondition(format!("game day {} asks nothing now: it is {}", named.id, day.game_day.stage))
            })?
        }
    };
    done(&named, Method::POST, "/answer", Some(&AnswerRequest { to, answer, remark }), |_| format!("{to} is answered"))
}

pub(super) fn note(Note { named, text, tags }: Note) -> anyhow::Result<ExitCode> {
    done(&named, Method::POST, "/notes", Some(&NoteRequest { text, tags }), |_| "noted".into())
}

pub(super) fn find(Find { named, text, severity, owner, due }: Find) -> anyhow::Result<ExitCode> {
    let finding = FindingRequest { text, severity, owner, due };
    done(&named, Method::POST, "/findings", Some(&finding), |_| "written down".into())
}

pub(super) fn abort(Abort { reason, named }: Abort) -> anyhow::Result<ExitCode> {
    done(&named, Method::POST, "/abort", Some(&Reason { reason }), |_| "it is ended".into())
}

fn done(
    Named { id, on }: &Named,
    method: Method,
    then: &str,
    body: Option<&impl serde::Serialize>,
    told: impl FnOnce(&GameDayDetails) -> String,
) -> anyhow::Result<ExitCode> {
    let day: GameDayDetails = on.controller.client()?.send(method, &path(id, then), body)?;
    output::either(on.format.json, &day, || format!("{}; game day {id} {}\n", told(&day), standing(&day)))?;
    Ok(ExitCode::SUCCESS)
}

/// The sheet of a game day of a controller.
pub(super) fn sheet(client: &Client, id: &str, format: &str) -> anyhow::Result<String> {
    Ok(client.text(&path(id, &format!("/sheet?format={format}")))?)
}

/// Asks a controller to hold a game day, and follows it to its end.
pub(super) fn run(client: &Client, arguments: hold::Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let hold::Prepared { document, text } = hold::prepare(&arguments, global)?;
    let me: Identity = client.get("/v1/identity")?;
    let me = me.actor.trim_start_matches("token/").to_owned();
    let script = arguments.answers.as_deref().map(|file| hold::script(file, Some(&me))).transpose()?;
    let day: GameDayDetails =
        client.send(Method::POST, "/v1/game-days", Some(&GameDayRequest { document: document.clone() }))?;
    let id = day.game_day.id.clone();
    if arguments.detach {
        output::print(&format!("{id}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !global.quiet {
        let steps: String = day.experiments.iter().enumerate().map(|(number, one)| step(number, one)).collect();
        output::tell(&format!("game day {id} on {}\n{steps}", client.url()));
    }
    let voices = match script {
        Some(script) => Some(Voices::Script(script)),
        // Others may speak elsewhere: without a terminal nobody does here.
        None => std::io::stdin().is_terminal().then(|| Voices::Live(listen(Some(me)))),
    };
    let entries = client.hold_game_day(&id, voices, &mut Terminal::of_controller(global))?;
    let sheet = Sheet::from_entries(&entries)?;
    if let Some(out) = &arguments.out {
        let mut journal = Journal::create(out, &id, &text).map_err(|error| super::told(&error))?;
        for entry in &entries {
            journal.append(entry).map_err(|error| super::told(&error))?;
        }
        sheet.write_into(journal.folder()).context("cannot write the sheets")?;
    }
    output::print(&sheet.render(Format::Markdown)?)?;
    Ok(ExitCode::from(sheet.exit_code))
}

fn step(number: usize, one: &GameDayStep) -> String {
    let GameDayStep { name, faults, plan_hash, .. } = one;
    let short: String = plan_hash.trim_start_matches("sha256:").chars().take(12).collect();
    format!("  {}. {} ({short}): {}\n", number + 1, notation::one_line(name), faults.join("; "))
}

fn human(days: &[GameDayView]) -> String {
    if days.is_empty() {
        return "no game days: `faultline gameday run FILE --controller URL` holds one\n".into();
    }
    let mut lines = table::table(&["game day", "stage", "submitted", "by", "title"]);
    for day in days {
        let submitted = day.opened_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let title = notation::one_line(&day.title);
        lines.add_row([day.id.clone(), day.stage.clone(), submitted, day.requested_by.clone(), title]);
    }
    table::text(&mut lines)
}

/// Where it stands, behind its id.
fn standing(day: &GameDayDetails) -> String {
    let stage = day.game_day.stage.as_str();
    match (day.asks, &day.because, day.exit_code) {
        (_, Some(because), _) => format!("is {stage}: {because}"),
        (Some(Asked::Approvals), ..) => format!("waits for {} approvals", day.approvals_missing),
        (Some(Asked::Question(item)), ..) => {
            let ask = day.checklist.get(item).map_or("", |question| question.ask.as_str());
            format!("asks question-{}: {}", item + 1, notation::one_line(ask))
        }
        (Some(asked @ (Asked::Before(_) | Asked::After(_) | Asked::Plan(_))), ..) => format!("holds: {asked}"),
        (Some(asked @ Asked::Alerts(_)), ..) => format!("waits for alerts: {asked}"),
        (None, None, Some(code)) => format!("is {stage}, exit code {code}"),
        (None, None, None) => format!("is {stage}"),
    }
}

fn one(day: &GameDayDetails) -> String {
    let view = &day.game_day;
    let mut text = format!("{} {}: {}\n", view.id, view.name, notation::one_line(&view.title));
    text += &format!("  it {}\n  asked for by {} at {}\n", standing(day), view.requested_by, view.opened_at);
    if let Some((from, until)) = day.window {
        text += &format!("  window: {from} to {until}\n");
    }
    text += &format!("  plan {}\n", day.plan_hash);
    if day.approvals_required > 0 {
        let of = day.may_approve.join(", ");
        text +=
            &format!("  approvals: {} required, of {of}; {} missing\n", day.approvals_required, day.approvals_missing);
        for approval in &day.approvals {
            let counts = match (&approval.void, approval.counts) {
                (Some(why), _) => format!("does not count: {why}"),
                (None, true) => format!("until {}", approval.expires_at),
                (None, false) => "has expired".into(),
            };
            text += &format!("    {} at {}, {counts}\n", approval.by, approval.at);
        }
    }
    for (number, question) in day.checklist.iter().enumerate() {
        let answer = match (question.answer, &question.by) {
            (Some(answer), Some(by)) => format!("{} by {by}", notation_of(answer)),
            _ => "not answered".into(),
        };
        let of = question.of.as_deref().unwrap_or("anybody");
        text += &format!("  question-{} ({of}): {} {answer}\n", number + 1, notation::one_line(&question.ask));
    }
    for (number, experiment) in day.experiments.iter().enumerate() {
        text += &step(number, experiment);
        let became = match (&experiment.verdict, &experiment.run, experiment.skipped) {
            (Some(verdict), ..) => {
                let because = experiment.because.as_deref().unwrap_or_default();
                format!("{}: {because}", notation::run_verdict(*verdict))
            }
            (None, Some(run), _) => format!("run {run}"),
            (None, None, true) => "left out".into(),
            (None, None, false) => continue,
        };
        text += &format!("     {}\n", notation::one_line(&became));
    }
    text
}

fn notation_of(answer: Answer) -> &'static str {
    match answer {
        Answer::Go => "go",
        Answer::NoGo => "no-go",
        Answer::Skip => "skip",
    }
}
