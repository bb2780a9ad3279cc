//! The file of baselines: the last runs of each experiment.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::during;
use crate::experiment::document::ApiVersion;
use crate::hypothesis::verdict::{RunVerdict, Verdict};
use crate::report::RunReport;

/// How many runs of an experiment are kept unless told.
pub const KEPT: usize = 10;

/// A file of baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaselineFile {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `GateBaseline`.
    pub kind: BaselineKind,
    /// The runs of each experiment, the oldest first, by the baselines' names.
    pub baselines: BTreeMap<String, BTreeMap<String, Vec<PastRun>>>,
}

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaselineKind {
    /// Baselines of the gate.
    GateBaseline,
}

/// A run before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastRun {
    /// Its id.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// What was measured under the fault, by the objectives in words.
    pub objectives: BTreeMap<String, PastObjective>,
}

/// An objective of a run before, under the fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastObjective {
    /// Its verdict.
    pub verdict: Verdict,
    /// The number measured, as [`ObjectiveVerdict::measured`](crate::hypothesis::verdict::ObjectiveVerdict) has it; none of
    /// a quantile of the latency that is a failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
}

/// A baseline file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the baseline {}: {reason}", path.display())]
pub struct BaselineError {
    what: &'static str,
    path: PathBuf,
    reason: String,
}

impl BaselineFile {
    /// One without any runs.
    pub fn empty() -> Self {
        Self { api_version: ApiVersion::V1, kind: BaselineKind::GateBaseline, baselines: BTreeMap::new() }
    }

    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// If it cannot be read, or is none: it is not written over then.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let failed = |reason: String| BaselineError { what: "read", path: path.to_owned(), reason };
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::empty()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let failed = |reason: String| BaselineError { what: "write", path: path.to_owned(), reason };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        write_as_a_whole(path, &(text + "\n")).map_err(|error| failed(error.to_string()))
    }

    /// The runs of an experiment in a baseline, the oldest first.
    pub fn runs(&self, baseline: &str, experiment: &str) -> &[PastRun] {
        self.baselines.get(baseline).and_then(|runs| runs.get(experiment)).map_or(&[], Vec::as_slice)
    }

    /// Adds a run, and forgets the oldest beyond so many. Only runs that came to a verdict about the system are kept: held,
    /// violated and not decided ones, and no placebo.
    pub fn add(&mut self, baseline: &str, report: &RunReport, kept: usize) {
        let judged = matches!(report.verdict, RunVerdict::Held | RunVerdict::Violated | RunVerdict::Inconclusive);
        if !judged || report.placebo {
            return;
        }
        let objectives = report.objectives.iter().filter_map(|row| {
            let found = during(row)?;
            Some((row.description.clone(), PastObjective { verdict: found.verdict, measured: found.measured }))
        });
        let run = PastRun {
            run: report.run.id.clone(),
            started: report.run.started.clone(),
            verdict: report.verdict,
            objectives: objectives.collect(),
        };
        let runs = self.baselines.entry(baseline.into()).or_default();
        let runs = runs.entry(report.run.experiment.clone()).or_default();
        runs.push(run);
        runs.drain(..runs.len().saturating_sub(kept));
    }
}

/// Writes a file as a whole or not at all.
///
/// # Errors
/// If it cannot be written, or the path is none of a file.
pub(crate) fn write_as_a_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let beside = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    #[test]
    fn the_file_keeps_the_last_runs_and_is_never_half_written() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("baseline.json");
        let mut file = BaselineFile::read(&path).unwrap();
        let mut report = fixture::report(Ending::Held);
        for number in 0..5 {
            report.run.id = number.to_string();
            file.add("main", &report, 3);
        }
        // What came to no verdict about the system is no measure of it.
        file.add("main", &fixture::report(Ending::Aborted), 3);
        file.write(&path).unwrap();
        let read = BaselineFile::read(&path).unwrap();
        assert_eq!(read, file);
        let runs = read.runs("main", &report.run.experiment);
        assert_eq!(runs.iter().map(|run| &*run.run).collect::<Vec<_>>(), ["2", "3", "4"]);
        assert_eq!(read.runs("other", &report.run.experiment), []);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
        std::fs::write(&path, "{").unwrap();
        assert!(BaselineFile::read(&path).is_err());
    }
}
