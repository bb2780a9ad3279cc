//! The fault journal: one file for each fault that is, or may be, in place. Undo needs it and nothing else.
//!
//! Invariants:
//! - a record is whole or not there: it is written beside its place, synced, renamed, and the folder synced;
//! - a record that cannot be read is reported as stuck, and neither ignored nor removed;
//! - whoever applies, amends or undoes a fault holds its lock, so that no two processes do so at once.

mod envelope;
mod listing;
mod lock;
mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

pub use listing::{Keeper, Listed, Listing, OtherRun, StuckStep, UnreadableRecord, list};
pub(crate) use lock::FaultLock;
pub use record::{FaultState, Record, StepStatus};

use crate::crash_point;
use crate::identity::FaultId;
use crate::state::StateFolder;

/// Bytes kept back on the journal's file system, so that a record can be amended when a fault has filled it.
const RESERVE: usize = 64 * 1024;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the fault journal: cannot {action} {path}: {source}", path = path.display())]
pub struct JournalError {
    /// What was tried.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

/// A file of the journal, as it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A record.
    Record(Box<Record>),
    /// A file that should be a record and cannot be read as one. Whatever it recorded may still be in place.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The id that its name says.
        id: Option<FaultId>,
        /// What is wrong with it.
        reason: String,
    },
}

/// The journal of one state folder.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// The journal of a state folder.
    pub fn of(state: &StateFolder) -> Self {
        Self { folder: state.faults() }
    }

    /// The folder that holds the records.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a fault.
    pub fn path(&self, id: &FaultId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn lock_path(&self, id: &FaultId) -> PathBuf {
        self.folder.join(format!(".{id}.lock"))
    }

    /// Keeps some space back for the time when the file system is full.
    pub(crate) fn keep_reserve(&self) -> Result<(), JournalError> {
        let path = self.folder.join(".reserve");
        let fail = |source| JournalError { action: "write", path: path.clone(), source };
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == RESERVE as u64) {
            return Ok(());
        }
        fs::write(&path, vec![0; RESERVE]).map_err(fail)
    }

    /// Writes a record in place of the one before it; when this returns, it survives a power cut.
    ///
    /// # Errors
    /// If that is not certain. The record before it is then still whole.
    pub(crate) fn write(&self, record: &Record) -> Result<(), JournalError> {
        let place = self.path(record.id());
        let beside = self.folder.join(format!(".{}.tmp", record.id()));
        let fail = |source| JournalError { action: "write", path: place.clone(), source };
        let text = envelope::seal(record).map_err(|error| fail(error.into()))?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            let (first, second) = text.split_at(text.len() / 2);
            file.write_all(first)?;
            crash_point!("torn-record");
            file.write_all(second)?;
            file.sync_all()
        };
        write()
            .or_else(|error| {
                if error.kind() != io::ErrorKind::StorageFull {
                    return Err(error);
                }
                fs::remove_file(self.folder.join(".reserve"))?;
                write()
            })
            .map_err(fail)?;
        crash_point!("before-rename");
        fs::rename(&beside, &place).and_then(|()| File::open(&self.folder)?.sync_all()).map_err(fail)
    }

    /// The record of a fault, or what stands in its place; `None` if there is nothing.
    ///
    /// # Errors
    /// If the file is there and the kernel does not let us read it.
    pub fn read(&self, id: &FaultId) -> Result<Option<Found>, JournalError> {
        self.read_file(&self.path(id))
    }

    fn read_file(&self, path: &Path) -> Result<Option<Found>, JournalError> {
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<FaultId>().ok());
        let unreadable = |reason| Some(Found::Unreadable { path: path.to_owned(), id: id.clone(), reason });
        let text = match read_plain(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(unreadable("it is not a plain file of less than 64 MiB".into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError { action: "read", path: path.to_owned(), source }),
        };
        Ok(match envelope::open(&text) {
            Ok(record) if Some(record.id()) == id.as_ref() => Some(Found::Record(Box::new(record))),
            Ok(record) => unreadable(format!("it is the record of {}, under another name", record.id())),
            Err(reason) => unreadable(reason),
        })
    }

    /// Every record, in the order of their ids. Half-written files beside their place are no records: the change that
    /// they were to make never took.
    ///
    /// # Errors
    /// If the folder or a record in it cannot be read.
    pub fn read_all(&self) -> Result<Vec<Found>, JournalError> {
        let fail = |source| JournalError { action: "read", path: self.folder.clone(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let is_record = name.to_str().is_some_and(|name| name.ends_with(".json") && !name.starts_with('.'));
            if is_record {
                paths.push(self.folder.join(name));
            }
        }
        paths.sort();
        let mut found = Vec::new();
        for path in paths {
            found.extend(self.read_file(&path)?);
        }
        Ok(found)
    }

    /// Removes the record of a fault that is undone, and its lock with it.
    ///
    /// A removal that a power cut takes back costs nothing: undo is idempotent.
    pub(crate) fn forget(&self, id: &FaultId, lock: FaultLock) -> Result<(), JournalError> {
        let path = self.path(id);
        let _ = fs::remove_file(self.folder.join(format!(".{id}.tmp")));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(JournalError { action: "remove", path, source })
            }
            _ => {
                lock.remove();
                Ok(())
            }
        }
    }

    /// Takes the lock of a fault, waiting at most that long; `None` if somebody else has it still.
    pub(crate) fn lock(&self, id: &FaultId, patience: Duration) -> Result<Option<FaultLock>, JournalError> {
        let path = self.lock_path(id);
        FaultLock::take(&path, patience).map_err(|source| JournalError { action: "lock", path, source })
    }

    /// Removes half-written files and locks of faults that have no record, left by processes that died.
    pub(crate) fn tidy(&self) {
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in names.collect::<Vec<_>>() {
            let id = name.to_str().and_then(|name| name.strip_prefix('.')).and_then(|name| {
                name.strip_suffix(".tmp")
                    .or_else(|| name.strip_suffix(".lock"))
                    .and_then(|id| id.parse::<FaultId>().ok())
            });
            let Some(id) = id else { continue };
            // The lock of a holder who died may live on for a moment in a child that was forked and has not yet become its
            // program.
            if let Ok(Some(lock)) = self.lock(&id, Duration::from_millis(100)) {
                let _ = fs::remove_file(self.folder.join(format!(".{id}.tmp")));
                if matches!(self.read(&id), Ok(None)) {
                    lock.remove();
                }
            }
        }
    }
}

/// The bytes of a file of a size that a record can have; nothing if it is something else. The folder may be another
/// user's, who could put a pipe, a device or an endless file there for root to open.
fn read_plain(path: &Path) -> io::Result<Option<Vec<u8>>> {
    const LARGEST: u64 = 64 << 20;
    let plain = |metadata: &fs::Metadata| metadata.is_file() && metadata.len() <= LARGEST;
    if !plain(&fs::symlink_metadata(path)?) {
        return Ok(None);
    }
    let careful = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(careful).open(path)?;
    if !plain(&file.metadata()?) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
