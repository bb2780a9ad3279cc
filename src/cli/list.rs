//! `faultline list`: the faults of this host that are, or may be, in place.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::journal;
use faultline_agent::state::StateFolder;

use super::flags::{DataFormat, Global};
use super::output;

/// List the active faults of this host; touches nothing
///
/// Shows the faults that the state folder records, the halt in force, and the runs that use another state folder.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Prints what the journal has.
///
/// # Errors
/// If the journal cannot be read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let listing = journal::list(StateFolder::existing(global.state.as_deref())?.as_ref())?;
    if arguments.format.json {
        output::print_json(&listing)?;
    } else {
        output::print(&listing.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
