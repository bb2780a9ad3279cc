//! `faultline run`: experiments on this host, one after the other, to their verdicts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use faultline_agent::state::StateFolder;

use super::client::{self, ControllerFlags};
use super::failure::Failure;
use super::flags::{Global, RunFlags};
use super::live::{Live, LiveTarget};
use super::report::{output_width, place};
use super::{output, plan};
use crate::document::Document;
use crate::document::load::{Loaded, load, name_of};
use crate::document::set::Setting;
use crate::experiment::check::can_run_alone;
use crate::experiment::document::Experiment;
pub(super) use crate::gate::result::worst;
use crate::hypothesis::verdict::RunVerdict;
use crate::report::{self, Format, RunReport};
use crate::run::{self, Outcome, RunRequest};
use crate::schedule::document::ExperimentSource;
use crate::score::record::around_run;
use crate::slo::ledger::{self, Spending};
use crate::targets::draw_seed;

/// Run experiments on this host and judge them
#[derive(Debug, Args)]
pub struct Arguments {
    /// Documents to run, in this order; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the runs are made
    #[command(flatten)]
    pub flags: RunFlags,
    /// Do everything but the faults' own steps: nothing is injected, and the verdict is about the system as it is
    // In the help it stands beside `--dry-run`, which is the third.
    #[arg(long, conflicts_with = "controller", display_order = 2)]
    pub placebo: bool,
    /// Write a JUnit report of all runs to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The controller on whose fleet to run, instead of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How many people must approve the plan before it runs
    #[arg(long, default_value_t = 0, value_name = "NUMBER", requires = "controller", help_heading = "Controller")]
    pub approvals: u32,
    /// Run only if the plan has this hash, as `faultline plan --controller` printed it
    #[arg(long, value_name = "HASH", requires = "controller", help_heading = "Controller")]
    pub plan_hash: Option<String>,
    /// What to print on standard output at the end: a report for people, or one JSON object a line for each run
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}

/// What is printed at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// A report for people
    #[default]
    Human,
    /// The report as JSON
    Json,
}

/// Runs every experiment of every file; the worst verdict decides the exit code.
///
/// # Errors
/// If a document is wrong, or a run cannot begin.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let documents = experiments(&arguments.files, &arguments.flags.set, global)?;
    for document in documents.iter().filter(|_| !global.quiet) {
        output::tell(&document.render_warnings(global.colour_on_stderr()));
    }
    if let Some(url) = &arguments.controller.controller {
        let client = arguments.controller.client_of(url)?;
        let json = arguments.format == OutputFormat::Json;
        let RunFlags { set, seed, dry_run, .. } = &arguments.flags;
        return match dry_run {
            true => client::run::plan(&client, &documents, set.is_empty(), *seed, json),
            false => client::run::run_all(&client, &documents, &arguments, global),
        };
    }
    if arguments.flags.dry_run {
        return plan::show(&documents, &[], arguments.flags.seed, arguments.format == OutputFormat::Json, global);
    }
    run_all(&documents, &arguments, global)
}

/// Reads files for the experiments in them. Other documents beside them are named and left alone; a file without an
/// experiment is an error.
pub(super) fn experiments(
    files: &[PathBuf],
    set: &[Setting],
    global: &Global,
) -> anyhow::Result<Vec<Loaded<Experiment>>> {
    let mut experiments = Vec::new();
    for file in files {
        let before = experiments.len();
        let mut others = Vec::new();
        for loaded in load(file, set)? {
            match loaded.experiment() {
                Ok(experiment) => experiments.push(experiment),
                Err(other) => others.push(other),
            }
        }
        let Some(first) = others.first() else { continue };
        let names: Vec<String> =
            others.iter().map(|other| format!("the {} {}", other.kind().noun(), other.metadata().name)).collect();
        if experiments.len() == before {
            let message = format!("{} has no experiment, only {}", name_of(file), names.join(", "));
            return Err(Failure::usage(message).hint(instead(first, file)).into());
        }
        if !global.quiet {
            output::tell(&format!("{}: left alone here: {}\n", name_of(file), names.join(", ")));
        }
    }
    Ok(experiments)
}

/// What to do with a document that is no experiment.
fn instead(document: &Document, file: &Path) -> String {
    match document {
        Document::Experiment(_) => format!("`faultline run {}`", file.display()),
        Document::Schedule(schedule) => {
            let once = match &schedule.spec.experiment {
                ExperimentSource::Named(name) => format!("give the file of the experiment {name}"),
                ExperimentSource::Inline(_) => "put its experiment into a document of its own".into(),
            };
            let file = file.display();
            format!(
                "`faultline schedule preview {file}` shows when it fires, `faultline serve` fires it; to run it once, {once}"
            )
        }
        Document::GameDay(_) => format!("`faultline gameday run {}`", file.display()),
    }
}

/// Runs documents that are loaded already.
pub(super) fn run_all(
    documents: &[Loaded<Experiment>],
    arguments: &Arguments,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    documents.iter().try_for_each(can_run_alone)?;
    // The state folder belongs to the user who calls, so it is found before a user namespace makes him root.
    let state = StateFolder::resolve(global.state.as_deref())?;
    let private = documents.iter().any(|loaded| loaded.document.spec.has_private_network());
    if private && !nix::unistd::geteuid().is_root() {
        faultline_agent::kernel::user_namespace::enter()
            .context("an ordinary user needs a user namespace for services of a run in a private network")?;
    }
    let mut codes = Vec::new();
    let mut reports = Vec::new();
    for document in documents {
        let outcome = one(document, arguments, &state, global)?;
        let mut report = RunReport::from_entries(&outcome.entries)?;
        report.service_score = around_run(&report, &outcome.folder.journal());
        deliver(&outcome, &report, arguments, global)?;
        reports.push(report);
        codes.push(outcome.verdict.exit_code());
        if outcome.verdict == RunVerdict::Interrupted {
            break;
        }
    }
    if let Some(file) = &arguments.junit {
        write(file, &report::junit(&reports)?)?;
    }
    Ok(ExitCode::from(worst(&codes)))
}

fn one(
    loaded: &Loaded<Experiment>,
    arguments: &Arguments,
    state: &StateFolder,
    global: &Global,
) -> anyhow::Result<Outcome> {
    let request = RunRequest {
        experiment: loaded.document.clone(),
        file: loaded.file.clone(),
        text: loaded.text.clone(),
        seed: arguments.flags.seed.or(loaded.document.spec.seed).unwrap_or_else(draw_seed),
        runs: arguments.flags.out.clone().unwrap_or_else(|| state.runs()),
        placebo: arguments.placebo,
    };
    let mut live = Live::new(&loaded.document, LiveTarget::choose(global));
    let outcome = run::execute(&request, state, &mut live);
    live.finish();
    if let Some(spending) = outcome.as_ref().ok().and_then(|outcome| Spending::of(&outcome.entries))
        && let Err(error) = ledger::append(state, &spending)
    {
        output::tell(&format!("warning: {error}\n"));
    }
    outcome.map_err(|error| {
        let hint = error.hint();
        Failure::precondition(error.to_string()).hint(hint).into()
    })
}

fn deliver(outcome: &Outcome, report: &RunReport, arguments: &Arguments, global: &Global) -> anyhow::Result<()> {
    write(&outcome.folder.report(), &report::render(report, Format::Html)?)?;
    match arguments.format {
        OutputFormat::Human => {
            let colour = global.colour_on_stdout();
            let text = report::render(report, Format::Human { colour, width: output_width() })?;
            output::print(&(text + &place(&outcome.folder.journal(), colour)))
        }
        OutputFormat::Json => output::print(&(serde_json::to_string(report)? + "\n")),
    }
}

pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write the report {}", file.display()))
}
