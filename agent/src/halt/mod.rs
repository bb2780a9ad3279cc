//! The halt: a file that any terminal can set. While it is there no fault is injected, and every worker that polls it
//! undoes its own.
//!
//! Three kinds of it count for a worker: that of its state folder, that of its user, for all state folders, and root's,
//! for everybody on this host ([`Places`]). [`everything()`] sets the last or the one before, and waits until every run
//! that can be found is undone; [`folder()`] does so for one state folder.

mod everything;
mod places;
mod release;
mod stopped;
mod watched;

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use serde::{Deserialize, Serialize};

use crate::recover::RecoverError;
use crate::state::{StateFolder, owns_system_folders};

pub use everything::{HaltOptions, everything, folder};
use places::Places;
pub use release::{Released, release, release_everything, release_folder};
pub use stopped::{NotStopped, Stopped, StoppedFault, StoppedFolder};
pub(crate) use watched::name_of;

/// The name of the file in a state folder.
const IN_A_FOLDER: &str = "halt.json";

/// A halt that somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Halt {
    /// Why, in that person's words.
    pub reason: String,
    /// The number of the user who set it, or `None` if the file does not say.
    pub user: Option<u32>,
    /// When, RFC 3339, or empty if the file does not say.
    pub time: String,
    /// For whom it counts. That follows from where the file lies, and not from what it says.
    #[serde(default)]
    pub scope: HaltScope,
    /// State folders out of sight of this halt, as in a container, that were halted one by one along with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
}

/// For whom a halt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaltScope {
    /// For the runs of one state folder.
    #[default]
    Folder,
    /// For every run of one user.
    User,
    /// For every run on this host.
    Host,
}

/// A state folder in another view of the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// The inode number of the mount namespace from which it is seen.
    pub mount_namespace: u64,
    /// Its path there.
    pub folder: PathBuf,
}

impl Halt {
    fn now(reason: &str, scope: HaltScope) -> Self {
        Self {
            reason: reason.to_owned(),
            user: Some(rustix::process::getuid().as_raw()),
            time: jiff::Timestamp::now().to_string(),
            scope,
            elsewhere: Vec::new(),
        }
    }

    /// How faults are allowed again.
    pub fn hint(&self) -> &'static str {
        match self.scope {
            HaltScope::Folder => {
                "`faultline halt --release` allows faults again (with the same --state, if one was named)"
            }
            HaltScope::Host if !owns_system_folders() => {
                "root halted this host, and `faultline halt --release` by root allows faults again"
            }
            HaltScope::User | HaltScope::Host => "`faultline halt --release` allows faults again",
        }
    }
}

/// The halt could not be set, carried through or removed.
#[derive(Debug, thiserror::Error)]
pub enum HaltError {
    /// A halt file.
    #[error("cannot {action} the halt file {path}: {source}", path = path.display())]
    File {
        /// What was tried: `write` or `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The runs of this host cannot be found.
    #[error("the halt is set, but whether every run obeys cannot be told: cannot list /proc: {0}")]
    Processes(#[source] io::Error),
    /// What nobody keeps cannot be undone.
    #[error("the halt is set, but what it should undo cannot be looked at: {0}")]
    Recover(#[from] RecoverError),
}

impl From<crate::journal::JournalError> for HaltError {
    fn from(error: crate::journal::JournalError) -> Self {
        Self::Recover(error.into())
    }
}

/// The halt that is in force for a state folder, if any: its own, that of its user, or that of the host. A halt file that
/// cannot be read or understood halts too: stopping is the safe side.
pub fn read(state: &StateFolder) -> Option<Halt> {
    read_wide().or_else(|| read_file(&state.path().join(IN_A_FOLDER), HaltScope::Folder))
}

/// The halt that is in force for every state folder of this user: his own, or that of the host.
pub fn read_wide() -> Option<Halt> {
    Places::of_this_process().read()
}

fn read_file(path: &Path, scope: HaltScope) -> Option<Halt> {
    let unclear = |reason: String| Some(Halt { reason, user: None, time: String::new(), scope, elsewhere: Vec::new() });
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice::<Halt>(&bytes) {
            Ok(halt) => Some(Halt { scope, ..halt }),
            Err(error) => unclear(format!("a halt file that cannot be understood ({error})")),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        // Behind a folder that nobody but its owner may enter there is no halt for others.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && fs::symlink_metadata(path).is_err() => None,
        Err(error) => unclear(format!("a halt file that cannot be read ({error})")),
    }
}

/// Orders a halt for one state folder. An earlier one is replaced.
///
/// # Errors
/// If the file cannot be written. On a full file system an empty file halts as well, and that is left in place.
pub fn set(state: &StateFolder, reason: &str) -> Result<(), HaltError> {
    let path = state.path().join(IN_A_FOLDER);
    write_at(CWD, &path, &Halt::now(reason, HaltScope::Folder), 0o600).map_err(|source| HaltError::File {
        action: "write",
        path,
        source,
    })
}

/// Writes a halt file, in a folder held open. What is there under its name is replaced in one step, so that no reader
/// finds none meanwhile, and is not written through, whatever somebody else may have put there.
fn write_at(folder: impl AsFd, path: &Path, halt: &Halt, mode: u32) -> io::Result<()> {
    let text = serde_json::to_vec(halt)?;
    let create = |path: &Path| -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, path, flags, Mode::from_raw_mode(mode))?;
        // Whatever this process's mask says: a halt that its readers cannot read would tell them no reason.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        let mut file = fs::File::from(file);
        file.write_all(&text)?;
        file.sync_all()
    };
    // In its place from the first byte on: a reader that meets a half-written file is halted, as it should be.
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    // Left by a process of the same number that died here.
    let _ = unlinkat(&folder, &beside, AtFlags::empty());
    let replaced = create(&beside).and_then(|()| Ok(renameat(&folder, &beside, &folder, path)?));
    if replaced.is_err() {
        let _ = unlinkat(&folder, &beside, AtFlags::empty());
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("s"))).unwrap();
        (scratch, state)
    }

    #[test]
    fn set_is_read_until_released() {
        let (_scratch, state) = state();
        assert_eq!(read(&state), None);
        set(&state, "a first reason").unwrap();
        set(&state, "pager is ringing").unwrap();
        assert_eq!(read(&state).unwrap().reason, "pager is ringing");
        assert!(release(&state).unwrap());
        assert!(!release(&state).unwrap());
        assert_eq!(read(&state), None);
    }

    #[test]
    fn a_torn_halt_file_halts() {
        let (_scratch, state) = state();
        fs::write(state.path().join(IN_A_FOLDER), "{\"rea").unwrap();
        assert!(read(&state).unwrap().reason.contains("cannot be understood"));
    }

    #[test]
    fn what_lies_under_its_name_is_not_written_through() {
        let (scratch, state) = state();
        let other = scratch.path().join("other");
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, state.path().join(IN_A_FOLDER)).unwrap();
        set(&state, "stop").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        assert_eq!(read(&state).unwrap().reason, "stop");
        let names = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.filter(|name| name.to_string_lossy().contains("halt")).count(), 1, "nothing lies beside it");
    }

    #[test]
    fn there_is_no_moment_without_a_halt_while_it_is_replaced() {
        let (_scratch, state) = state();
        set(&state, "0").unwrap();
        std::thread::scope(|scope| {
            let setter = scope.spawn(|| (1..300).for_each(|number| set(&state, &number.to_string()).unwrap()));
            while !setter.is_finished() {
                let halt = read(&state).unwrap();
                assert!(halt.reason.parse::<u32>().is_ok(), "{halt:?}");
            }
        });
    }
}
