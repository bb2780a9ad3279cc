//! The folder of a game day: its document, its journal, its runs, its sheets.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::machine::Entry;

/// The name of the journal in a game day's folder.
pub const JOURNAL: &str = "journal.jsonl";
/// The name of the document in a game day's folder.
pub const DOCUMENT: &str = "game-day.yaml";
/// The folder of its runs.
pub const RUNS: &str = "runs";

/// A file of a game day that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A line is no entry.
    #[error("line {line} of {} is no entry of a game day's journal: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, counted from 1.
        line: usize,
        /// The reason.
        source: serde_json::Error,
    },
}

impl JournalError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Write { .. } => {
                "the journal of a game day must be kept: free space there, or choose another place with --out DIR"
            }
            Self::Read { .. } => "name the folder of a game day, or its journal.jsonl",
            Self::Line { .. } => "a run's journal is shown by `faultline report`",
        }
    }
}

/// Writes a game day's journal: append only, one JSON object a line, each on disk before anything follows from it.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Makes the folder of a new game day below `days`, with the document in it as it was read.
    ///
    /// # Errors
    /// If it exists already or cannot be written.
    pub fn create(days: &Path, id: &str, document: &str) -> Result<Self, JournalError> {
        let folder = days.join(id);
        let write = |path: &Path, done: io::Result<()>| {
            done.map_err(|source| JournalError::Write { path: path.to_owned(), source })
        };
        write(days, fs::create_dir_all(days))?;
        write(&folder, fs::create_dir(&folder))?;
        let copy = folder.join(DOCUMENT);
        write(&copy, fs::write(&copy, document))?;
        let path = folder.join(JOURNAL);
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| JournalError::Write { path: path.clone(), source })?;
        Ok(Self { folder, path, file })
    }

    /// The game day's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// If the disk is full or broken.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.write(entry).map_err(|source| JournalError::Write { path: self.path.clone(), source })
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }
}

/// Reads a journal, given by its path or that of its folder. A last line that a crash tore is left out.
///
/// # Errors
/// If it cannot be read, or a line of it is no entry.
pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    let path = if path.is_dir() { path.join(JOURNAL) } else { path.to_owned() };
    let text = fs::read_to_string(&path).map_err(|source| JournalError::Read { path: path.clone(), source })?;
    let whole = text.ends_with('\n');
    let lines: Vec<&str> = text.lines().collect();
    let mut entries = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if number + 1 == lines.len() && !whole => {}
            Err(source) => return Err(JournalError::Line { path, line: number + 1, source }),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game_day::fixture;
    use crate::game_day::machine::Event;

    #[test]
    fn what_was_appended_reads_back_and_a_torn_line_is_left_out() {
        let days = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(days.path(), "a", "kind: GameDay\n").unwrap();
        let at: jiff::Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
        let entries = [Event::Opened(Box::new(fixture::opened())), Event::Tick].map(|event| Entry { at, event });
        for entry in &entries {
            journal.append(entry).unwrap();
        }
        assert_eq!(read(journal.folder()).unwrap(), entries);
        journal.file.write_all(b"{\"at\":\"2026").unwrap();
        assert_eq!(read(journal.folder()).unwrap(), entries);
        journal.file.write_all(b"\n").unwrap();
        assert!(matches!(read(journal.folder()), Err(JournalError::Line { line: 3, .. })));
        assert!(Journal::create(days.path(), "a", "").is_err());
        assert!(read(&days.path().join("nothing")).is_err());
    }
}
