//! The trials of a host: its runs, by their journals.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::{AroundRun, Outcome, Trial, around};
use crate::experiment::document::Experiment;
use crate::hypothesis::verdict::RunVerdict;
use crate::report::runs::{self, JOURNAL, RunsError};
use crate::report::{Journal, ReportError, RunReport};
use crate::run::journal::{Entry, Event, Started};

/// The label that names the service of an experiment without `spec.about`.
pub const SERVICE_LABEL: &str = "service";

/// What the runs of a host are to scores.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trials {
    /// Those of services.
    pub trials: Vec<Trial>,
    /// How many runs name no service.
    pub of_no_service: usize,
    /// How many journals could not be read.
    pub unreadable: usize,
}

/// Reads the runs of a folder.
///
/// # Errors
/// If the folder cannot be read; that it is not there is no error, but no runs.
pub fn read(folder: &Path) -> Result<Trials, RunsError> {
    let mut all = Trials::default();
    for id in runs::ids(folder)? {
        match of_journal(&folder.join(&id).join(JOURNAL)) {
            Ok(Some(trial)) => all.trials.push(trial),
            Ok(None) => all.of_no_service += 1,
            Err(_) => all.unreadable += 1,
        }
    }
    Ok(all)
}

/// The score of a run's service before it and after it, by the runs beside it; nothing if it is of no service, the first of
/// it, or they cannot be read.
pub fn around_run(report: &RunReport, journal: &Path) -> Option<AroundRun> {
    service_of(&report.experiment)?;
    let trials = read(journal.parent()?.parent()?).ok()?;
    around(&trials.trials, &report.run.id)
}

/// The service of an experiment: what it says that it is about, or else its label.
fn service_of(experiment: &Experiment) -> Option<&String> {
    let about = experiment.spec.about.as_ref().map(|about| &about.service);
    about.or_else(|| experiment.metadata.labels.get(SERVICE_LABEL))
}

/// The trial that a journal tells of; nothing if it is of no service.
fn of_journal(path: &Path) -> Result<Option<Trial>, ReportError> {
    if let Some((started, at, verdict, _)) = runs::first_and_last(path) {
        let by_guardrail = verdict == RunVerdict::Aborted && ended_by_guardrail(&Journal::read(path)?.entries);
        return Ok(trial(&started, at, Some(verdict), by_guardrail));
    }
    let journal = Journal::read(path)?;
    let report = RunReport::from_journal(&journal)?;
    let Some(Event::Started(started)) = journal.entries.first().map(|entry| &entry.event) else {
        return Err(ReportError::NotStarted);
    };
    Ok(trial(started, report.run.duration, report.run.finished.then_some(report.verdict), false))
}

/// Whether it was a guardrail that ended the run, before anybody else did.
fn ended_by_guardrail(entries: &[Entry]) -> bool {
    let first = entries.iter().find(|entry| matches!(entry.event, Event::Breached { .. } | Event::Stopped { .. }));
    matches!(first, Some(Entry { event: Event::Breached { .. }, .. }))
}

fn trial(started: &Started, at: f64, verdict: Option<RunVerdict>, by_guardrail: bool) -> Option<Trial> {
    let spec = &started.experiment.spec;
    let service = service_of(&started.experiment)?;
    let began: Timestamp = started.time.parse().ok()?;
    let lasted = SignedDuration::try_from_secs_f64(at).ok()?;
    let outcome = match verdict {
        _ if started.placebo => Outcome::Placebo,
        Some(RunVerdict::Held) => Outcome::Held,
        Some(RunVerdict::Violated) => Outcome::Violated,
        Some(RunVerdict::Aborted) if by_guardrail => Outcome::Violated,
        other => Outcome::Nothing(other),
    };
    Some(Trial {
        run: started.run.clone(),
        service: service.clone(),
        experiment: started.experiment.metadata.name.clone(),
        ended: began.checked_add(lasted).ok()?,
        outcome,
        depends_on: spec.about.as_ref().and_then(|about| about.depends_on.clone()),
        tests: spec.tested_dependencies(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::fixture::{Ending, document, journal_of, lines};

    #[test]
    fn journals_become_trials_and_what_a_guardrail_ended_is_violated() {
        let folder = tempfile::tempdir().unwrap();
        let mut of_shop = document();
        of_shop["spec"]["about"] = json!({ "service": "shop", "dependsOn": ["backend"], "tests": ["backend"] });
        let mut labelled = document();
        labelled["metadata"]["labels"]["service"] = json!("shop");
        let endings = [
            ("a", Ending::Held, &of_shop),
            ("b", Ending::Violated, &labelled),
            ("c", Ending::Aborted, &of_shop),
            ("d", Ending::Invalid, &of_shop),
            ("e", Ending::CutOff, &of_shop),
        ];
        let write = |id: &str, text: &str| {
            std::fs::create_dir(folder.path().join(id)).unwrap();
            std::fs::write(folder.path().join(id).join(JOURNAL), text).unwrap();
        };
        for (id, ending, document) in endings {
            write(id, &lines(&journal_of(ending, document.clone())));
        }
        write("f", &lines(&journal_of(Ending::Held, document())));
        write("g", "rubbish\nmore\n");
        let read = read(folder.path()).unwrap();
        assert_eq!((read.of_no_service, read.unreadable), (1, 1));
        let mut told: Vec<String> = read
            .trials
            .iter()
            .map(|trial| format!("{} {:?} {:?} {}", trial.outcome.word(), trial.depends_on, trial.tests, trial.ended))
            .collect();
        told.reverse();
        insta::assert_snapshot!(told.join("\n"));
    }
}
