use std::process::ExitCode;

use faultline_agent::kernel::HostKernel;
use faultline_agent::recover::recover;

use super::{Failure, Global, STUCK, output};

pub(super) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let state = global.state()?;
    let report = recover(&state, &HostKernel).map_err(|error| Failure::of(&error))?;
    if global.json {
        output::print_json(&report)?;
    } else {
        output::print(&report.to_string())?;
    }
    Ok(if report.is_stuck() { ExitCode::from(STUCK) } else { ExitCode::SUCCESS })
}
