//! `faultline gameday run`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use faultline_agent::state::StateFolder;

use super::super::failure::Failure;
use super::super::flags::Global;
use super::super::output;
use super::terminal::{Terminal, listen};
use super::{days, told};
use crate::document::load::{Loaded, load_setting, name_of};
use crate::document::set::Setting;
use crate::document::{Kind, suggest};
use crate::experiment::document::{self, API_VERSION, ApiVersion, Experiment, Metadata};
use crate::game_day::document::{ExperimentSource, GameDay};
use crate::game_day::drive::{DriveError, LocalGameDay, Voices, hold, write_sheets};
use crate::game_day::hash;
use crate::game_day::machine::{Identity, Opened, ResolvedExperiment};
use crate::game_day::spoken::{self, Spoken};
use crate::run::new_run_id;
use crate::targets::draw_seed;

/// Hold a game day on this host: approvals, checklist, experiments, alerts, run sheet
///
/// What people say is read from standard input, a line each; `help` lists what can be said. Names are taken as they are
/// typed, and the run sheet says so.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files with one game day and its experiments
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change a value of the game day first, as in `--set spec.window.until=2026-12-01T12:00`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// Who holds it: whoever asks for approvals cannot give one [default: $USER]
    #[arg(long = "as", value_name = "NAME", env = "USER", hide_env = true, default_value = "somebody")]
    requester: String,
    /// Read what people say from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Make the game day's folder below this one instead of in the state folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let answers = arguments.answers.as_deref().map(script).transpose()?;
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
    let voices = answers.map_or_else(|| Voices::Live(listen()), Voices::Script);
    let mut terminal = Terminal::new(global);
    let held = hold(&day, voices, &mut terminal).map_err(|error| failed(&error))?;
    write_sheets(&held.folder, &held.sheet).map_err(|error| failed(&error))?;
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
    let resolve = |planned: &crate::game_day::document::PlannedExperiment| {
        let (experiment, text) = match &planned.experiment {
            ExperimentSource::Inline(spec) => {
                let metadata = Metadata {
                    name: planned.name().to_owned(),
                    labels: game_day.document.metadata.labels.clone(),
                    annotations: std::collections::BTreeMap::new(),
                };
                let spec = (**spec).clone();
                let experiment =
                    Experiment { api_version: ApiVersion::V1, kind: document::Kind::Experiment, metadata, spec };
                (experiment, format!("# written out in the game day, {API_VERSION}\n{}", game_day.text))
            }
            ExperimentSource::Named(name) => {
                let found = known.iter().find(|one| one.document.metadata.name == *name).ok_or_else(|| {
                    let names = known.iter().map(|one| one.document.metadata.name.as_str());
                    let near = suggest::nearest(name, names).map(|near| format!("did you mean `{near}`? "));
                    let hint = format!(
                        "{}give the file that it is in too: gameday run DAY.yaml EXPERIMENT.yaml",
                        near.unwrap_or_default()
                    );
                    Failure::usage(format!("there is no experiment `{name}` in these files")).hint(hint)
                })?;
                (found.document.clone(), found.text.clone())
            }
        };
        let seed = experiment.spec.seed.unwrap_or_else(draw_seed);
        let hash = hash::of_experiment(&experiment, seed);
        Ok((ResolvedExperiment { name: planned.name().to_owned(), experiment, seed, hash }, text))
    };
    game_day.document.spec.experiments.iter().map(resolve).collect()
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

/// The lines of a file of answers.
fn script(file: &Path) -> anyhow::Result<VecDeque<Spoken>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the answers {}", file.display()))?;
    let mut said = VecDeque::new();
    for (number, line) in text.lines().enumerate() {
        let spoken =
            spoken::parse(line).map_err(|why| Failure::usage(format!("{}:{}: {why}", file.display(), number + 1)))?;
        said.extend(spoken);
    }
    Ok(said)
}
