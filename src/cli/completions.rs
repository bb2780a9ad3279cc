//! `faultline completions`: scripts for shells.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::flags::Global;
use super::output;

/// Print completions for a shell
///
/// For bash: `faultline completions bash > ~/.local/share/bash-completion/completions/faultline`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which shell
    pub shell: Shell,
}

/// Prints the completion script of a shell.
///
/// # Errors
/// If it cannot be written.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::description(), "faultline", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
