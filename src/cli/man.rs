//! `faultline man`: the manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::flags::Global;
use super::output;

/// Print the manual page, or write one for each subcommand
#[derive(Debug, Args)]
pub struct Arguments {
    /// A folder for `faultline.1` and a page for each subcommand
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the manual page (roff), or writes all of them to a folder.
///
/// # Errors
/// If they cannot be written.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    let command = super::description();
    match arguments.out {
        Some(folder) => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(command, &folder))
                .with_context(|| format!("cannot write the manual pages to {}", folder.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).context("cannot write the manual page")?;
            output::print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
