//! `faultline demo`: the quickstart experiment, which is part of the program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::client::ControllerFlags;
use super::flags::{Global, RunFlags};
use super::output;
use super::run::{self, OutputFormat};
use crate::document::load::from_text;

/// The quickstart experiment, the very file of the repository.
const QUICKSTART: &str = include_str!("../../experiments/quickstart.yaml");
const NAME: &str = "experiments/quickstart.yaml";

/// Run the quickstart: a sample service in a network of its own, 100 ms of latency, a verdict, a report
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the experiment instead of running it
    #[arg(long)]
    show: bool,
    /// Make the run's folder below this one instead of in the state folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the quickstart.
///
/// # Errors
/// If it cannot begin, as where an ordinary user may not make namespaces.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    if arguments.show {
        output::print(QUICKSTART)?;
        return Ok(ExitCode::SUCCESS);
    }
    let documents: Vec<_> =
        from_text(NAME, QUICKSTART, &[])?.into_iter().filter_map(|loaded| loaded.experiment().ok()).collect();
    let same_as_run = run::Arguments {
        files: vec![NAME.into()],
        flags: RunFlags { out: arguments.out, ..RunFlags::default() },
        placebo: false,
        junit: None,
        controller: ControllerFlags::default(),
        approvals: 0,
        plan_hash: None,
        format: OutputFormat::Human,
    };
    let code = run::run_all(&documents, &same_as_run, global)?;
    if !global.quiet {
        output::tell(
            "\nThe experiment is experiments/quickstart.yaml (`faultline demo --show` prints it). Change it, then \
             `faultline run FILE`.\nIts failing twin, experiments/quickstart-fails.yaml, has no fallback: see how that \
             verdict reads.\n",
        );
    }
    Ok(code)
}
