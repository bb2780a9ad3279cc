//! `faultline report`: the report of a run, made again from its journal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use faultline_agent::state::StateFolder;

use super::flags::Global;
use super::output;
use crate::report::ink::{self, Ink};
use crate::report::runs::{self, RunSummary};
use crate::report::{Format, Journal, RunReport, notation};
use crate::score::record::around_run;

/// Show the report of a run again, in any format, from its journal alone
///
/// The exit code is 0 whenever the report could be made; that of the run itself stands in the report.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A run by its id or a part of it, `latest`, or a path of its folder or journal
    #[arg(default_value = "latest", value_name = "RUN")]
    pub run: String,
    /// The format [default: by the ending of --out, else human]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Write the report to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// List the runs with their verdicts, the newest first
    #[arg(long, conflicts_with_all = ["run", "out"])]
    pub list: bool,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// The formats of a report, as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people at a terminal
    Human,
    /// All data, as schemas/report.json describes it
    Json,
    /// One HTML file that loads nothing and runs nothing
    Html,
    /// JUnit XML, for CI systems
    Junit,
    /// Markdown, for the summaries of CI systems
    Markdown,
}

impl ReportFormat {
    /// The format that a file's ending asks for.
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "html" | "htm" => Some(Self::Html),
            "xml" => Some(Self::Junit),
            "md" | "markdown" => Some(Self::Markdown),
            "txt" => Some(Self::Human),
            _ => None,
        }
    }

    /// As the API of a controller calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Html => "html",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        }
    }

    /// The format in full; only text for people knows colours and width.
    pub fn with(self, colour: bool, width: usize) -> Format {
        match self {
            Self::Human => Format::Human { colour, width },
            Self::Json => Format::Json,
            Self::Html => Format::Html,
            Self::Junit => Format::Junit,
            Self::Markdown => Format::Markdown,
        }
    }
}

/// Prints or writes the report, or lists the runs.
///
/// # Errors
/// If there is no such run, its journal cannot be read, or the report cannot be written.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let json = arguments.json || arguments.format == Some(ReportFormat::Json);
    if arguments.list {
        let listed = runs::list(&StateFolder::resolve(global.state.as_deref())?.runs(), usize::MAX)?;
        if json {
            output::print_json(&listed)?;
        } else {
            output::print(&list(&listed, global.colour_on_stdout(), output_width()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let journal = journal_of(&arguments.run, global)?;
    let mut report = RunReport::from_journal(&Journal::read(&journal)?)?;
    report.service_score = around_run(&report, &journal);
    let by_file = arguments.out.as_deref().and_then(ReportFormat::of_file);
    let format = if json { Some(ReportFormat::Json) } else { arguments.format.or(by_file) };
    let format = format.unwrap_or(ReportFormat::Human);
    match arguments.out.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let text = crate::report::render(&report, format.with(false, WIDEST))?;
            std::fs::write(path, text).with_context(|| format!("cannot write the report to {}", path.display()))?;
            if !global.quiet {
                output::tell(&format!("report of run {} written to {}\n", report.run.id, path.display()));
            }
        }
        None => {
            let colour = global.colour_on_stdout();
            let mut text = crate::report::render(&report, format.with(colour, output_width()))?;
            if format == ReportFormat::Human {
                text.push_str(&place(&journal, colour));
            }
            output::print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The journal of a run by its id or a part of it, `latest`, or a path of its folder or journal.
///
/// # Errors
/// If there is no such run, or no state folder in which to look for it.
pub(super) fn journal_of(run: &str, global: &Global) -> anyhow::Result<PathBuf> {
    // A path needs no state folder, which may be another user's.
    if run.contains('/') {
        return Ok(runs::find(Path::new(""), run)?);
    }
    Ok(runs::find(&StateFolder::resolve(global.state.as_deref())?.runs(), run)?)
}

/// Lines longer than this are hard to read, however wide the terminal.
pub const WIDEST: usize = 110;

/// The width for text on standard output: that of the terminal, else 80.
pub fn output_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0);
    size.map_or(80, |size| usize::from(size.ws_col).min(WIDEST))
}

/// Where the pages of a run are: a last line for people.
pub fn place(journal: &Path, colour: bool) -> String {
    let Some(folder) = journal.parent() else { return String::new() };
    let page = folder.join("report.html");
    if page.is_file() {
        format!("{} {}\n", Ink::Faint.paint("Report:", colour), page.display())
    } else {
        let journal = journal.display();
        format!(
            "{} {journal} (`faultline report {journal} --out report.html` makes a page of it)\n",
            Ink::Faint.paint("Journal:", colour)
        )
    }
}

/// The runs as a table: sign and verdict, when, how long, what.
fn list(listed: &[RunSummary], colour: bool, width: usize) -> String {
    if listed.is_empty() {
        return "no runs yet: `faultline run FILE` or `faultline demo` makes one\n".into();
    }
    let line = |summary: &RunSummary| {
        let (sign, ink) = summary.verdict.map_or(("?", Ink::Open), ink::of_run);
        let word = match (summary.verdict, summary.finished) {
            (Some(verdict), true) => notation::run_verdict(verdict),
            (Some(_), false) => "not finished",
            (None, _) => "unreadable",
        };
        let took = summary.duration.map(notation::seconds).unwrap_or_default();
        let name = notation::one_line(summary.experiment.as_deref().unwrap_or("–"));
        let head = format!("{sign} {word:<19}");
        let rest = format!("{}  {took:>11}  {name}", notation::one_line(&summary.run));
        let because = notation::one_line(&summary.because);
        let because: String = because.chars().take(width.saturating_sub(4)).collect();
        format!("{}{rest}\n    {}\n", ink.paint(&head, colour), Ink::Faint.paint(&because, colour))
    };
    listed.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    fn state_with_runs() -> (tempfile::TempDir, Global) {
        let scratch = tempfile::tempdir().unwrap();
        let global = Global { state: Some(scratch.path().join("state")), quiet: true, ..Global::default() };
        let runs = StateFolder::resolve(global.state.as_deref()).unwrap().runs();
        for (id, ending) in [("20261121T081500-5ca1ab", Ending::Held), ("20261121T091500-5eabed", Ending::CutOff)] {
            std::fs::create_dir(runs.join(id)).unwrap();
            std::fs::write(runs.join(id).join(runs::JOURNAL), fixture::lines(&fixture::journal(ending))).unwrap();
        }
        (scratch, global)
    }

    fn arguments(run: &str, out: Option<PathBuf>) -> Arguments {
        Arguments { run: run.into(), format: None, out, list: false, json: false }
    }

    #[test]
    fn the_ending_of_the_file_chooses_the_format() {
        let (scratch, global) = state_with_runs();
        for (file, beginning) in [
            ("a.html", "<!DOCTYPE html>"),
            ("a.json", "{\n"),
            ("a.xml", "<?xml"),
            ("a.md", "## ✅ held"),
            ("a.out", "✔ HELD"),
        ] {
            let path = scratch.path().join(file);
            run(arguments("5ca1ab", Some(path.clone())), &global).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(beginning), "{file}: {}", &text[..40]);
        }
        let nowhere = run(arguments("latest", Some(scratch.path().join("no/such/folder.md"))), &global).unwrap_err();
        assert!(nowhere.to_string().contains("cannot write the report to"), "{nowhere}");
    }

    #[test]
    fn an_unknown_run_is_a_usage_error_that_names_the_nearest() {
        let (_scratch, global) = state_with_runs();
        let error = run(arguments("20261121T081500-5ca1a0", None), &global).unwrap_err();
        let told = crate::cli::failure::render(&error, false);
        assert!(told.contains("did you mean `20261121T081500-5ca1ab`?"), "{told}");
        assert_eq!(crate::cli::failure::exit_code(&error), crate::cli::failure::USAGE);
    }

    #[test]
    fn the_list_of_runs() {
        let (scratch, _global) = state_with_runs();
        let listed = runs::list(&scratch.path().join("state/runs"), 10).unwrap();
        insta::assert_snapshot!(list(&listed, false, 80));
    }
}
