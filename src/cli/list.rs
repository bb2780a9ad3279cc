//! `faultline list`: the faults of this host that are, or may be, in place.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use faultline_agent::halt::{self, Halt};
use faultline_agent::identity::boot_id;
use faultline_agent::journal::{FaultState, Found, Journal, Record, StepStatus};
use faultline_agent::lease::BootTime;
use faultline_agent::plan::UndoClass;
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use serde::Serialize;

use super::flags::{DataFormat, Global};
use super::{output, table};

/// List the active faults of this host; touches nothing
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// What is printed for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    /// The halt in force, if any.
    halt: Option<Halt>,
    /// The faults.
    faults: Vec<Listed>,
}

/// One fault of the journal.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// Its id; none if not even the name of its record says it.
    id: Option<String>,
    /// Its name in the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The run to which it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// `intended`, `active`, `reverting`, `stuck`, or `unreadable`.
    state: String,
    /// When it was recorded, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Seconds until it must be undone; 0 if that is past, none after a reboot.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<f64>,
    /// How it is undone when everything of Faultline has died.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<UndoClass>,
    /// The process that injected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<i32>,
    /// Whether that process or its guard is alive, and so undoes it by itself.
    kept: bool,
    /// What it touches.
    targets: Vec<String>,
    /// What is stuck, and the command with which a person can undo it.
    stuck: Vec<Stuck>,
    /// What is wrong with its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A step that could not be undone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stuck {
    reason: String,
    command: String,
}

/// Prints what the journal has.
///
/// # Errors
/// If the journal cannot be read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let listing = match StateFolder::existing(global.state.as_deref())? {
        Some(state) => listing(&state)?,
        None => Listing { halt: None, faults: Vec::new() },
    };
    if arguments.format.json {
        output::print_json(&listing)?;
    } else {
        output::print(&human(&listing))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(state: &StateFolder) -> anyhow::Result<Listing> {
    let boot = boot_id().context("cannot read /proc/sys/kernel/random/boot_id")?;
    let found = Journal::of(state).read_all()?;
    let faults = found.into_iter().map(|found| listed(found, &boot)).collect();
    Ok(Listing { halt: halt::read(state), faults })
}

fn listed(found: Found, boot: &str) -> Listed {
    match found {
        Found::Record(record) => of_record(&record, boot),
        Found::Unreadable { path, id, reason } => Listed {
            id: id.map(|id| id.to_string()),
            fault: None,
            run: None,
            state: "unreadable".into(),
            since: None,
            left: None,
            undo: None,
            worker: None,
            kept: false,
            targets: Vec::new(),
            stuck: Vec::new(),
            problem: Some(format!("{}: {reason}", path.display())),
        },
    }
}

fn of_record(record: &Record, boot: &str) -> Listed {
    let state = match record.state {
        FaultState::Intended => "intended",
        FaultState::Active => "active",
        FaultState::Reverting => "reverting",
        FaultState::Stuck => "stuck",
        FaultState::Undone => "undone",
    };
    let stuck = record.steps.iter().filter_map(|step| match step {
        StepStatus::Stuck { reason, command, .. } => Some(Stuck { reason: reason.clone(), command: command.clone() }),
        StepStatus::Pending | StepStatus::Applied | StepStatus::Undone => None,
    });
    Listed {
        id: Some(record.id().to_string()),
        fault: Some(record.plan.fault.clone()),
        run: record.run.clone(),
        state: state.into(),
        since: Some(record.since.clone()),
        left: (record.boot_id == boot).then(|| record.deadline.since(BootTime::now()).as_secs_f64()),
        undo: Some(record.plan.undo_class()),
        worker: Some(record.worker.pid),
        kept: record.has_keeper(boot),
        targets: record.plan.targets.clone(),
        stuck: stuck.collect(),
        problem: None,
    }
}

fn human(listing: &Listing) -> String {
    let mut text = String::new();
    if let Some(halt) = &listing.halt {
        text += &format!("HALTED: {}\n  released by `faultline halt --release`\n\n", halt.reason);
    }
    if listing.faults.is_empty() {
        return text + "no active faults\n";
    }
    let mut rows = table::table(&["ID", "FAULT", "STATE", "LEFT", "KEPT BY", "RUN", "TARGET"]);
    for fault in &listing.faults {
        let dash = || "-".to_owned();
        let left = fault.left.map_or_else(dash, |seconds| {
            TimeSpan::from(Duration::from_secs(Duration::from_secs_f64(seconds).as_secs())).to_string()
        });
        let keeper = match fault.worker {
            Some(worker) if fault.kept => format!("process {worker}"),
            _ => "nobody".into(),
        };
        let first = fault.targets.first().cloned().or_else(|| fault.problem.clone()).unwrap_or_else(dash);
        rows.add_row([
            fault.id.clone().unwrap_or_else(dash),
            fault.fault.clone().unwrap_or_else(dash),
            fault.state.clone(),
            left,
            keeper,
            fault.run.clone().unwrap_or_else(dash),
            first,
        ]);
        for target in fault.targets.iter().skip(1) {
            rows.add_row(["", "", "", "", "", "", target.as_str()]);
        }
    }
    text += &table::text(&mut rows);
    for stuck in listing.faults.iter().flat_map(|fault| &fault.stuck) {
        text += &format!("\nSTUCK: {}\n  by hand: {}\n", stuck.reason, stuck.command);
    }
    if listing.faults.iter().any(|fault| !fault.kept) {
        text += "\nWhat nobody keeps is undone by `faultline recover`.\n";
    }
    text
}
