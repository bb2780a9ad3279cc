//! `faultline schedule`: schedules. `preview` says what one will do; it needs nothing but the document. All else is about
//! the schedules of a controller.

mod remote;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use faultline_agent::units::TimeSpan;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use super::client::ControllerFlags;
use super::failure::Failure;
use super::flags::{DataFormat, Global};
use super::{output, table};
use crate::document::findings::Surroundings;
use crate::document::load::{Loaded, load, name_of};
use crate::document::set::Setting;
use crate::document::suggest;
use crate::schedule::document::{Moment, Schedule};
use crate::schedule::local::first_instant;
use crate::schedule::{Entry, Outcome, Preview, Rule, preview};

/// Show when schedules fire; keep them on a controller
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ScheduleCommand,
}

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// List what will fire, what is skipped and why, and where clocks change; touches nothing
    Preview(PreviewArguments),
    /// List the schedules of a controller with their next times
    List(OnController),
    /// Show one: what became of its last times, and its next ones
    Show(NamedOnController),
    /// Keep the schedules of a file on a controller, or replace those of the same names
    Apply(ApplyArguments),
    /// Have a schedule rest
    Suspend(NamedOnController),
    /// Wake a schedule up
    Resume(NamedOnController),
    /// Remove a schedule; its runs stay
    Delete(NamedOnController),
}

/// A controller.
#[derive(Debug, Args)]
pub struct OnController {
    /// The controller
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// A schedule of a controller.
#[derive(Debug, Args)]
pub struct NamedOnController {
    /// The schedule's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The controller, and how to print
    #[command(flatten)]
    pub on: OnController,
}

/// What to keep on a controller.
#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// A file with schedules and the experiments that they name; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Change a value first, as in `--set spec.jitter=5m`
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<Setting>,
    /// The controller, and how to print
    #[command(flatten)]
    pub on: OnController,
}

/// What to preview.
#[derive(Debug, Args)]
pub struct PreviewArguments {
    /// A file with schedules; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only the schedule of this name
    #[arg(long)]
    pub name: Option<String>,
    /// From this time on: 2026-12-24, 2026-12-24T18:00 (in the schedule's time zone) or 2026-12-24T18:00:00Z
    /// [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<Bound>,
    /// Until this time [default: 14 days later]
    #[arg(long, value_name = "TIME", alias = "to")]
    pub until: Option<Bound>,
    /// The seed of all draws, instead of the document's
    #[arg(long)]
    pub seed: Option<u64>,
    /// Change a value first, as in `--set spec.jitter=5m`
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<Setting>,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// The begin or the end of a preview.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// By the clock on the wall of the schedule's zone.
    Local(Moment),
    /// An instant.
    Instant(Timestamp),
}

impl std::str::FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let instant = text.parse().map(Self::Instant);
        instant.or_else(|_| text.parse().map(Self::Local)).map_err(|error: String| {
            error.replace("; times are in the schedule's `timeZone`", ", or an instant (2026-12-24T18:00:00Z)")
        })
    }
}

impl Bound {
    fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Local(moment) => first_instant(zone, moment.begins()),
            Self::Instant(instant) => Some(instant),
        }
    }
}

/// The preview of one rule, for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RulePreview {
    /// The schedule.
    schedule: String,
    /// The rule: the schedule's name, or `name/group`.
    rule: String,
    /// The schedule's time zone.
    time_zone: String,
    /// The first instant.
    from: Timestamp,
    /// The first instant after.
    until: Timestamp,
    /// Whether the document suspends the schedule, so that nothing of this happens.
    suspended: bool,
    /// The probability of a run in a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// What happens, in order.
    entries: Vec<LocalEntry>,
    #[serde(skip)]
    zone: TimeZone,
}

/// An entry with its local time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LocalEntry {
    /// With the offset: `2026-12-24T18:00:00+01:00`.
    local: String,
    #[serde(flatten)]
    entry: Entry,
}

/// The longest time that is listed.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

/// Carries out a subcommand.
///
/// # Errors
/// If the document is wrong, or has no such schedule.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    match arguments.command {
        ScheduleCommand::Preview(arguments) => show_preview(&arguments, global),
        other => remote::run(other, global),
    }
}

fn show_preview(arguments: &PreviewArguments, global: &Global) -> anyhow::Result<ExitCode> {
    let schedules = schedules(arguments)?;
    for loaded in schedules.iter().filter(|_| !global.quiet) {
        output::tell(&loaded.render_warnings(global.colour_on_stderr()));
    }
    let mut previews = Vec::new();
    for loaded in &schedules {
        previews.extend(of(&loaded.document, arguments)?);
    }
    if arguments.format.json {
        output::print_json(&previews)?;
    } else {
        let texts: Vec<String> = previews.iter().map(human).collect();
        output::print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn schedules(arguments: &PreviewArguments) -> anyhow::Result<Vec<Loaded<Schedule>>> {
    let file = name_of(&arguments.file);
    let loaded = load(&arguments.file, &arguments.set)?;
    let schedules: Vec<Loaded<Schedule>> = loaded.into_iter().filter_map(|one| one.schedule().ok()).collect();
    let names: Vec<&str> = schedules.iter().map(|one| one.document.metadata.name.as_str()).collect();
    match &arguments.name {
        None if names.is_empty() => Err(Failure::usage(format!("{file} has no schedule"))
            .hint("a schedule is a document with `kind: Schedule`")
            .into()),
        Some(name) if !names.contains(&name.as_str()) => {
            let hint = suggest::hint(name, names);
            Err(Failure::usage(format!("{file} has no schedule `{name}`")).hint(hint).into())
        }
        Some(name) => Ok(schedules.into_iter().filter(|one| one.document.metadata.name == *name).collect()),
        None => Ok(schedules),
    }
}

fn of(schedule: &Schedule, arguments: &PreviewArguments) -> anyhow::Result<Vec<RulePreview>> {
    let mut schedule = schedule.with_calendars(Surroundings::folder_of(&arguments.file).as_deref())?;
    schedule.spec.seed = arguments.seed.or(schedule.spec.seed);
    let zone = schedule.spec.time_zone.rules();
    let too_far = || Failure::usage("this time is too far off");
    let from = arguments.from.map_or_else(|| Some(Timestamp::now()), |from| from.instant(zone)).ok_or_else(too_far)?;
    let fortnight = || from.to_zoned(zone.clone()).checked_add(14.days()).ok().map(|until| until.timestamp());
    let until = arguments.until.map_or_else(fortnight, |until| until.instant(zone)).ok_or_else(too_far)?;
    if until <= from {
        return Err(Failure::usage("--until is not after --from").into());
    }
    if until.duration_since(from) > LONGEST {
        return Err(Failure::usage("more than ten years are not listed").hint("give an earlier --until").into());
    }
    let rules = Rule::compile(&schedule).map_err(|error| Failure::usage(error.to_string()))?;
    let previews = rules.iter().map(|rule| {
        let Preview { rule: id, probability, entries } = preview(rule, from, until);
        let local = |entry: Entry| LocalEntry {
            local: entry.at.to_zoned(rule.zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            entry,
        };
        RulePreview {
            schedule: schedule.metadata.name.clone(),
            rule: id,
            time_zone: schedule.spec.time_zone.to_string(),
            from,
            until,
            suspended: rule.suspend,
            probability,
            entries: entries.into_iter().map(local).collect(),
            zone: rule.zone().clone(),
        }
    });
    Ok(previews.collect())
}

/// As many entries in a row that are skipped for one reason are listed; the rest is counted.
const MOST_ALIKE: usize = 3;

fn human(preview: &RulePreview) -> String {
    let local = |instant: Timestamp| instant.to_zoned(preview.zone.clone());
    let mut text = format!(
        "{}, {}, {} to {}\n",
        preview.rule,
        preview.time_zone,
        local(preview.from).strftime("%Y-%m-%d %H:%M"),
        local(preview.until).strftime("%Y-%m-%d %H:%M"),
    );
    if let Some(probability) = preview.probability {
        text += &format!("in each slot with probability {probability:.3}, if nothing ran before\n");
    }
    if preview.suspended {
        text += "suspended: nothing of this happens until `suspend` is taken out\n";
    }
    if preview.entries.is_empty() {
        return text + "\nnothing\n";
    }
    let mut lines = table::table(&["local", "UTC", "what"]);
    let mut entries = preview.entries.as_slice();
    while let Some(first) = entries.first() {
        let skipped = matches!(first.entry.outcome, Outcome::Skip { .. });
        let alike =
            if skipped { entries.iter().take_while(|one| one.entry.outcome == first.entry.outcome).count() } else { 1 };
        let listed = if alike > MOST_ALIKE { 1 } else { alike };
        let (these, rest) = entries.split_at(alike);
        for one in these.iter().take(listed) {
            let utc = one.entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            let at = local(one.entry.at).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string();
            lines.add_row([at, utc, what(&one.entry, preview)]);
        }
        if let Some(last) = these.last().filter(|_| listed < alike) {
            let at = local(last.entry.at).strftime("%a %Y-%m-%d %H:%M:%S %:z");
            lines.add_row([format!("  … until {at}"), String::new(), format!("{} more, the same", alike - listed)]);
        }
        entries = rest;
    }
    text + "\n" + &table::text(&mut lines)
}

fn what(entry: &Entry, preview: &RulePreview) -> String {
    let drawn = |sign: &str| match (entry.draw, preview.probability) {
        (Some(draw), Some(probability)) => format!(" ({draw:.3} {sign} {probability:.3})"),
        _ => String::new(),
    };
    let instead = |text: String| match entry.instead_of {
        Some(meant) => format!("{text} (for {}, which does not exist on this day)", meant.strftime("%H:%M")),
        None => text,
    };
    match &entry.outcome {
        Outcome::Fire => instead(format!("runs{}", drawn("<"))),
        Outcome::Skip { why } => instead(format!("skipped: {why}")),
        Outcome::NotDrawn => format!("not drawn{}", drawn(">=")),
        Outcome::WithinGap => "minimum gap".into(),
        Outcome::ClocksChange { by } => {
            let (to, by) = if *by < 0 { ("back", -*by) } else { ("forward", *by) };
            let before = SignedDuration::from_secs(if to == "back" { by } else { -by });
            let local = entry.at.to_zoned(preview.zone.clone()).datetime();
            let old = local.checked_add(before).unwrap_or(local);
            let by = TimeSpan::from_secs(by.unsigned_abs());
            format!("-- clocks go {to} by {by}, from {} to {} --", old.strftime("%H:%M"), local.strftime("%H:%M"))
        }
    }
}
