//! Where the result of the gate goes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::{Annotations, Arguments};
use crate::cli::failure::PRECONDITION;
use crate::cli::flags::Global;
use crate::cli::output;
use crate::gate::GateResult;
use crate::gate::result::worst;
use crate::report::gate::annotations::github;
use crate::report::gate::{GateFormat, render};

/// The file in which GitHub collects the summary of a job's step.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Prints and writes the result. What could not be written is told, and the answer is no pass then, since a pipeline may
/// read the file instead of the exit code; `trouble` is what went wrong before.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn deliver(
    result: &GateResult,
    arguments: &Arguments,
    mut trouble: Vec<String>,
    global: &Global,
) -> anyhow::Result<u8> {
    if let Some(file) = &arguments.junit {
        trouble.extend(write(file, &render(result, GateFormat::Junit)?, false));
    }
    if let Some(file) = &arguments.markdown {
        let summary = std::env::var_os(STEP_SUMMARY).is_some_and(|summary| Path::new(&summary) == file);
        trouble.extend(write(file, &render(result, GateFormat::Markdown)?, summary));
    }
    if arguments.annotations == Some(Annotations::Github) {
        let root = std::env::var_os("GITHUB_WORKSPACE").map(std::path::PathBuf::from);
        let text = github(result, root.as_deref());
        // GitHub reads both streams; JSON must stay alone on its own.
        if arguments.json { output::tell(&text) } else { output::print(&text)? }
    }
    let format = match arguments.json {
        true => GateFormat::Json,
        false => GateFormat::Human { colour: global.colour_on_stdout() },
    };
    output::print(&render(result, format)?)?;
    for line in &trouble {
        output::tell(&format!("error: {line}\n"));
    }
    let codes = [result.exit_code, if trouble.is_empty() { 0 } else { PRECONDITION }];
    Ok(worst(&codes))
}

fn write(file: &Path, text: &str, add: bool) -> Option<String> {
    let opened = OpenOptions::new().create(true).write(true).append(add).truncate(!add).open(file);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.err().map(|error| format!("cannot write the report {}: {error}", file.display()))
}
