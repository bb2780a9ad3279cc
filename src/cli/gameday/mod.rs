//! `faultline gameday`: game days, held on this host or by a controller over its fleet, and written up.

mod hold;
mod remote;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use faultline_agent::state::StateFolder;

use super::client::ControllerFlags;
use super::failure::Failure;
use super::flags::Global;
use super::output;
use crate::game_day::journal::{self, JournalError};
use crate::game_day::machine::Answer;
use crate::game_day::sheet::{Format, Sheet};

/// Hold game days, on this host or by a controller, and show their run sheets
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Hold a game day, on this host or with --controller over its fleet: approvals, checklist, experiments, alerts, run sheet
    Run(hold::Arguments),
    /// Show the run sheet, or the skeleton of a postmortem, from the journal of a game day
    Sheet(SheetArguments),
    /// List the game days of a controller, the newest first
    List(remote::List),
    /// Show a game day of a controller: its plan and hash, what is asked now, approvals, answers, runs
    Show(remote::Named),
    /// Approve the plan of a game day that somebody else asked for
    Approve(remote::Approve),
    /// Take one's own approval back
    Withdraw(remote::Named),
    /// Plan what of a game day has not begun anew, on the fleet as it is now; another plan is approved anew
    Replan(remote::Named),
    /// Answer yes to what a game day asks: a question, a hold, or (of alerts) to wait no longer
    Go(remote::Say),
    /// Answer no; of what is required, it ends the game day
    NoGo(remote::Say),
    /// Leave out what is asked
    Skip(remote::Say),
    /// Note what you see on a game day
    Note(remote::Note),
    /// Write down what somebody must see to
    Finding(remote::Find),
    /// End a game day now: what runs is undone, nothing more is started
    Abort(remote::Abort),
}

/// Show the run sheet, or the skeleton of a postmortem, from the journal of a game day
#[derive(Debug, Args)]
struct SheetArguments {
    /// The folder of a game day, or its journal [default: the newest in the state folder]; with --controller its id
    #[arg(value_name = "FOLDER|GAMEDAY")]
    folder: Option<PathBuf>,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: SheetFormat,
    /// Write it to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The controller that holds it, instead of this host
    #[command(flatten)]
    controller: ControllerFlags,
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

impl SheetFormat {
    /// As it is named, here and by the API.
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
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
        Task::List(list) => remote::list(list),
        Task::Show(named) => remote::show(named),
        Task::Approve(approve) => remote::approve(approve),
        Task::Withdraw(named) => remote::withdraw(named),
        Task::Replan(named) => remote::replan(named),
        Task::Go(say) => remote::answer(say, Answer::Go),
        Task::NoGo(say) => remote::answer(say, Answer::NoGo),
        Task::Skip(say) => remote::answer(say, Answer::Skip),
        Task::Note(note) => remote::note(note),
        Task::Finding(finding) => remote::find(finding),
        Task::Abort(abort) => remote::abort(abort),
    }
}

fn sheet(arguments: &SheetArguments, global: &Global) -> anyhow::Result<ExitCode> {
    let text = match &arguments.controller.controller {
        Some(url) => {
            let id = arguments.folder.as_ref().and_then(|id| id.to_str()).ok_or_else(|| {
                Failure::usage("no game day is named").hint("`faultline gameday list --controller URL` lists them")
            })?;
            remote::sheet(&arguments.controller.client_of(url)?, id, &arguments.format.word())?
        }
        None => sheet_of_folder(arguments, global)?,
    };
    match &arguments.out {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?,
        None => output::print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn sheet_of_folder(arguments: &SheetArguments, global: &Global) -> anyhow::Result<String> {
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => newest(&days(&StateFolder::locate(global.state.as_deref())?))?,
    };
    let entries = journal::read(&folder).map_err(|error| told(&error))?;
    let sheet = Sheet::from_entries(&entries).map_err(|error| {
        Failure::usage(format!("{}: {error}", folder.display())).hint("name the folder of a game day")
    })?;
    Ok(sheet.render(arguments.format.into())?)
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
