//! The runs of this host: their folders, found by what a person types, and listed with their verdicts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Journal, ReportError, RunReport};
use crate::document::suggest;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::{Entry, Event, Started};

/// The name of the journal in a run's folder.
pub const JOURNAL: &str = "journal.jsonl";

/// Why no run was found.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// There is no run at all.
    #[error("there is no run in {}", folder.display())]
    None {
        /// The folder of the runs.
        folder: PathBuf,
    },
    /// No run is named so.
    #[error("there is no run `{wanted}` in {}", folder.display())]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// The folder of the runs.
        folder: PathBuf,
        /// The nearest name, and the newest ones.
        hint: String,
    },
    /// Several runs could be meant.
    #[error("`{wanted}` could be any of {count} runs")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// How many.
        count: usize,
        /// Some of their names.
        hint: String,
    },
    /// The folder of the runs cannot be read.
    #[error("cannot read the folder of the runs {}: {source}", folder.display())]
    Read {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}

impl RunsError {
    /// The way on.
    pub fn hint(&self) -> String {
        match self {
            Self::None { .. } => {
                "`faultline run FILE` makes one; another user's runs are named by their path, or by --state".into()
            }
            Self::Unknown { hint, .. } | Self::Ambiguous { hint, .. } => hint.clone(),
            Self::Read { .. } => "name another with --state, or the run by its path".into(),
        }
    }
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Its id.
    pub run: String,
    /// When it began, RFC 3339; nothing if its journal cannot be read.
    pub started: Option<String>,
    /// The experiment's name.
    pub experiment: Option<String>,
    /// Its verdict; nothing if its journal cannot be read.
    pub verdict: Option<RunVerdict>,
    /// Whether it came to its end.
    pub finished: bool,
    /// Seconds to the last entry.
    pub duration: Option<f64>,
    /// Why the verdict is what it is, or why the journal cannot be read.
    pub because: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// The ids of the runs, the newest first.
///
/// # Errors
/// If the folder cannot be read; that it is not there is no error, but no runs.
pub fn ids(runs: &Path) -> Result<Vec<String>, RunsError> {
    let entries = match std::fs::read_dir(runs) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| RunsError::Read { folder: runs.into(), source })?,
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        entry.path().join(JOURNAL).is_file().then(|| entry.file_name().to_string_lossy().into_owned())
    };
    let mut ids: Vec<String> = entries.filter_map(name).collect();
    ids.sort();
    ids.reverse();
    Ok(ids)
}

/// The journal that is meant by `latest`, by a run's id, by a part of it that no other run has, or by a path of a
/// journal or of its folder.
///
/// # Errors
/// If there is no such run, or more than one.
pub fn find(runs: &Path, wanted: &str) -> Result<PathBuf, RunsError> {
    let path = Path::new(wanted);
    // An id holds no slash; a path without one must be an existing file or folder.
    if wanted.contains('/') || path.join(JOURNAL).is_file() || path.is_file() {
        return Ok(if path.is_dir() { path.join(JOURNAL) } else { path.into() });
    }
    let ids = ids(runs)?;
    let folder = || runs.to_owned();
    let newest = ids.first().ok_or_else(|| RunsError::None { folder: folder() })?;
    if wanted == "latest" {
        return Ok(runs.join(newest).join(JOURNAL));
    }
    let some = |ids: &[&String]| ids.iter().take(5).map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    let meant: Vec<&String> = ids.iter().filter(|id| *id == wanted).collect();
    let meant = if meant.is_empty() && wanted.len() >= 3 {
        ids.iter().filter(|id| id.starts_with(wanted) || id.ends_with(wanted)).collect()
    } else {
        meant
    };
    match meant.as_slice() {
        [only] => Ok(runs.join(only).join(JOURNAL)),
        [] => {
            let near = suggest::nearest(wanted, ids.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let newest = some(&ids.iter().collect::<Vec<_>>());
            let hint = format!("{near}the newest are {newest}; `faultline report --list` shows all");
            Err(RunsError::Unknown { wanted: wanted.into(), folder: folder(), hint })
        }
        several => Err(RunsError::Ambiguous {
            wanted: wanted.into(),
            count: several.len(),
            hint: format!("say more of its id: {}", some(several)),
        }),
    }
}

/// The runs with their verdicts, the newest first; at most so many.
///
/// # Errors
/// If the folder of the runs cannot be read. A journal that cannot be read is listed as such.
pub fn list(runs: &Path, most: usize) -> Result<Vec<RunSummary>, RunsError> {
    let ids = ids(runs)?;
    Ok(ids.into_iter().take(most).map(|id| summary(runs.join(&id), id)).collect())
}

fn summary(folder: PathBuf, run: String) -> RunSummary {
    let journal = folder.join(JOURNAL);
    let read = ends(&journal).map_or_else(|| whole(&journal), Ok);
    match read {
        Ok(summary) => RunSummary { run, folder, ..summary },
        Err(error) => RunSummary {
            run,
            folder,
            started: None,
            experiment: None,
            verdict: None,
            finished: false,
            duration: None,
            because: error.to_string(),
        },
    }
}

/// How a run began, when and how it ended, and why, from the first and the last line of its journal; nothing if it did not
/// come to its end.
pub(crate) fn first_and_last(journal: &Path) -> Option<(Box<Started>, f64, RunVerdict, String)> {
    /// The last entry is short: a verdict and a sentence.
    const TAIL: u64 = 16 * 1024;
    let mut reader = BufReader::new(File::open(journal).ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let Event::Started(started) = serde_json::from_str::<Entry>(&first).ok()?.event else { return None };
    let length = reader.get_ref().metadata().ok()?.len();
    reader.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).ok()?;
    let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    let entry: Entry = serde_json::from_slice(last).ok()?;
    let Event::Finished { verdict, because } = entry.event else { return None };
    Some((started, entry.at, verdict, because))
}

/// The summary of a run that came to its end and left nothing behind.
fn ends(journal: &Path) -> Option<RunSummary> {
    let (started, at, verdict, because) = first_and_last(journal)?;
    Some(RunSummary {
        run: started.run,
        started: Some(started.time),
        experiment: Some(started.experiment.metadata.name),
        verdict: Some(verdict),
        finished: true,
        duration: Some(at),
        because,
        folder: PathBuf::new(),
    })
}

/// The summary of any other run, from its whole journal.
fn whole(journal: &Path) -> Result<RunSummary, ReportError> {
    let report = RunReport::from_journal(&Journal::read(journal)?)?;
    Ok(RunSummary {
        run: report.run.id,
        started: Some(report.run.started),
        experiment: Some(report.run.experiment),
        verdict: Some(report.verdict),
        finished: report.run.finished,
        duration: Some(report.run.duration),
        because: report.because,
        folder: PathBuf::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    fn with(runs: &[(&str, Ending)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (id, ending) in runs {
            let run = folder.path().join(id);
            std::fs::create_dir(&run).unwrap();
            std::fs::write(run.join(JOURNAL), fixture::lines(&fixture::journal(*ending))).unwrap();
        }
        folder
    }

    #[test]
    fn a_run_is_found_by_its_id_a_part_of_it_latest_or_a_path() {
        let folder = with(&[("20261121T081500-5ca1ab", Ending::Held), ("20261121T091500-5eabed", Ending::Violated)]);
        let runs = folder.path();
        let found = |wanted: &str| find(runs, wanted).map(|path| path.strip_prefix(runs).unwrap_or(&path).to_owned());
        let first = Path::new("20261121T081500-5ca1ab").join(JOURNAL);
        let second = Path::new("20261121T091500-5eabed").join(JOURNAL);
        assert_eq!(found("latest").unwrap(), second);
        assert_eq!(found("5ca1ab").unwrap(), first);
        assert_eq!(found("20261121T0815").unwrap(), first);
        assert_eq!(found(runs.join("20261121T081500-5ca1ab").to_str().unwrap()).unwrap(), first);
        assert_eq!(found(runs.join(&first).to_str().unwrap()).unwrap(), first);
        assert!(matches!(found("202611"), Err(RunsError::Ambiguous { count: 2, .. })));
        let error = found("20261121T081500-5ca1aa").unwrap_err();
        assert!(error.hint().starts_with("did you mean `20261121T081500-5ca1ab`?"), "{}", error.hint());
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(find(empty.path(), "latest"), Err(RunsError::None { .. })));
        assert!(matches!(find(&empty.path().join("none"), "latest"), Err(RunsError::None { .. })));
    }

    #[test]
    fn a_list_tells_of_finished_cut_off_and_unreadable_runs() {
        let folder = with(&[("a1", Ending::Violated), ("a2", Ending::CutOff), ("a3", Ending::Held)]);
        std::fs::write(folder.path().join("a3").join(JOURNAL), "rubbish\nmore\n").unwrap();
        let told: Vec<(String, Option<RunVerdict>, bool)> = list(folder.path(), 10)
            .unwrap()
            .into_iter()
            .map(|summary| (summary.run, summary.verdict, summary.finished))
            .collect();
        assert_eq!(
            told,
            [
                ("a3".into(), None, false),
                ("a2".into(), Some(RunVerdict::CleanupUnverified), false),
                ("a1".into(), Some(RunVerdict::Violated), true),
            ]
        );
    }
}
