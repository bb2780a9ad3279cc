//! `faultline recover`: undo what a crash or a reboot left.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::kernel::HostKernel;
use faultline_agent::recover::{self, RecoverResult, RecoveredFault, Recovery};
use faultline_agent::state::StateFolder;

use super::flags::{DataFormat, Global};
use super::{failure, output};
use crate::services::scratch;

/// Undo what a crash or a reboot left on this host
///
/// Faults whose process or guard is alive are left to them. Exits with 7 if anything could not be undone.
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
    let mut recovery = recover::recover(&state, &HostKernel)?;
    recovery.orphans = recover::orphans(&state);
    for folder in scratch::sweep() {
        output::tell(&format!("removed  {} (the scratch folder of a run that died)\n", folder.display()));
    }
    if arguments.format.json {
        output::print_json(&recovery)?;
    } else {
        output::print(&human(&recovery))?;
    }
    Ok(if recovery.is_stuck() { ExitCode::from(failure::UNCERTAIN) } else { ExitCode::SUCCESS })
}

/// What became of each fault, a line for each and one more for each step that is stuck.
pub(super) fn human(recovery: &Recovery) -> String {
    if recovery.faults.is_empty() && recovery.orphans.is_empty() {
        return "nothing was left\n".into();
    }
    let orphans = recovery.orphans.iter().map(|orphan| {
        format!("orphan   {} (no record here; unless another state folder's: {})\n", orphan.what, orphan.command)
    });
    recovery.faults.iter().map(one).chain(orphans).collect()
}

fn one(fault: &RecoveredFault) -> String {
    let name = format!(
        "{} {}{}",
        fault.id.as_ref().map_or_else(|| "(unknown id)".into(), ToString::to_string),
        fault.fault.as_deref().unwrap_or("(unknown fault)"),
        fault.targets.first().map(|target| format!(" on {target}")).unwrap_or_default()
    );
    match &fault.result {
        RecoverResult::Undone(undone) if undone.verified => {
            format!("undone   {name} (verified, in {:.0?})\n", undone.took)
        }
        RecoverResult::Undone(undone) => {
            let stuck = undone.steps.iter().filter(|step| !step.outcome.is_clean());
            let steps: String = stuck.map(|step| format!("         {}: {}\n", step.step, step.outcome)).collect();
            format!("STUCK    {name}\n{steps}")
        }
        RecoverResult::Kept { worker } => format!("kept     {name}: process {worker} is alive and will undo it\n"),
        RecoverResult::Busy => format!("busy     {name}: another process is undoing it now\n"),
        RecoverResult::Unreadable { path, reason } => format!(
            "STUCK    {name}: its record {} cannot be read ({reason})\n         \
             look with `faultline-agent fingerprint` whether anything is left, then move the file away\n",
            path.display()
        ),
    }
}
