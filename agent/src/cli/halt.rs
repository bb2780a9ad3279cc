use std::process::ExitCode;

use clap::Args;
use faultline_agent::halt::{self, HaltError, HaltOptions};
use faultline_agent::kernel::HostKernel;
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;

use super::{Failure, Global, PRECONDITION, STUCK, output};

/// Undo every fault on this host now, and refuse new ones until released
///
/// Needs no controller. Every run on this host stops and undoes, whoever asked for it: as root everybody's, as an
/// ordinary user your own. What nobody keeps any more is undone here. New faults are refused, those of a controller
/// too, until `--release`. With --state all this is about that state folder alone.
///
/// If this host's agent is connected to a controller, the whole fleet is halted with it, until `faultline halt --release`
/// there: whoever stands before any one machine can stop everything.
///
/// Waits until every fault is undone. Exits with 7 if one was not, or if a run could not be stopped. --json prints what
/// `faultline halt --json` prints.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Why, for those whose runs it stops
    #[arg(long, default_value = "halted by hand", conflicts_with = "release")]
    reason: String,
    /// Allow faults again. Exits with 3 if root's halt stays in force
    #[arg(long)]
    release: bool,
    /// How long to wait for the undo
    #[arg(long, default_value = "30s", conflicts_with = "release", value_name = "TIME")]
    within: TimeSpan,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let named = global.state.as_ref().map(|_| global.state()).transpose()?;
    let unnamed = || StateFolder::existing(None).map_err(|error| Failure::of(&error));
    let failed = |error: HaltError| Failure::of(&error);
    if arguments.release {
        let released = match &named {
            Some(state) => halt::release_folder(state),
            None => halt::release_everything(unnamed()?.as_ref()),
        };
        let released = released.map_err(failed)?;
        if global.json {
            output::print_json(&released)?;
        } else {
            output::print(&released.to_string())?;
        }
        return Ok(if released.still_halted.is_some() { ExitCode::from(PRECONDITION) } else { ExitCode::SUCCESS });
    }
    let options = HaltOptions { reason: &arguments.reason, within: arguments.within.duration(), kernel: &HostKernel };
    let stopped = match &named {
        Some(state) => halt::folder(state, &options),
        None => halt::everything(unnamed()?.as_ref(), &options),
    };
    let stopped = stopped.map_err(failed)?;
    if global.json {
        output::print_json(&stopped)?;
    } else {
        output::print(&stopped.to_string())?;
    }
    Ok(if stopped.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(STUCK) })
}
