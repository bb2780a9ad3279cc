//! Which experiments the gate is about: everything that was given is read and checked before anything is touched.

use super::Arguments;
use crate::cli::failure::Failure;
use crate::cli::flags::Global;
use crate::cli::output;
use crate::document::Kind;
use crate::document::load::{LoadError, load_setting, name_of};
use crate::experiment::check::can_run_alone;
use crate::gate::Candidate;
use crate::gate::select::{files, is_selected, named, same_name};

/// The experiments that were selected, in the order of their files; nothing if a document is wrong, which was told with
/// everything that is wrong then.
pub(super) fn candidates(arguments: &Arguments, global: &Global) -> anyhow::Result<Option<Vec<Candidate>>> {
    let found = files(&arguments.paths).map_err(|error| {
        Failure::usage(error.to_string()).hint("give files of documents, or folders with such files")
    })?;
    let mut all = Vec::new();
    let mut wrong: Vec<LoadError> = Vec::new();
    for file in &found {
        let loaded = match load_setting(&file.path, Kind::Experiment, &arguments.flags.set) {
            Ok(loaded) => loaded,
            Err(error) => {
                wrong.push(error);
                continue;
            }
        };
        let experiments: Vec<_> = loaded.into_iter().filter_map(|one| one.experiment().ok()).collect();
        if experiments.is_empty() && file.named {
            let message = format!("{} has no experiment", name_of(&file.path));
            return Err(Failure::usage(message)
                .hint("the gate runs experiments; `faultline schedule` and `faultline gameday` the rest")
                .into());
        }
        all.extend(experiments.into_iter().map(Candidate::new));
    }
    let number = all.len();
    let selected: Vec<Candidate> = all
        .into_iter()
        .filter(|candidate| is_selected(&candidate.loaded.document.metadata.labels, &arguments.select))
        .collect();
    if arguments.controller.controller.is_none() {
        wrong.extend(selected.iter().filter_map(|candidate| can_run_alone(&candidate.loaded).err()));
    }
    if !wrong.is_empty() {
        let colour = global.colour_on_stderr();
        let text: Vec<String> = wrong.iter().map(|error| error.render(colour)).collect();
        output::tell(&text.join("\n"));
        output::tell(&format!("\nnothing was started: {} of {} files are not usable\n", wrong.len(), found.len()));
        return Ok(None);
    }
    if selected.is_empty() {
        let paths = named(&arguments.paths);
        let (message, hint) = match (number, found.len()) {
            (0, 0) => (format!("there is no document in {paths}"), "documents are *.yaml files".to_owned()),
            (0, files) => (
                format!("there is no experiment in the {files} files of {paths}"),
                "an experiment is `kind: Experiment`".into(),
            ),
            (number, _) => {
                let asked: Vec<String> = arguments.select.iter().map(ToString::to_string).collect();
                (
                    format!(
                        "none of the {number} experiments of {paths} has labels of which {} is true",
                        asked.join(" and ")
                    ),
                    "labels stand in `metadata.labels`; a gate that runs nothing is no pass".into(),
                )
            }
        };
        return Err(Failure::usage(message).hint(hint).into());
    }
    if let Some((first, second)) = same_name(&selected) {
        let (name, (one, other)) = (first.name(), (&first.loaded.file, &second.loaded.file));
        let message = format!("two experiments are called {name}: {one}:{} and {other}:{}", first.line, second.line);
        return Err(Failure::usage(message)
            .hint("baselines and quarantines know experiments by their names: rename one")
            .into());
    }
    for candidate in selected.iter().filter(|_| !global.quiet) {
        output::tell(&candidate.loaded.render_warnings(global.colour_on_stderr()));
    }
    Ok(Some(selected))
}
