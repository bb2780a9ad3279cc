//! `faultline gameday run`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use faultline_agent::state::StateFolder;

use super::super::client::ControllerFlags;
use super::super::failure::Failure;
use super::super::flags::Global;
use super::super::output;
use super::terminal::{Terminal, listen};
use super::{days, told};
use crate::document::Kind;
use crate::document::load::{Loaded, load_setting, name_of};
use crate::document::set::Setting;
use crate::experiment::document::{API_VERSION, Experiment};
use crate::game_day::document::{ExperimentSource, GameDay, PlannedExperiment};
use crate::game_day::drive::{DriveError, LocalGameDay, Voices, hold};
use crate::game_day::hash;
use crate::game_day::machine::{Identity, Opened, ResolvedExperiment};
use crate::game_day::resolve;
use crate::game_day::spoken::{self, Spoken};
use crate::run::new_run_id;
use crate::targets::draw_seed;

/// Hold a game day, on this host or with --controller over its fleet: approvals, checklist, experiments, alerts, run sheet
///
/// What people say is read from standard input, a line each; `help` lists what can be said. On this host names are taken as
/// they are typed, and the run sheet says so. To a controller each speaks with a token of their own, here or elsewhere
/// (`gameday approve`, `go`, `note`), and it carries the game day out whether or not it is followed.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files with one game day and its experiments
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change a value of the game day first, as in `--set spec.window.until=2026-12-01T12:00`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// Who holds it on this host: whoever asks for approvals cannot give one [default: $USER]
    #[arg(long = "as", value_name = "NAME", env = "USER", hide_env = true, default_value = "somebody")]
    requester: String,
    /// Read what people say from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub(super) answers: Option<PathBuf>,
    /// Make the game day's folder below this one instead of in the state folder; of a controller's, only then
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// The controller that holds it over its fleet, instead of this host
    #[command(flatten)]
    controller: ControllerFlags,
    /// Ask the controller for it, print its id, and do not follow it
    #[arg(long, requires = "controller", help_heading = "Controller")]
    pub(super) detach: bool,
}

/// A game day as it is sent to a controller.
pub(super) struct Prepared {
    /// The game day after `--set`, and its experiments.
    pub(super) document: String,
    /// The game day as it was read.
    pub(super) text: String,
}

/// Reads what is to be sent.
pub(super) fn prepare(arguments: &Arguments, global: &Global) -> anyhow::Result<Prepared> {
    let (game_day, known) = read(arguments, global)?;
    // JSON is YAML.
    let mut document = serde_json::to_string_pretty(&game_day.document)?;
    for experiment in &known {
        let named = |planned: &PlannedExperiment| matches!(&planned.experiment, ExperimentSource::Named(name) if *name == experiment.document.metadata.name);
        if game_day.document.spec.experiments.iter().any(named) {
            document += "\n---\n";
            document += &serde_json::to_string_pretty(&experiment.document)?;
        }
    }
    for planned in &game_day.document.spec.experiments {
        found(&game_day, planned, &known)?;
    }
    Ok(Prepared { document, text: game_day.text })
}

pub(super) fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(url) = &arguments.controller.controller {
        let client = arguments.controller.client_of(url)?;
        return super::remote::run(&client, arguments, global);
    }
    let answers = arguments.answers.as_deref().map(|file| script(file, None)).transpose()?;
    let (game_day, experiments) = read(&arguments, global)?;
    let resolved = resolve(&game_day, &experiments)?;
    let state = StateFolder::resolve(global.state.as_deref())?;
    let private = resolved.iter().any(|(one, _)| one.experiment.spec.has_private_network());
    // Before the first thread: a user namespace is for a process with one alone.
    if private && !nix::unistd::geteuid().is_root() {
        faultline_agent::kernel::user_namespace::enter()
            .context("an ordinary user needs a user namespace for services of a run in a private network")?;
    }
    let (resolved, texts): (Vec<ResolvedExperiment>, Vec<String>) = resolved.into_iter().unzip();
    let plans: Vec<_> = resolved.iter().map(|one| one.hash.clone()).collect();
    let day = LocalGameDay {
        opened: Opened {
            id: new_run_id(),
            version: env!("CARGO_PKG_VERSION").into(),
            place: place(),
            file: game_day.file.clone(),
            hash: hash::of_game_day(&game_day.document, &plans),
            game_day: game_day.document,
            experiments: resolved,
            identity: Identity::Typed,
        },
        text: game_day.text,
        texts,
        requester: arguments.requester,
        days: arguments.out.unwrap_or_else(|| days(state.path())),
        state,
    };
    let voices = answers.map_or_else(|| Voices::Live(listen(None)), Voices::Script);
    let mut terminal = Terminal::new(global);
    let held = hold(&day, voices, &mut terminal).map_err(|error| failed(&error))?;
    held.sheet.write_into(&held.folder).map_err(|error| failed(&DriveError::Sheet(error)))?;
    output::print(&held.sheet.render(crate::game_day::sheet::Format::Markdown)?)?;
    if !global.quiet {
        output::tell(&format!("\nrun sheet and postmortem: {}\n", held.folder.display()));
    }
    Ok(ExitCode::from(held.sheet.exit_code))
}

fn failed(error: &DriveError) -> anyhow::Error {
    match error {
        DriveError::Journal(error) => told(error).into(),
        other => Failure::precondition(other.to_string()).into(),
    }
}

/// The one game day of the files, and all experiments in them. What is set is about the game day.
fn read(arguments: &Arguments, global: &Global) -> anyhow::Result<(Loaded<GameDay>, Vec<Loaded<Experiment>>)> {
    let (mut game_days, mut experiments) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        for loaded in load_setting(file, Kind::GameDay, &arguments.set)? {
            if !global.quiet {
                output::tell(&loaded.render_warnings(global.colour_on_stderr()));
            }
            match loaded.document.kind() {
                Kind::GameDay => game_days.extend(loaded.game_day()),
                Kind::Experiment => experiments.extend(loaded.experiment()),
                _ => {}
            }
        }
    }
    let count = game_days.len();
    match (game_days.pop(), count) {
        (Some(game_day), 1) => Ok((game_day, experiments)),
        _ => {
            let names = arguments.files.iter().map(|file| name_of(file)).collect::<Vec<_>>().join(", ");
            let message = format!("{count} game days in {names}, where one is held");
            Err(Failure::usage(message).hint("give a file with one `kind: GameDay`").into())
        }
    }
}

/// The experiments of a game day, in its order, each with the text that it came from.
fn resolve(
    game_day: &Loaded<GameDay>,
    known: &[Loaded<Experiment>],
) -> anyhow::Result<Vec<(ResolvedExperiment, String)>> {
    let resolve = |planned: &PlannedExperiment| {
        let experiment = found(game_day, planned, known)?;
        let text = match &planned.experiment {
            ExperimentSource::Inline(_) => format!("# written out in the game day, {API_VERSION}\n{}", game_day.text),
            ExperimentSource::Named(name) => {
                let named = known.iter().find(|one| one.document.metadata.name == *name);
                named.map(|one| one.text.clone()).unwrap_or_default()
            }
        };
        let seed = experiment.spec.seed.unwrap_or_else(draw_seed);
        let hash = hash::of_experiment(&experiment, seed);
        Ok((ResolvedExperiment { name: planned.name().to_owned(), experiment, seed, hash }, text))
    };
    game_day.document.spec.experiments.iter().map(resolve).collect()
}

/// One experiment of a game day.
fn found(
    game_day: &Loaded<GameDay>,
    planned: &PlannedExperiment,
    known: &[Loaded<Experiment>],
) -> Result<Experiment, Failure> {
    resolve::experiment(&game_day.document, planned, known.iter().map(|one| &one.document)).map_err(|missing| {
        let near = missing.near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let hint = format!("{near}give the file that it is in too: gameday run DAY.yaml EXPERIMENT.yaml");
        Failure::usage(format!("there is no experiment `{}` in these files", missing.name)).hint(hint)
    })
}

/// This host's name and kernel.
fn place() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => format!(
            "{} ({} {})",
            name.nodename().to_string_lossy(),
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy()
        ),
        Err(_) => "this host".into(),
    }
}

/// The lines of a file of answers, said by `speaker` if it is known who that is.
pub(super) fn script(file: &Path, speaker: Option<&str>) -> anyhow::Result<VecDeque<Spoken>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the answers {}", file.display()))?;
    let mut said = VecDeque::new();
    for (number, line) in text.lines().enumerate() {
        let spoken = spoken::parse(line, speaker)
            .map_err(|why| Failure::usage(format!("{}:{}: {why}", file.display(), number + 1)))?;
        said.extend(spoken);
    }
    Ok(said)
}
