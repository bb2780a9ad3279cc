//! `faultline budgets`: what chaos spent of error budgets.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::state::StateFolder;

use super::client::ControllerFlags;
use super::flags::{DataFormat, Global};
use super::output;
use crate::controller::budgets::BudgetsList;
use crate::slo::ledger;

/// Show what runs spent of error budgets; touches nothing
///
/// One line a budget, of its present window: the runs of this host or of a controller's fleet whose experiments have
/// `spec.budget`, those that crashed included.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The controller whose runs are meant, instead of those of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Prints the ledger.
///
/// # Errors
/// If it cannot be read.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let (lines, whose) = if arguments.controller.controller.is_some() {
        (arguments.controller.client()?.get::<BudgetsList>("/v1/budgets")?.budgets, "the fleet")
    } else {
        let all = match StateFolder::existing(global.state.as_deref())? {
            Some(state) => ledger::read(state.path())?,
            None => Vec::new(),
        };
        (ledger::present(&all, jiff::Timestamp::now()), "this host")
    };
    if arguments.format.json {
        output::print_json(&lines)?;
    } else if lines.is_empty() {
        output::print(&format!("no run of {whose} spent an error budget in its present window\n"))?;
    } else {
        let text: String = lines.iter().map(|line| format!("{}\n", line.sentence)).collect();
        output::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
