//! The schedules of a controller.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use http::Method;

use super::{ApplyArguments, NamedOnController, OnController, ScheduleCommand};
use crate::cli::client::{Client, part};
use crate::cli::failure::Failure;
use crate::cli::flags::Global;
use crate::cli::{output, table};
use crate::console::ScheduleRequest;
use crate::controller::schedules::{ScheduleDetails, ScheduleView, SchedulesList};
use crate::document::Document;
use crate::document::findings::Surroundings;
use crate::document::load::{load, name_of};
use crate::schedule::document::ExperimentSource;

/// Asks the controller.
pub(super) fn run(command: ScheduleCommand, _: &Global) -> anyhow::Result<ExitCode> {
    match command {
        // Needs no controller, and was done before.
        ScheduleCommand::Preview(_) => {}
        ScheduleCommand::List(OnController { controller, format }) => {
            let list: SchedulesList = controller.client()?.get("/v1/schedules")?;
            output::either(format.json, &list, || human(&list.schedules))?;
        }
        ScheduleCommand::Show(NamedOnController { name, on }) => {
            let details: ScheduleDetails = on.controller.client()?.get(&path(&name, ""))?;
            output::either(on.format.json, &details, || one(&details))?;
        }
        ScheduleCommand::Apply(arguments) => apply(&arguments)?,
        ScheduleCommand::Suspend(named) => change(&named, "/suspend", "rests")?,
        ScheduleCommand::Resume(named) => change(&named, "/resume", "is awake")?,
        ScheduleCommand::Delete(NamedOnController { name, on }) => {
            let client = on.controller.client()?;
            let deleted: serde_json::Value = client.send(Method::DELETE, &path(&name, ""), None::<&()>)?;
            output::either(on.format.json, &deleted, || format!("schedule {name} is removed; its runs stay\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(name: &str, then: &str) -> String {
    format!("/v1/schedules/{}{then}", part(name))
}

fn change(named: &NamedOnController, then: &str, told: &str) -> anyhow::Result<()> {
    let NamedOnController { name, on } = named;
    let view: ScheduleView = on.controller.client()?.send(Method::POST, &path(name, then), None::<&()>)?;
    let next = next(&view);
    output::either(on.format.json, &view, || format!("schedule {name} {told}; next: {next}\n"))
}

fn next(view: &ScheduleView) -> String {
    match view.next_fire {
        Some(next) => next.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        None if view.suspended => "suspended".into(),
        None => "never".into(),
    }
}

/// Each schedule is sent with the text of its calendars, and with the experiment that it names.
fn apply(arguments: &ApplyArguments) -> anyhow::Result<()> {
    let ApplyArguments { file, set, on } = arguments;
    let texts = texts(file, set)?;
    if texts.is_empty() {
        let hint = "a schedule is a document with `kind: Schedule`";
        return Err(Failure::usage(format!("{} has no schedule", name_of(file))).hint(hint).into());
    }
    let client: Client = on.controller.client()?;
    let mut views = Vec::new();
    for document in texts {
        let request = ScheduleRequest { document, version: None };
        let view: ScheduleView = client.send(Method::PUT, "/v1/schedules", Some(&request))?;
        views.push(view);
    }
    output::either(on.format.json, &views, || {
        let line = |view: &ScheduleView| {
            let what = if view.version == 1 { "kept" } else { "changed" };
            format!("schedule {} is {what} (version {}); next: {}\n", view.name, view.version, next(view))
        };
        views.iter().map(line).collect()
    })
}

fn texts(file: &Path, set: &[crate::document::set::Setting]) -> anyhow::Result<Vec<String>> {
    let loaded = load(file, set)?;
    let mut texts = Vec::new();
    for one in &loaded {
        let Document::Schedule(schedule) = &one.document else { continue };
        let schedule = schedule.with_calendars(Surroundings::folder_of(file).as_deref())?;
        // JSON is YAML.
        let mut text = serde_json::to_string_pretty(&schedule).context("cannot write the schedule as JSON")?;
        if let ExperimentSource::Named(name) = &schedule.spec.experiment {
            let named = loaded.iter().find_map(|other| match &other.document {
                Document::Experiment(experiment) if experiment.metadata.name == *name => Some(experiment),
                _ => None,
            });
            let Some(experiment) = named else {
                let message = format!(
                    "schedule {} runs the experiment `{name}`, which is not in {}",
                    schedule.metadata.name,
                    name_of(file)
                );
                return Err(Failure::usage(message)
                    .hint("put the experiment into the same file, after a line `---`")
                    .into());
            };
            text += "\n---\n";
            text += &serde_json::to_string_pretty(experiment).context("cannot write the experiment as JSON")?;
        }
        texts.push(text + "\n");
    }
    Ok(texts)
}

fn human(schedules: &[ScheduleView]) -> String {
    if schedules.is_empty() {
        return "no schedules: `faultline schedule apply FILE` keeps one\n".into();
    }
    let mut lines = table::table(&["schedule", "next", "last", "changed by"]);
    for view in schedules {
        let last = view.last_fire.map_or_else(|| "never".into(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        lines.add_row([view.name.clone(), next(view), last, view.changed_by.clone()]);
    }
    table::text(&mut lines)
}

fn one(details: &ScheduleDetails) -> String {
    let view = &details.schedule;
    let mut text = format!("{}, version {} by {} at {}\n", view.name, view.version, view.changed_by, view.changed_at);
    if view.suspended {
        text += "  suspended\n";
    }
    text += &details.coming.iter().map(|at| format!("  will fire {at}\n")).collect::<String>();
    for slot in &details.past {
        let then = slot.run.as_deref().or(slot.because.as_deref()).unwrap_or_default();
        text += &format!("  {} {} {then}\n", slot.outcome, slot.slot);
    }
    text
}
