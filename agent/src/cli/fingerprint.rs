use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use faultline_agent::fingerprint::{Fingerprint, FingerprintScope, diff, take};

use super::{DIFFERS, Failure, Global, output};

/// What to take the fingerprint of.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Compare with a fingerprint that was printed with --json: exit code 1 and the differences, if there are any
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Look for scratch files in this folder too
    #[arg(long, value_name = "FOLDER")]
    folder: Vec<PathBuf>,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<ExitCode, Failure> {
    let state = Some(global.state()?.path().to_owned());
    let now = take(&FingerprintScope { folders: arguments.folder, state, ..FingerprintScope::default() });
    let Some(path) = arguments.since else {
        if global.json {
            output::print_json(&now)?;
        } else {
            output::print(&now.to_string())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let refuse = |error: &dyn std::error::Error| Failure {
        message: format!("cannot read {}: {error}", path.display()),
        hint: Some("make it with `faultline-agent fingerprint --json > FILE`".into()),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| refuse(&error))?;
    let before: Fingerprint = serde_json::from_str(&text).map_err(|error| refuse(&error))?;
    let differences = diff(&before, &now);
    if global.json {
        output::print_json(&differences)?;
    } else {
        output::print(&differences.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}
