//! `faultline schema`: the JSON Schema of the document.

use std::process::ExitCode;

use clap::Args;

use super::flags::Global;
use super::output;
use crate::experiment::schema;

/// Print the JSON Schema of the document, for editors and other programs
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the schema.
///
/// # Errors
/// If it cannot be written.
pub fn run(_: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    output::print_json(&schema::experiment())?;
    Ok(ExitCode::SUCCESS)
}
