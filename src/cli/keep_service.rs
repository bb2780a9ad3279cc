//! `faultline keep-service`: hidden; see [`keeper`](crate::services::keeper).

use std::process::ExitCode;

use clap::Args;

use super::flags::Global;
use crate::services::keeper::{Stage, keep};

/// Keep a program that a run started (for Faultline's own use).
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct Arguments {
    /// Which part to play
    stage: Stage,
}

/// Plays the part.
///
/// # Errors
/// If the kernel refuses it.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    keep(arguments.stage)?;
    Ok(ExitCode::SUCCESS)
}
