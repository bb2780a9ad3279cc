//! The folder of a run: its document as read, its journal, its report.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use faultline_agent::crash_point;

use super::journal::{Entry, Event};

/// The name of the journal in a run's folder.
pub const JOURNAL: &str = "journal.jsonl";
/// The name of the document in a run's folder.
pub const DOCUMENT: &str = "experiment.yaml";
/// The name of the report in a run's folder.
pub const REPORT: &str = "report.html";

/// A file of the run's folder that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct FolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

impl FolderError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }

    /// The way on.
    pub fn hint(&self) -> &'static str {
        "the journal of a run must be kept: free space there, or choose another place with --state DIR"
    }
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run below `runs`, with the document in it as it was read.
    ///
    /// # Errors
    /// If it exists already or cannot be written.
    pub fn create(runs: &Path, run: &str, document: &str) -> Result<Self, FolderError> {
        fs::create_dir_all(runs).map_err(|error| FolderError::new(runs, error))?;
        let path = runs.join(run);
        fs::create_dir(&path).map_err(|error| FolderError::new(&path, error))?;
        let copy = path.join(DOCUMENT);
        fs::write(&copy, document).map_err(|error| FolderError::new(&copy, error))?;
        Ok(Self { path })
    }

    /// The folder of a run whose journal is kept elsewhere: made again with what is known of it, whatever an attempt that
    /// was cut short has left. The journal is there as a whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn restore(runs: &Path, run: &str, document: &str, entries: &[Entry]) -> Result<Self, FolderError> {
        let folder = Self { path: runs.join(run) };
        fs::create_dir_all(&folder.path).map_err(|error| FolderError::new(&folder.path, error))?;
        let copy = folder.path.join(DOCUMENT);
        fs::write(&copy, document).map_err(|error| FolderError::new(&copy, error))?;
        // A name of its own, so that two who do this at once write the same, each in its own file.
        let beside = folder.path.join(format!(".{JOURNAL}.{:08x}", crate::targets::draw_seed()));
        let file = File::options().append(true).create_new(true).open(&beside);
        let mut writer = JournalWriter {
            file: BufWriter::new(file.map_err(|error| FolderError::new(&beside, error))?),
            path: beside,
        };
        for entry in entries {
            writer.append(entry)?;
        }
        crash_point!("closing/journal/unrestored");
        fs::rename(&writer.path, folder.journal()).map_err(|error| FolderError::new(&folder.journal(), error))?;
        Ok(folder)
    }

    /// The folder of a run that was made before, if it is there.
    pub fn existing(runs: &Path, run: &str) -> Option<Self> {
        let path = runs.join(run);
        path.join(JOURNAL).is_file().then_some(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the report is, or will be.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// Where the journal is.
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }
}

/// Writes a run's journal: append only, one JSON object a line.
#[derive(Debug)]
pub struct JournalWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl JournalWriter {
    /// Begins the journal of a run.
    ///
    /// # Errors
    /// If the file exists already or cannot be made.
    pub fn create(folder: &RunFolder) -> Result<Self, FolderError> {
        let path = folder.journal();
        let file = File::options().append(true).create_new(true).open(&path);
        let file = file.map_err(|error| FolderError::new(&path, error))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    /// Goes on with a journal whose writer is gone. A last line that it did not finish is cut off.
    ///
    /// # Errors
    /// If the file is not there or cannot be written.
    pub fn reopen(folder: &RunFolder) -> Result<Self, FolderError> {
        let path = folder.journal();
        let failed = |error| FolderError::new(&path, error);
        let whole = fs::read(&path).map_err(failed)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let file = File::options().append(true).open(&path).map_err(failed)?;
        file.set_len(whole as u64).map_err(failed)?;
        Ok(Self { file: BufWriter::new(file), path })
    }

    /// Appends an entry. Samples wait for the next flush; everything else reaches the kernel at once, and what decides a
    /// run (its states, faults and verdicts) reaches the disk.
    ///
    /// # Errors
    /// If the disk is full or broken.
    pub fn append(&mut self, entry: &Entry) -> Result<(), FolderError> {
        self.write(entry).map_err(|error| FolderError::new(&self.path, error))
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, entry)?;
        self.file.write_all(b"\n")?;
        match entry.event {
            Event::Sample(_) => Ok(()),
            Event::Service { .. } | Event::Evidence { .. } => self.file.flush(),
            _ => {
                self.file.flush()?;
                self.file.get_ref().sync_data()
            }
        }
    }

    /// Hands everything to the kernel, so that a crash of this process loses nothing of it.
    ///
    /// # Errors
    /// If the disk is full or broken.
    pub fn flush(&mut self) -> Result<(), FolderError> {
        self.file.flush().map_err(|error| FolderError::new(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::journal::RunState;

    #[test]
    fn what_was_appended_reads_back_and_a_run_is_never_written_twice() {
        let runs = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(runs.path(), "a", "kind: Experiment\n").unwrap();
        let mut journal = JournalWriter::create(&folder).unwrap();
        let entry = Entry { at: 0.5, event: Event::State { state: RunState::Steady, because: None } };
        journal.append(&entry).unwrap();
        let text = fs::read_to_string(folder.journal()).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(text.trim_end()).unwrap(), entry);
        assert!(RunFolder::create(runs.path(), "a", "").is_err());
        assert!(JournalWriter::create(&folder).is_err());
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut journal = JournalWriter {
            path: "/dev/full".into(),
            file: BufWriter::new(File::options().write(true).open("/dev/full").unwrap()),
        };
        let entry = Entry { at: 0.0, event: Event::State { state: RunState::Steady, because: None } };
        assert_eq!(
            journal.append(&entry).unwrap_err().to_string(),
            "cannot write /dev/full: No space left on device (os error 28)"
        );
    }
}
