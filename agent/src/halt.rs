//! The halt: one file in the state folder that any terminal can set. While it is there no fault is injected, and every
//! worker that polls it undoes its own.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::state::StateFolder;

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
}

/// The halt file could not be set or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the halt file {path}: {source}", path = path.display())]
pub struct HaltError {
    /// What was tried: `write` or `remove`.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

fn path(state: &StateFolder) -> PathBuf {
    state.path().join("halt.json")
}

/// The halt that is in force, if any. A halt file that cannot be read or understood halts too: stopping is the safe
/// side.
pub fn read(state: &StateFolder) -> Option<Halt> {
    let unclear = |problem: String| Some(Halt { reason: problem, user: None, time: String::new() });
    match fs::read(path(state)) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(halt) => Some(halt),
            Err(error) => unclear(format!("a halt file that cannot be understood ({error})")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => unclear(format!("a halt file that cannot be read ({error})")),
    }
}

/// Orders a halt. An earlier one is replaced.
///
/// # Errors
/// If the file cannot be written. On a full file system an empty file halts as well, and that is left in place.
pub fn set(state: &StateFolder, reason: &str) -> Result<(), HaltError> {
    let path = path(state);
    let halt = Halt {
        reason: reason.to_owned(),
        user: Some(rustix::process::getuid().as_raw()),
        time: jiff::Timestamp::now().to_string(),
    };
    let fail = |source| HaltError { action: "write", path: path.clone(), source };
    // Written in place: a reader that meets a half-written file is halted, as it should be.
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(fail)?;
    let text = serde_json::to_vec(&halt).map_err(|error| fail(error.into()))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(fail)
}

/// Releases the halt; answers whether there was one.
///
/// # Errors
/// If the file is there and cannot be removed.
pub fn release(state: &StateFolder) -> Result<bool, HaltError> {
    let path = path(state);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(HaltError { action: "remove", path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_is_read_until_released() {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("s"))).unwrap();
        assert_eq!(read(&state), None);
        set(&state, "pager is ringing").unwrap();
        assert_eq!(read(&state).unwrap().reason, "pager is ringing");
        assert!(release(&state).unwrap());
        assert!(!release(&state).unwrap());
        assert_eq!(read(&state), None);
    }

    #[test]
    fn a_torn_halt_file_halts() {
        let scratch = tempfile::tempdir().unwrap();
        let state = StateFolder::resolve(Some(&scratch.path().join("s"))).unwrap();
        fs::write(path(&state), "{\"rea").unwrap();
        assert!(read(&state).unwrap().reason.contains("cannot be understood"));
    }
}
