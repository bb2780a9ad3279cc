use std::process::ExitCode;

use faultline_agent::journal::list;

use super::{Failure, Global, STUCK, output};

pub(super) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let listing = list(Some(&global.state()?)).map_err(|error| Failure::of(&error))?;
    if global.json {
        output::print_json(&listing)?;
    } else {
        output::print(&listing.to_string())?;
    }
    Ok(if listing.is_stuck() { ExitCode::from(STUCK) } else { ExitCode::SUCCESS })
}
