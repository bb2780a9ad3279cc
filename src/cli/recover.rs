//! `faultline recover`: undo what a crash or a reboot left.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::kernel::HostKernel;
use faultline_agent::recover;
use faultline_agent::state::StateFolder;

use super::flags::{DataFormat, Global};
use super::{failure, output};
use crate::services::scratch;

/// Undo what a crash or a reboot left on this host
///
/// Undoes what is recorded in the state folder, and removes what bears Faultline's names without a record, if nobody who is
/// alive can own it. Faults whose process or guard is alive are left to them. Each user recovers his own; root's does
/// not touch other users' records either. Processes that a crash left stopped are known by their record alone: `kill
/// -CONT` continues one whose record is lost. Exits with 7 if anything could not be undone.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Undoes and reports.
///
/// # Errors
/// If the journal cannot be read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let state = StateFolder::resolve(global.state.as_deref())?;
    let recovery = recover::recover(&state, &HostKernel)?;
    for folder in scratch::sweep() {
        output::tell(&format!("removed  {} (the scratch folder of a run that died)\n", folder.display()));
    }
    if arguments.format.json {
        output::print_json(&recovery)?;
    } else {
        output::print(&recovery.to_string())?;
    }
    Ok(if recovery.is_stuck() { ExitCode::from(failure::UNCERTAIN) } else { ExitCode::SUCCESS })
}
