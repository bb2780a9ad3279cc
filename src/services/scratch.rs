//! Scratch folders of runs: where services keep what they need while they run.
//!
//! They lie in the system's folder for temporary files, since a service may run as another user, who cannot reach the
//! state folder. Each names the process whose run it belongs to; a folder whose process is dead is what a crash left,
//! and the next run or `faultline recover` removes it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use faultline_agent::facts::identity_of;

/// The file that names the owner: process number and start time.
const OWNER: &str = ".owner";

/// Makes the scratch folder of a run, owned by this process.
///
/// # Errors
/// If it exists already or cannot be made.
pub fn create(run: &str) -> io::Result<PathBuf> {
    create_in(&std::env::temp_dir(), run)
}

fn create_in(place: &Path, run: &str) -> io::Result<PathBuf> {
    let folder = place.join(format!("faultline-{run}"));
    fs::DirBuilder::new().mode(0o711).create(&folder)?;
    let process = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let owner = identity_of(process).map_err(io::Error::other)?;
    fs::write(folder.join(OWNER), format!("{} {}", owner.pid, owner.start_time))?;
    Ok(folder)
}

/// Removes a scratch folder.
///
/// # Errors
/// If something in it cannot be removed.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the scratch folders of this user whose runs are dead, and returns them.
pub fn sweep() -> Vec<PathBuf> {
    sweep_in(&std::env::temp_dir())
}

fn sweep_in(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let ours = nix::unistd::geteuid().as_raw();
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("faultline-"))
        // Not through a link, and nobody else's.
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == ours))
        .map(|entry| entry.path())
        .filter(|folder| is_orphan(folder) && remove(folder).is_ok())
        .collect()
}

/// Whether the folder names an owner and that owner is dead. A folder that names none is not ours to remove.
fn is_orphan(folder: &Path) -> bool {
    let Ok(owner) = fs::read_to_string(folder.join(OWNER)) else { return false };
    let Some((pid, start_time)) = owner.split_once(' ') else { return false };
    let (Ok(pid), Ok(start_time)) = (pid.parse::<i32>(), start_time.parse::<u64>()) else { return false };
    !identity_of(pid).is_ok_and(|identity| identity.start_time == start_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_whose_owner_is_dead_are_swept() {
        let place = tempfile::tempdir().unwrap();
        let alive = create_in(place.path(), "alive").unwrap();
        let dead = create_in(place.path(), "dead").unwrap();
        fs::write(dead.join(OWNER), "1 999999999999").unwrap();
        fs::write(dead.join("data"), "x").unwrap();
        let foreign = place.path().join("faultline-notes");
        fs::create_dir(&foreign).unwrap();
        assert_eq!(sweep_in(place.path()), std::slice::from_ref(&dead));
        assert!(alive.exists() && foreign.exists() && !dead.exists());
        assert!(create_in(place.path(), "alive").is_err());
        remove(&alive).unwrap();
        remove(&alive).unwrap();
    }
}
