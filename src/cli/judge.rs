//! `faultline judge`: a recorded run, judged again from its journal by the same objectives or by others.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::failure::Failure;
use super::flags::Global;
use super::output;
use super::report::{ReportFormat, WIDEST, journal_of, output_width};
use crate::document::load::{self, Loaded};
use crate::experiment::document::Experiment;
use crate::hypothesis::judge_again;
use crate::report::{Journal, JudgedAgain, RunReport};
use crate::run::journal::Event;

/// Judge a recorded run again, by its own objectives or by those of another document
///
/// From the journal alone; nothing is injected, and nothing is written into the run's folder. Of the other document
/// steadyState, guardrails, errorRate and recovery are used, on the signals that the run recorded. The exit code is that
/// of a run with the new verdict.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A run by its id or a part of it, `latest`, or a path of its folder or journal
    #[arg(default_value = "latest", value_name = "RUN")]
    pub run: String,
    /// The experiment by whose objectives to judge [default: the run's own, which must give the same verdict again]
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// The format [default: by the ending of --out, else human]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Write the report to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// Judges, prints the report, and answers with the exit code of the new verdict.
///
/// # Errors
/// If there is no such run, its journal or the document cannot be read, or an objective is on what was not recorded.
pub fn run(arguments: Arguments, global: &Global) -> anyhow::Result<ExitCode> {
    let journal = journal_of(&arguments.run, global)?;
    let out = arguments.out.as_deref().filter(|path| *path != Path::new("-"));
    if let Some(out) = out {
        is_elsewhere(out, &journal)?;
    }
    let read = Journal::read(&journal)?;
    let other = match &arguments.with {
        Some(file) => Some(experiment(file, &read, global)?),
        None => None,
    };
    let again = judge_again(&read.entries, other.as_ref().map(|other| &other.document.spec))
        .with_context(|| format!("cannot judge {} again", journal.display()))?;
    let mut report = RunReport::from_journal(&Journal { entries: again.entries, torn: read.torn })?;
    report.judged_again = Some(JudgedAgain {
        with: other.map(|other| other.file),
        was: again.was.as_ref().map(|(verdict, _)| *verdict),
        was_because: again.was.map(|(_, because)| because),
        same: again.same,
        notes: again.notes,
    });
    let by_file = out.and_then(ReportFormat::of_file);
    let format = if arguments.json { Some(ReportFormat::Json) } else { arguments.format.or(by_file) };
    let format = format.unwrap_or(ReportFormat::Human);
    match out {
        Some(out) => {
            let text = crate::report::render(&report, format.with(false, WIDEST))?;
            std::fs::write(out, text).with_context(|| format!("cannot write the report to {}", out.display()))?;
            if !global.quiet {
                output::tell(&format!("new judgement of run {} written to {}\n", report.run.id, out.display()));
            }
        }
        None => {
            let format = format.with(global.colour_on_stdout(), output_width());
            output::print(&crate::report::render(&report, format)?)?;
        }
    }
    Ok(ExitCode::from(report.exit_code))
}

/// The one experiment of a file, or of several the one with the name of the run's.
fn experiment(file: &Path, journal: &Journal, global: &Global) -> anyhow::Result<Loaded<Experiment>> {
    let mut experiments: Vec<Loaded<Experiment>> =
        load::load(file, &[])?.into_iter().filter_map(|loaded| loaded.experiment().ok()).collect();
    let name = journal.entries.iter().find_map(|entry| match &entry.event {
        Event::Started(started) => Some(started.experiment.metadata.name.as_str()),
        _ => None,
    });
    let names: Vec<String> = experiments.iter().map(|loaded| loaded.document.metadata.name.clone()).collect();
    let place = match names.as_slice() {
        [_] => Some(0),
        names => names.iter().position(|found| Some(found.as_str()) == name),
    };
    let Some(place) = place else {
        let what = if names.is_empty() { "no experiment".into() } else { format!("experiments {}", names.join(", ")) };
        return Err(Failure::usage(format!("{} holds {what}; one to judge by is needed", file.display()))
            .hint("give a file with one experiment, or with one that is called as the run's is")
            .into());
    };
    let experiment = experiments.swap_remove(place);
    if !global.quiet && !experiment.warnings.is_empty() {
        output::tell(&(experiment.render_warnings(global.colour_on_stderr()) + "\n"));
    }
    Ok(experiment)
}

/// The run's folder holds what was, and stays as it is.
fn is_elsewhere(out: &Path, journal: &Path) -> anyhow::Result<()> {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().ok()
    };
    match (folder(out), folder(journal)) {
        (Some(out), Some(run)) if out.starts_with(&run) => Err(Failure::usage(format!(
            "{} is in the folder of the run, which stays as the run left it",
            run.display()
        ))
        .hint("give --out a place elsewhere")
        .into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use faultline_agent::state::StateFolder;

    use super::*;
    use crate::cli::failure;
    use crate::report::fixture::{self, Ending};
    use crate::report::runs;

    const RUN: &str = "20261121T081500-5ca1ab";

    /// A state folder with a run, and the run's document as a file beside it, changed by this.
    fn given(ending: Ending, change: impl FnOnce(&mut serde_json::Value)) -> (tempfile::TempDir, Global, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let global = Global { state: Some(scratch.path().join("state")), quiet: true, ..Global::default() };
        let run = StateFolder::resolve(global.state.as_deref()).unwrap().runs().join(RUN);
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join(runs::JOURNAL), fixture::lines(&fixture::journal(ending))).unwrap();
        let mut document = fixture::document();
        // Bounds that so few requests can prove.
        document["spec"]["steadyState"][0]["latency"]["quantile"] = 0.95.into();
        document["spec"]["steadyState"][1]["errors"]["below"] = "4%".into();
        document["spec"]["steadyState"].as_array_mut().unwrap().truncate(2);
        change(&mut document);
        let file = scratch.path().join("other.yaml");
        std::fs::write(&file, serde_json::to_string(&document).unwrap()).unwrap();
        (scratch, global, file)
    }

    fn arguments(with: Option<PathBuf>, out: Option<PathBuf>) -> Arguments {
        Arguments { run: "latest".into(), with, format: None, out, json: false }
    }

    fn code(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn the_exit_code_is_that_of_the_new_verdict_and_the_runs_folder_is_left_alone() {
        let (scratch, global, file) = given(Ending::Violated, |document| {
            document["spec"]["steadyState"][0]["latency"]["below"] = "2s".into();
        });
        let folder = scratch.path().join("state/runs").join(RUN);
        let before = std::fs::read(folder.join(runs::JOURNAL)).unwrap();
        let page = scratch.path().join("again.json");
        let exit = run(arguments(Some(file.clone()), Some(page.clone())), &global).unwrap();
        assert_eq!(code(exit), code(ExitCode::SUCCESS), "{}", std::fs::read_to_string(&page).unwrap());
        let report: RunReport = serde_json::from_slice(&std::fs::read(&page).unwrap()).unwrap();
        let again = report.judged_again.unwrap();
        assert_eq!(again.was, Some(crate::hypothesis::verdict::RunVerdict::Violated));
        assert!(!again.same && again.with.unwrap().ends_with("other.yaml"));
        // The same inputs, the same bytes.
        let first = std::fs::read(&page).unwrap();
        run(arguments(Some(file), Some(page.clone())), &global).unwrap();
        assert_eq!(std::fs::read(&page).unwrap(), first);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(std::fs::read(folder.join(runs::JOURNAL)).unwrap(), before);
        let inside = run(arguments(None, Some(folder.join("report.html"))), &global).unwrap_err();
        assert!(inside.to_string().contains("in the folder of the run"), "{inside}");
    }

    #[test]
    fn a_signal_that_was_not_recorded_is_an_error_that_lists_those_that_were() {
        let (_scratch, global, file) = given(Ending::Held, |document| {
            let signals = document["spec"]["signals"].as_object_mut().unwrap();
            let signal = signals.remove("checkout").unwrap();
            signals.insert("checkouts".into(), signal);
            let text = document.to_string().replace("\"signal\":\"checkout\"", "\"signal\":\"checkouts\"");
            *document = serde_json::from_str(&text).unwrap();
        });
        let error = run(arguments(Some(file), None), &global).unwrap_err();
        let told = failure::render(&error, false);
        assert!(told.contains("did you mean `checkout`? it recorded checkout, orders, queue, shop-host"), "{told}");
        assert_eq!(failure::exit_code(&error), failure::USAGE);
    }
}
