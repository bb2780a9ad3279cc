//! `faultline gameday`: game days, held on this host and written up.

mod hold;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use faultline_agent::state::StateFolder;

use super::failure::Failure;
use super::flags::Global;
use super::output;
use crate::game_day::journal::{self, JournalError};
use crate::game_day::sheet::{Format, Sheet};

/// Hold a game day on this host, or show the run sheet of one
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Hold a game day on this host: approvals, checklist, experiments, alerts, run sheet
    Run(hold::Arguments),
    /// Show the run sheet, or the skeleton of a postmortem, from the journal of a game day
    Sheet(SheetArguments),
}

/// Show the run sheet, or the skeleton of a postmortem, from the journal of a game day
#[derive(Debug, Args)]
struct SheetArguments {
    /// The folder of a game day, or its journal [default: the newest in the state folder]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: SheetFormat,
    /// Write it to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The forms of a sheet, as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum SheetFormat {
    /// The run sheet as Markdown
    #[default]
    Markdown,
    /// The run sheet as one HTML file
    Html,
    /// The run sheet as JSON
    Json,
    /// The postmortem's skeleton as Markdown
    Postmortem,
    /// The postmortem's skeleton as one HTML file
    PostmortemHtml,
}

impl From<SheetFormat> for Format {
    fn from(format: SheetFormat) -> Self {
        match format {
            SheetFormat::Markdown => Self::Markdown,
            SheetFormat::Html => Self::Html,
            SheetFormat::Json => Self::Json,
            SheetFormat::Postmortem => Self::PostmortemMarkdown,
            SheetFormat::PostmortemHtml => Self::PostmortemHtml,
        }
    }
}

/// Where the game days of a state folder are.
fn days(state: &Path) -> PathBuf {
    state.join("game-days")
}

/// Holds a game day, or shows one.
///
/// # Errors
/// If a document is wrong, something that must be so beforehand is not, or nothing can be written.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Task::Run(arguments) => hold::run(arguments, global),
        Task::Sheet(arguments) => sheet(&arguments, global),
    }
}

fn sheet(arguments: &SheetArguments, global: &Global) -> anyhow::Result<ExitCode> {
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => newest(&days(&StateFolder::locate(global.state.as_deref())?))?,
    };
    let entries = journal::read(&folder).map_err(|error| told(&error))?;
    let sheet = Sheet::from_entries(&entries).map_err(|error| {
        Failure::usage(format!("{}: {error}", folder.display())).hint("name the folder of a game day")
    })?;
    let text = sheet.render(arguments.format.into())?;
    match &arguments.out {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?,
        None => output::print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn newest(days: &Path) -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir(days).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = folders.filter(|folder| folder.join(journal::JOURNAL).is_file()).max();
    newest.ok_or_else(|| {
        Failure::usage(format!("there is no game day in {}", days.display()))
            .hint("`faultline gameday run FILE` holds one; another is named by its folder")
            .into()
    })
}

fn told(error: &JournalError) -> Failure {
    let failure = match error {
        JournalError::Write { .. } => Failure::precondition(error.to_string()),
        JournalError::Read { .. } | JournalError::Line { .. } => Failure::usage(error.to_string()),
    };
    failure.hint(error.hint())
}
