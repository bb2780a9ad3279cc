//! `faultline budgets`: what chaos spent of error budgets.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::state::StateFolder;

use super::flags::{DataFormat, Global};
use super::output;
use crate::slo::ledger;

/// Show what the runs of this host spent of error budgets; touches nothing
///
/// One line a budget, of its present window: the runs whose experiments have `spec.budget`, those that crashed included.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Prints the ledger.
///
/// # Errors
/// If it cannot be read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let all = match StateFolder::existing(global.state.as_deref())? {
        Some(state) => ledger::read(state.path())?,
        None => Vec::new(),
    };
    let lines = ledger::present(&all, jiff::Timestamp::now());
    if arguments.format.json {
        output::print_json(&lines)?;
    } else if lines.is_empty() {
        output::print("no run of this host spent an error budget in its present window\n")?;
    } else {
        let text: String = lines.iter().map(|line| format!("{}\n", line.sentence)).collect();
        output::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
