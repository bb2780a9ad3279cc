//! `faultline schema`: the JSON Schema of documents.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::flags::Global;
use super::output;
use crate::document::{Kind, schema};

/// Print the JSON Schema of documents, for editors and other programs
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only of documents of this kind [default: of any kind]
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.name())))]
    pub kind: Option<String>,
}

/// Prints the schema.
///
/// # Errors
/// If it cannot be written.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    output::print_json(&schema::of(arguments.kind.as_deref().and_then(Kind::named)))?;
    Ok(ExitCode::SUCCESS)
}
