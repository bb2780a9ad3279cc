use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, fchmod, fstat, openat};

use super::{Halt, HaltError, HaltScope, read_file, write_at};
use crate::guard::FolderKey;
use crate::state::{SYSTEM_FOLDER, StateFolder, owns_system_folders};

/// The name of the file that halts every state folder of a user, or of the host.
const NAME: &str = "halt-all.json";

/// Where the halts lie that count for more than one state folder.
///
/// Each lies in two folders: one in memory, which a fault that fills a disk leaves writable, and one on disk, which
/// outlives a reboot. Any one of them halts. The paths follow from the user alone and not from the environment, so that
/// every terminal names the same. Only the user himself can have made his folders: one of another owner, a link, or
/// one that others can write is passed over. Root's lie where only root can make any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    host: Vec<PathBuf>,
    /// None for root, whose halts are the host's.
    user: Vec<PathBuf>,
}

/// A halt file that was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) key: FolderKey,
}

impl Places {
    pub(super) fn of_this_process() -> &'static Self {
        static PLACES: OnceLock<Places> = OnceLock::new();
        PLACES.get_or_init(|| {
            let host = vec!["/run/faultline".into(), SYSTEM_FOLDER.into()];
            if owns_system_folders() {
                return Self { host, user: Vec::new() };
            }
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            let user = outside(rustix::process::getuid().as_raw(), &map);
            let mut own = vec![format!("/run/user/{user}/faultline").into(), format!("/tmp/faultline-{user}").into()];
            own.extend(StateFolder::unnamed());
            Self { host, user: own }
        })
    }

    #[cfg(test)]
    pub(super) fn in_folder(scratch: &Path, is_root: bool) -> Self {
        let user = if is_root { Vec::new() } else { vec![scratch.join("user/faultline"), scratch.join("user-1")] };
        Self { host: vec![scratch.join("run"), scratch.join("lib")], user }
    }

    /// For whom a halt counts that this process sets.
    pub(super) fn scope(&self) -> HaltScope {
        if self.user.is_empty() { HaltScope::Host } else { HaltScope::User }
    }

    fn own(&self) -> &[PathBuf] {
        if self.user.is_empty() { &self.host } else { &self.user }
    }

    /// The halt in force for everything of this user.
    pub(super) fn read(&self) -> Option<Halt> {
        let host = || self.host.iter().find_map(|place| read_file(&place.join(NAME), HaltScope::Host));
        host().or_else(|| self.read_own_as(HaltScope::User))
    }

    /// The halt that this user set: as root, that of the host.
    pub(super) fn read_own(&self) -> Option<Halt> {
        self.read_own_as(self.scope())
    }

    fn read_own_as(&self, scope: HaltScope) -> Option<Halt> {
        let places = if scope == HaltScope::Host { &self.host } else { &self.user };
        places.iter().filter(|place| is_trusted(place)).find_map(|place| read_file(&place.join(NAME), scope))
    }

    /// Sets the halt in each of this user's places, and tells of those where it could not be.
    ///
    /// # Errors
    /// If it could be set in none.
    pub(super) fn set(&self, halt: &Halt) -> Result<(Vec<Written>, Vec<HaltError>), HaltError> {
        let mut written = Vec::new();
        let mut failed = Vec::new();
        for place in self.own() {
            let path = place.join(NAME);
            match write(place, halt, self.scope()) {
                Ok(key) => written.push(Written { path, key }),
                // A user who is not logged in has no folder below /run/user, and some have no home.
                Err(_) if !place.parent().is_some_and(Path::exists) => {}
                Err(source) => failed.push(HaltError::File { action: "write", path, source }),
            }
        }
        if written.is_empty() {
            let none = || HaltError::File {
                action: "write",
                path: self.own().first().cloned().unwrap_or_default().join(NAME),
                source: io::ErrorKind::NotFound.into(),
            };
            return Err(failed.into_iter().next().unwrap_or_else(none));
        }
        Ok((written, failed))
    }

    /// Removes this user's halt everywhere; answers whether there was one.
    ///
    /// # Errors
    /// If one is there and cannot be removed.
    pub(super) fn release(&self) -> Result<bool, HaltError> {
        let mut was = false;
        for place in self.own().iter().filter(|place| is_trusted(place)) {
            was |= remove(place.join(NAME))?;
        }
        Ok(was)
    }
}

/// Removes a halt file; answers whether there was one.
pub(super) fn remove(path: PathBuf) -> Result<bool, HaltError> {
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(HaltError::File { action: "remove", path, source }),
    }
}

/// Whether a folder is this user's own and nobody else's to write.
fn is_trusted(place: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(place).is_ok_and(|found| found.is_dir() && found.uid() == me && found.mode() & 0o022 == 0)
}

fn write(place: &Path, halt: &Halt, scope: HaltScope) -> io::Result<FolderKey> {
    // Everybody must be able to read root's.
    let (folder_mode, file_mode) = if scope == HaltScope::Host { (0o711, 0o644) } else { (0o700, 0o600) };
    fs::DirBuilder::new().recursive(true).mode(folder_mode).create(place)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, place, flags, Mode::empty())?;
    let found = fstat(&folder)?;
    if found.st_uid != rustix::process::geteuid().as_raw() || found.st_mode & 0o022 != 0 {
        return Err(io::Error::other("its folder is not this user's alone to write"));
    }
    if scope == HaltScope::Host {
        // Root's state folder was made for root alone; what is in it stays so, the halt is for everybody to see.
        fchmod(&folder, Mode::from_raw_mode(found.st_mode & 0o7777 | 0o111))?;
    }
    write_at(&folder, Path::new(NAME), halt, file_mode)?;
    let file = fstat(openat(&folder, NAME, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok((file.st_dev, file.st_ino))
}

/// The number of a user outside the user namespace that a run of an ordinary user makes for itself, in which he alone
/// exists (`/proc/self/uid_map` has one line of length 1). In any other, as of a container, users keep their numbers.
fn outside(user: u32, map: &str) -> u32 {
    let fields: Vec<u32> = map.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
    match fields.as_slice() {
        [inside, outside, 1] if *inside == user => *outside,
        _ => user,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn halt(reason: &str, places: &Places) -> Halt {
        Halt::now(reason, places.scope())
    }

    #[test]
    fn root_halts_the_host_and_a_user_himself() {
        let scratch = tempfile::tempdir().unwrap();
        let (root, user) = (Places::in_folder(scratch.path(), true), Places::in_folder(scratch.path(), false));
        assert_eq!(user.read(), None);
        let (written, failed) = user.set(&halt("mine", &user)).unwrap();
        assert_eq!((written.len(), failed.len()), (2, 0), "{failed:?}");
        assert_eq!((root.read(), user.read().map(|halt| halt.scope)), (None, Some(HaltScope::User)));
        let (written, _) = root.set(&halt("everybody's", &root)).unwrap();
        assert_eq!(written.len(), 2);
        assert_eq!(fs::metadata(scratch.path().join("lib")).unwrap().mode() & 0o7777, 0o711);
        assert_eq!(fs::metadata(&written[0].path).unwrap().mode() & 0o7777, 0o644);
        assert_eq!(user.read().map(|halt| (halt.scope, halt.reason)), Some((HaltScope::Host, "everybody's".into())));
        assert!(user.release().unwrap());
        assert_eq!(user.read().map(|halt| halt.scope), Some(HaltScope::Host), "root's stays");
        assert!(root.release().unwrap() && !root.release().unwrap());
        assert_eq!((root.read(), user.read()), (None, None));
    }

    #[test]
    fn one_place_is_enough_and_either_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Places::in_folder(scratch.path(), true);
        fs::write(scratch.path().join("run"), "in the way").unwrap();
        let (written, failed) = root.set(&halt("x", &root)).unwrap();
        assert_eq!((written.len(), failed.len()), (1, 1), "{failed:?}");
        assert_eq!(root.read().unwrap().reason, "x");
        fs::write(scratch.path().join("lib").join(NAME), "{").unwrap();
        assert!(root.read().unwrap().reason.contains("cannot be understood"));
        fs::remove_dir_all(scratch.path().join("lib")).unwrap();
        fs::write(scratch.path().join("lib"), "in the way too").unwrap();
        assert!(root.set(&halt("x", &root)).is_err());
    }

    #[test]
    fn a_folder_that_somebody_else_made_or_can_write_neither_halts_nor_is_used() {
        let scratch = tempfile::tempdir().unwrap();
        let user = Places::in_folder(scratch.path(), false);
        let place = scratch.path().join("user-1");
        user.set(&halt("x", &user)).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
        fs::remove_dir_all(scratch.path().join("user")).unwrap();
        fs::write(scratch.path().join("user"), "in the way").unwrap();
        assert_eq!(user.read(), None);
        assert!(user.set(&halt("x", &user)).is_err());
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(user.read().is_some());
        let moved = scratch.path().join("moved");
        fs::rename(&place, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &place).unwrap();
        assert_eq!(user.read(), None, "no link is followed");
        assert!(user.set(&halt("x", &user)).is_err());
    }

    #[test]
    fn a_user_keeps_his_number_within_his_own_user_namespace() {
        assert_eq!(outside(0, "         0       1000          1\n"), 1000);
        assert_eq!(outside(1000, "         0          0 4294967295\n"), 1000);
        assert_eq!(outside(1000, "         0     100000      65536\n"), 1000);
        assert_eq!(outside(0, "0 100000 1000\n1000 1000 1\n"), 0);
    }
}
