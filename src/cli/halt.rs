//! `faultline halt`: stop every run and undo every fault on this host, from any terminal.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::guard;
use faultline_agent::halt::{self, HaltOptions, Stopped};
use faultline_agent::kernel::HostKernel;
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use http::Method;

use super::client::ControllerFlags;
use super::failure::{PRECONDITION, UNCERTAIN};
use super::flags::{DataFormat, Global};
use super::output;
use crate::console::Reason;
use crate::controller::halt::{HaltAnswer, ReleaseAnswer};

/// Undo every fault on this host now, and refuse new ones until released
///
/// Every run on this host stops and undoes its faults, whatever state folder it uses: as root everybody's, as an ordinary
/// user your own, and those of others are named. New runs are refused, with any state folder. What nobody keeps any more
/// is undone here. With --state (or FAULTLINE_STATE) all this is about that state folder alone.
///
/// Waits until every fault is undone. Exits with 7 if one was not, or if a run could not be stopped. --json prints an
/// object whose fields keep their names: `halted`, `scope` (host, user or folder), `undone` and `left` (ids of faults),
/// `took` (seconds), `folders` (each with `folder`, `user`, `processes`, `stillAlive`, `runs`, `undone`, `left`),
/// `notStopped` (each with `process`, `user`, `folder`, `reason`, `hint`), `unseen`, `problems`; with --release `halted`,
/// `wasHalted`, `stillHalted`, `problems`.
///
/// With --controller the whole fleet is halted instead: everything in place on any host is undone, what waits is
/// cancelled, and new runs are refused until released. Exits with 7 if something may be left or a host did not answer.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Why, for those whose runs it stops
    #[arg(long, default_value = "halted by hand", conflicts_with = "release")]
    pub reason: String,
    /// Allow faults again, wherever such a halt had forbidden them. Exits with 3 if root's halt stays in force
    #[arg(long)]
    pub release: bool,
    /// How long to wait for the undo
    #[arg(long, default_value = "30s", conflicts_with = "release", value_name = "TIME")]
    pub within: TimeSpan,
    /// The controller of the fleet that is to be halted, instead of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Sets or releases the halt.
///
/// # Errors
/// If the halt cannot be written or the journal not read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(url) = &arguments.controller.controller {
        return fleet(url, &arguments);
    }
    // A state folder that was named is made, as a run would; of others there may be none.
    let named = global.state.as_deref().map(|path| StateFolder::resolve(Some(path))).transpose()?;
    if arguments.release {
        return release(named.as_ref(), arguments.format);
    }
    let options = HaltOptions { reason: &arguments.reason, within: arguments.within.duration(), kernel: &HostKernel };
    let stopped = match &named {
        Some(state) => halt::folder(state, &options)?,
        None => halt::everything(StateFolder::existing(None)?.as_ref(), &options)?,
    };
    if arguments.format.json {
        output::print_json(&stopped)?;
    } else {
        output::print(&stopped.to_string())?;
    }
    if named.is_some() {
        tell_of_others(&stopped);
    }
    Ok(if stopped.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(UNCERTAIN) })
}

/// Halts or releases a fleet.
fn fleet(url: &str, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.controller.client_of(url)?;
    let json = arguments.format.json;
    if arguments.release {
        let released: ReleaseAnswer = client.send(Method::DELETE, "/v1/halt", None::<&()>)?;
        output::either(json, &released, || told_release(&released))?;
        return Ok(if released.still_halted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PRECONDITION) });
    }
    let reason = Reason { reason: arguments.reason.clone() };
    let halted: HaltAnswer = client.send(Method::POST, "/v1/halt", Some(&reason))?;
    output::either(json, &halted, || told_halt(&halted))?;
    Ok(if halted.clean { ExitCode::SUCCESS } else { ExitCode::from(UNCERTAIN) })
}

fn told_halt(halted: &HaltAnswer) -> String {
    let mut text = format!("the fleet is halted by {}: {}\n", halted.halt.by, halted.halt.reason);
    text += &format!(
        "undone: {} faults in {:.3} s; runs: {} end, {} are cancelled\n",
        halted.undone.len(),
        halted.took,
        halted.stopping.len(),
        halted.cancelled.len()
    );
    for left in &halted.left {
        text += &format!("LEFT on {}: {} {}\n", left.host, left.fault, left.because);
        text += &left.by_hand.iter().map(|command| format!("    {command}\n")).collect::<String>();
    }
    for host in &halted.out_of_reach {
        text += &format!(
            "out of reach: {} ({}); it undoes by itself within {:.0} s\n",
            host.host, host.because, host.undoes_within
        );
    }
    text
}

fn told_release(released: &ReleaseAnswer) -> String {
    let mut text = match &released.released {
        Some(halt) => format!("released; it was halted by {}: {}\n", halt.by, halt.reason),
        None => "the fleet was not halted\n".into(),
    };
    for host in &released.still_halted {
        text += &format!("{} is halted all the same, on the host: {}\n", host.host, host.reason);
    }
    for host in &released.out_of_reach {
        text += &format!("{} did not answer ({}); it is released when it comes back\n", host.host, host.because);
    }
    text
}

/// Runs that go on since one state folder alone was halted: whoever wants quiet must hear of them.
fn tell_of_others(stopped: &Stopped) {
    let halted = |process: i32| stopped.folders.iter().any(|folder| folder.processes.contains(&process));
    let others = guard::living().unwrap_or_default();
    let others: Vec<String> = others
        .iter()
        .filter(|living| !halted(living.process()))
        .map(|living| format!("{} ({})", living.process(), living.state.display()))
        .collect();
    if !others.is_empty() {
        output::tell(&format!(
            "only this state folder is halted; other runs go on, of process {}: `env -u FAULTLINE_STATE faultline halt` \
             stops them too\n",
            others.join(", ")
        ));
    }
}

fn release(named: Option<&StateFolder>, format: DataFormat) -> anyhow::Result<ExitCode> {
    let released = match named {
        Some(state) => halt::release_folder(state)?,
        None => halt::release_everything(StateFolder::existing(None)?.as_ref())?,
    };
    if format.json {
        output::print_json(&released)?;
    } else {
        output::print(&released.to_string())?;
    }
    Ok(if released.still_halted.is_some() { ExitCode::from(PRECONDITION) } else { ExitCode::SUCCESS })
}
