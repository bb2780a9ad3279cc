use std::process::ExitCode;

use faultline_agent::facts::doctor::{Health, diagnose};

use super::{Failure, Global, output};

pub(super) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let diagnosis = diagnose(global.state.as_deref());
    if global.json {
        output::print_json(&diagnosis)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for check in &diagnosis.host {
        let mark = match check.state {
            Health::Good => "ok  ",
            Health::Limited => "less",
            Health::Missing => "NO  ",
        };
        text.push_str(&format!("{mark}  {}: {}\n", check.what, check.because));
        if let Some(hint) = &check.hint {
            text.push_str(&format!("      hint: {hint}\n"));
        }
    }
    for check in &diagnosis.faults {
        let mark = if check.possible { "ok  " } else { "NO  " };
        text.push_str(&format!("{mark}  {}: {}; {}\n", check.fault, check.because, check.undo.describe()));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
