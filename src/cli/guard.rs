//! The guard: this program, started again by its own engine with the word `guard` (no subcommand for people).

use std::process::ExitCode;

use super::{failure, output};

/// Is the guard to its end, if this process was started as one.
pub(super) fn enter_if_asked() -> Option<ExitCode> {
    let report = faultline_agent::guard::enter_if_asked()?;
    for line in report.lines() {
        output::tell(&format!("faultline guard: {line}\n"));
    }
    Some(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(failure::UNCERTAIN) })
}
