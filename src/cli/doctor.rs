//! `faultline doctor`: what can be injected on this host, what cannot, and why.

use std::process::ExitCode;

use clap::Args;
use faultline_agent::facts::doctor::{Diagnosis, Health, diagnose};

use super::flags::{DataFormat, Global};
use super::{output, table};

/// Say what can be injected on this host, what cannot, and why
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// Examines the host and prints what was found. What is wanting is no failure: it is the answer.
///
/// # Errors
/// If it cannot be printed.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let diagnosis = diagnose(global.state.as_deref());
    if arguments.format.json {
        output::print_json(&diagnosis)?;
    } else {
        output::print(&human(&diagnosis))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn human(diagnosis: &Diagnosis) -> String {
    let mut host = table::table(&["HOST", "", ""]);
    for check in &diagnosis.host {
        let state = match check.state {
            Health::Good => "good",
            Health::Limited => "limited",
            Health::Missing => "MISSING",
        };
        host.add_row([check.what, state, &check.because]);
        if let Some(hint) = &check.hint {
            host.add_row(["", "", &format!("hint: {hint}")]);
        }
    }
    let mut faults = table::table(&["FAULT", "", ""]);
    for check in &diagnosis.faults {
        faults.add_row([check.fault, if check.possible { "can be injected" } else { "CANNOT" }, &check.because]);
    }
    format!("{}\n{}", table::wrapped(&mut host), table::wrapped(&mut faults))
}
