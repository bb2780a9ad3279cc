//! `faultline halt`: stop every run and undo every fault on this host, from any terminal.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use faultline_agent::halt;
use faultline_agent::identity::{FaultId, boot_id};
use faultline_agent::journal::{Found, Journal};
use faultline_agent::kernel::HostKernel;
use faultline_agent::recover::{self, RecoverResult};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use serde::Serialize;

use super::flags::{DataFormat, Global};
use super::{failure, output};

/// Undo every fault on this host now, and refuse new ones until released
///
/// Every run of this state folder stops and undoes its faults; what nobody keeps any more is undone here. Waits until
/// that is done, and exits with 7 if it was not.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Why, for those whose runs it stops
    #[arg(long, default_value = "halted by hand", conflicts_with = "release")]
    pub reason: String,
    /// Allow faults again
    #[arg(long)]
    pub release: bool,
    /// How long to wait for the undo
    #[arg(long, default_value = "30s", conflicts_with = "release", value_name = "TIME")]
    pub within: TimeSpan,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// How often the journal is looked at while others undo.
const LOOK: Duration = Duration::from_millis(50);

/// What is printed for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Halted {
    /// Whether this host is halted now.
    halted: bool,
    /// The ids of the faults that were there and are undone.
    undone: Vec<String>,
    /// The ids (or files) of the records that are still there.
    left: Vec<String>,
    /// How long it took, in seconds.
    took: f64,
}

/// Sets or releases the halt.
///
/// # Errors
/// If the state folder cannot be written or the journal not read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let state = StateFolder::resolve(global.state.as_deref())?;
    if arguments.release {
        let was = halt::release(&state)?;
        return release_told(was, arguments.format);
    }
    let began = Instant::now();
    halt::set(&state, &arguments.reason)?;
    let before = records(&state)?;
    let left = wait(&state, arguments.within)?;
    let halted = Halted {
        halted: true,
        undone: before.difference(&left).cloned().collect(),
        left: left.into_iter().collect(),
        took: began.elapsed().as_secs_f64(),
    };
    if arguments.format.json {
        output::print_json(&halted)?;
    } else {
        output::print(&human(&halted))?;
    }
    Ok(if halted.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(failure::UNCERTAIN) })
}

fn release_told(was: bool, format: DataFormat) -> anyhow::Result<ExitCode> {
    if format.json {
        output::print_json(&Halted { halted: false, undone: Vec::new(), left: Vec::new(), took: 0.0 })?;
    } else if was {
        output::print("released: faults may be injected again\n")?;
    } else {
        output::print("this host was not halted\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until the journal is empty: workers undo their own, and what has no keeper is undone here.
fn wait(state: &StateFolder, within: TimeSpan) -> anyhow::Result<BTreeSet<String>> {
    let began = Instant::now();
    let boot = boot_id()?;
    let mut given_up = BTreeSet::new();
    loop {
        if orphans(state, &boot)?.iter().any(|id| !given_up.contains(id)) {
            let recovery = recover::recover(state, &HostKernel)?;
            // What is stuck stays so for now: trying again at every look would only hide it behind noise.
            let stuck = recovery.faults.iter().filter(|fault| !matches!(fault.result, RecoverResult::Kept { .. }));
            given_up.extend(stuck.filter_map(|fault| fault.id.clone()));
        }
        let left = records(state)?;
        let waiting = left.iter().any(|id| !given_up.iter().any(|stuck| stuck.to_string() == *id));
        if !waiting || began.elapsed() >= within.duration() {
            return Ok(left);
        }
        thread::sleep(LOOK);
    }
}

/// The faults that neither their worker nor their guard will undo.
fn orphans(state: &StateFolder, boot: &str) -> anyhow::Result<Vec<FaultId>> {
    let found = Journal::of(state).read_all()?;
    let orphan = |found: Found| match found {
        Found::Record(record) => (!record.has_keeper(boot)).then(|| record.id().clone()),
        Found::Unreadable { id, .. } => id,
    };
    Ok(found.into_iter().filter_map(orphan).collect())
}

fn records(state: &StateFolder) -> anyhow::Result<BTreeSet<String>> {
    let name = |found: Found| match found {
        Found::Record(record) => record.id().to_string(),
        Found::Unreadable { path, id, .. } => id.map_or_else(|| path.display().to_string(), |id| id.to_string()),
    };
    Ok(Journal::of(state).read_all()?.into_iter().map(name).collect())
}

fn human(halted: &Halted) -> String {
    let mut text = match halted.undone.as_slice() {
        [] => "no fault was active\n".to_owned(),
        undone => format!("undone: {} in {:.1} s\n", undone.join(", "), halted.took),
    };
    if !halted.left.is_empty() {
        text += &format!(
            "NOT UNDONE: {}\n  `faultline list` shows what is stuck, with the command for each\n",
            halted.left.join(", ")
        );
    }
    text + "halted: no fault is injected on this host until `faultline halt --release`\n"
}
