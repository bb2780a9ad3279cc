//! `faultline plan`: what a run would do, to whom, and how each change is undone; touches nothing.

mod human;
mod make;
mod objectives;
mod slos;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use faultline_agent::plan::{Plan, UndoClass};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use serde::Serialize;

use super::client::{self, ControllerFlags};
use super::failure::Failure;
use super::flags::{DataFormat, Global};
use super::report::journal_of;
use super::run::experiments;
use super::{failure, output};
use crate::document::load::Loaded;
use crate::document::set::Setting;
use crate::experiment::check::can_run_alone;
use crate::experiment::document::{Experiment, ServiceNetwork};
use crate::report::Journal;
use crate::run::journal::Entry;

/// Show targets, every step and its undo; touches nothing
///
/// Targets are resolved as things are now. What is only known once the services of the run are up is named, and
/// resolved at the run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Experiment files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Change a value first, as in `--set method[1].inject.for=5s`
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<Setting>,
    /// The seed of everything left to chance, instead of the document's
    #[arg(long)]
    pub seed: Option<u64>,
    /// A recorded run, by its id or a part of it, whose baseline tells what usually comes of the signals
    ///
    /// From it is computed how long the baseline and the faults must last for each objective. Without it that is known of
    /// probers alone, and as if nothing ever failed.
    #[arg(long, value_name = "RUN")]
    pub baseline: Option<String>,
    /// The controller on whose fleet to plan, instead of this host
    #[command(flatten)]
    pub controller: ControllerFlags,
    /// How to print
    #[command(flatten)]
    pub format: DataFormat,
}

/// The plan of one experiment, for other programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExperimentPlan {
    /// The experiment's name.
    experiment: String,
    /// Its hypothesis.
    hypothesis: String,
    /// The file.
    file: String,
    /// The seed with which targets were chosen.
    seed: u64,
    /// Whether that seed was drawn just now; a run draws another unless it is told this one.
    seed_drawn: bool,
    /// The network in which signals and faults act.
    network: ServiceNetwork,
    /// What the run starts itself, by name.
    services: Vec<String>,
    /// The SLOs by which is judged: of which file, what they say, and what of the document they became.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slos: Vec<String>,
    /// What may be spent of an error budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
    /// What is to be shown, and how long that takes.
    objectives: Vec<ObjectivePlan>,
    /// The longest bursts of bad events that the baseline shows; a guardrail takes longer ones for harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    bursts: Option<TimeSpan>,
    /// What is done, in order; faults of `together` share a number.
    steps: Vec<StepPlan>,
    /// How soon everything must be steady again.
    recovery: TimeSpan,
    /// Where the network for which was planned could be opened while it was there.
    #[serde(skip)]
    private_path: Option<String>,
    /// Why no run would begin now, if the host is halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<String>,
}

/// How long the baseline and the faults must last for one objective.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectivePlan {
    /// The objective in a few words.
    objective: String,
    /// So long each; nothing where that is not known, or no length is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<TimeSpan>,
    /// What that rests on.
    because: String,
    /// Which of them is shorter, and what comes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_short: Option<String>,
}

/// One step of the method.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepPlan {
    /// Its number, counted from 1.
    number: usize,
    /// How long it lasts.
    lasts: TimeSpan,
    /// The fault, unless it only observes.
    #[serde(skip_serializing_if = "Option::is_none")]
    inject: Option<FaultPlan>,
}

/// One fault of the method.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultPlan {
    /// Its name in the catalogue.
    fault: &'static str,
    /// Its parameters as given.
    parameters: serde_json::Value,
    /// The target's name, or `host`.
    target: String,
    /// How it is undone after everything of Faultline has died: of the plan, or the fault's worst.
    undo: UndoClass,
    /// What is known.
    outcome: PlanOutcome,
}

/// What is known of a fault before the run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum PlanOutcome {
    /// Everything.
    Resolved {
        /// What the target is now, one line each.
        targets: Vec<String>,
        /// The plan.
        plan: Box<Plan>,
    },
    /// The target is only known at the run.
    AtTheRun {
        /// Why.
        because: String,
    },
    /// A run would fail here.
    Impossible {
        /// Why, with its causes.
        because: String,
        /// The way on.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// The exit code that the run would have.
        code: u8,
    },
}

/// Reads the documents and shows their plans.
///
/// # Errors
/// If a document is wrong.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let documents = experiments(&arguments.files, &arguments.set, global)?;
    if let Some(url) = &arguments.controller.controller {
        if arguments.baseline.is_some() {
            return Err(Failure::usage("a plan of a fleet takes no `--baseline`: its runs are kept by the controller")
                .hint("plan without `--controller` to see what the objectives need")
                .into());
        }
        let client = arguments.controller.client_of(url)?;
        let (as_it_is, json) = (arguments.set.is_empty(), arguments.format.json);
        return client::run::plan(&client, &documents, as_it_is, arguments.seed, json);
    }
    let recorded = match &arguments.baseline {
        Some(run) => Journal::read(&journal_of(run, global)?)?.entries,
        None => Vec::new(),
    };
    show(&documents, &recorded, arguments.seed, arguments.format.json, global)
}

/// Shows what running these documents would do; the exit code is that of the first fault that could not be injected. The
/// journal of an earlier run, if there is one, tells what usually comes of the signals.
///
/// # Errors
/// If the host cannot be read, or the plan cannot be printed.
pub fn show(
    documents: &[Loaded<Experiment>],
    recorded: &[Entry],
    seed: Option<u64>,
    json: bool,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    documents.iter().try_for_each(can_run_alone)?;
    let state = StateFolder::locate(global.state.as_deref())?;
    let plans: Vec<ExperimentPlan> =
        documents.iter().map(|document| make::plan(document, seed, &state, recorded)).collect::<anyhow::Result<_>>()?;
    if json {
        output::print_json(&plans)?;
    } else {
        let warnings: String = documents.iter().map(|one| one.render_warnings(global.colour_on_stderr())).collect();
        output::tell(&warnings);
        output::print(&plans.iter().map(human::render).collect::<Vec<_>>().join("\n"))?;
    }
    let impossible = plans.iter().flat_map(|plan| &plan.steps).filter_map(|step| step.inject.as_ref());
    let code = impossible.into_iter().find_map(|fault| match fault.outcome {
        PlanOutcome::Impossible { code, .. } => Some(code),
        PlanOutcome::Resolved { .. } | PlanOutcome::AtTheRun { .. } => None,
    });
    let halted = plans.iter().any(|plan| plan.halted.is_some()).then_some(failure::PRECONDITION);
    Ok(code.or(halted).map_or(ExitCode::SUCCESS, ExitCode::from))
}
