use std::io;
use std::os::unix::fs::MetadataExt;
use std::{fmt, fs};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use serde::Serialize;

use super::places::{Places, remove};
use super::{Elsewhere, Halt, HaltError, IN_A_FOLDER, read, read_wide};
use crate::guard::root_of;
use crate::state::StateFolder;

/// What a release did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Whether a halt is in force now, as `still_halted` says.
    pub halted: bool,
    /// Whether this user had halted anything.
    pub was_halted: bool,
    /// The halt that is in force all the same: that of the host, for a user who is not root.
    pub still_halted: Option<Halt>,
    /// What could not be released, as sentences.
    pub problems: Vec<String>,
}

impl Released {
    fn new(was_halted: bool, still_halted: Option<Halt>, problems: Vec<String>) -> Self {
        Self { halted: still_halted.is_some(), was_halted, still_halted, problems }
    }
}

impl fmt::Display for Released {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.still_halted, self.was_halted) {
            (None, true) => writeln!(formatter, "released: faults may be injected again")?,
            (None, false) => writeln!(formatter, "nothing was halted")?,
            (Some(halt), was_halted) => {
                let what = if was_halted { "released, but" } else { "nothing of yours was halted, but" };
                writeln!(formatter, "{what} a halt is in force still ({}): {}", halt.reason, halt.hint())?;
            }
        }
        self.problems.iter().try_for_each(|problem| writeln!(formatter, "problem: {problem}"))
    }
}

/// Releases the halt of one state folder and tells what is in force after that.
///
/// # Errors
/// If the file is there and cannot be removed.
pub fn release_folder(state: &StateFolder) -> Result<Released, HaltError> {
    let was_halted = release(state)?;
    Ok(Released::new(was_halted, read(state), Vec::new()))
}

/// Releases the halt of one state folder; answers whether there was one.
///
/// # Errors
/// If the file is there and cannot be removed.
pub fn release(state: &StateFolder) -> Result<bool, HaltError> {
    remove(state.path().join(IN_A_FOLDER))
}

/// Releases what [`everything`](super::everything()) halted, and the caller's own state folder.
///
/// # Errors
/// If a halt of this user's is there and cannot be removed.
pub fn release_everything(default: Option<&StateFolder>) -> Result<Released, HaltError> {
    let places = Places::of_this_process();
    let halt = places.read_own();
    let mut problems = Vec::new();
    for elsewhere in halt.iter().flat_map(|halt| &halt.elsewhere) {
        problems.extend(release_elsewhere(elsewhere).err());
    }
    let mut was_halted = places.release()?;
    if let Some(state) = default {
        was_halted |= release(state)?;
    }
    let still_halted = default.map_or_else(read_wide, read);
    Ok(Released::new(was_halted, still_halted, problems))
}

/// Releases a state folder in another view of the file system, through whatever process has that view now. If none has,
/// the container is gone, and most often its state folder with it.
fn release_elsewhere(elsewhere: &Elsewhere) -> Result<(), String> {
    let Elsewhere { mount_namespace, folder } = elsewhere;
    let failed = |error: io::Error| {
        let place = folder.display();
        format!(
            "the halt in {place} of mount namespace {mount_namespace} stays: {error}; where that folder is, run `faultline halt --release --state {place}`"
        )
    };
    for process in fs::read_dir("/proc").map_err(failed)?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if !fs::metadata(process.path().join("ns/mnt")).is_ok_and(|found| found.ino() == *mount_namespace) {
            continue;
        }
        let Ok(root) = root_of(pid) else { continue };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let stay = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let removed = openat2(&root, folder, flags, Mode::empty(), stay)
            .and_then(|folder| unlinkat(&folder, IN_A_FOLDER, AtFlags::empty()));
        return match removed {
            Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(failed(error.into())),
        };
    }
    Err(failed(io::Error::other("no process that sees it is running")))
}
