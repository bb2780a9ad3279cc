//! Where Faultline keeps its own files on a host: the fault journal, the runs, the halt file.

use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The environment variable that names the state folder.
pub const STATE_VARIABLE: &str = "FAULTLINE_STATE";
/// Root's own state folder.
pub(crate) const SYSTEM_FOLDER: &str = "/var/lib/faultline";

/// The state folder cannot be used; nothing was injected.
#[derive(Debug, thiserror::Error)]
#[error("the state folder {path} {problem}", path = path.display())]
pub struct StateError {
    /// The folder, or the file in it that failed.
    pub path: PathBuf,
    /// What is wrong, as the rest of a sentence.
    pub problem: String,
    /// A way on.
    pub hint: String,
    /// The reason that the kernel gave, if it was the kernel who refused.
    #[source]
    pub source: Option<io::Error>,
}

/// The state folder of this host or user: it exists, is nobody else's to write, and can be written and synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Finds the folder and makes it ready: the explicit one, else that of the environment
    /// ([`STATE_VARIABLE`]), else `/var/lib/faultline` for root and `$XDG_STATE_HOME/faultline` for anybody else.
    ///
    /// # Errors
    /// If no folder can be named, or it cannot be made, is writable by others, or cannot be written and synced (read
    /// only, full): a fault whose record is not durable must not be injected.
    pub fn resolve(explicit: Option<&Path>) -> Result<Self, StateError> {
        Self::prepare(&Self::locate(explicit)?)
    }

    /// Where the folder is, or would be made by [`resolve`](Self::resolve); touches nothing.
    ///
    /// # Errors
    /// If no folder can be named.
    pub fn locate(explicit: Option<&Path>) -> Result<PathBuf, StateError> {
        match explicit {
            Some(path) => Ok(path.to_owned()),
            None => {
                Self::default_path(|name| env::var_os(name).filter(|value| !value.is_empty()), owns_system_folders())
            }
        }
    }

    /// The folder as it is, to be read; `None` if there is none yet. Touches nothing.
    ///
    /// # Errors
    /// If no folder can be named, or this one cannot be read.
    pub fn existing(explicit: Option<&Path>) -> Result<Option<Self>, StateError> {
        let path = Self::locate(explicit)?;
        let read = path.canonicalize().and_then(|path| fs::read_dir(path.join("faults")).map(|_| path));
        match read {
            Ok(path) => Ok(Some(Self { path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError {
                path,
                problem: "cannot be read".into(),
                hint: format!(
                    "run this as the user who runs Faultline (root?), or name another with --state or {STATE_VARIABLE}"
                ),
                source: Some(source),
            }),
        }
    }

    /// The folder that an open descriptor leads to, to be read for as long as that is open.
    pub(crate) fn held_open(descriptor: RawFd) -> Self {
        Self { path: format!("/proc/self/fd/{descriptor}").into() }
    }

    /// Where the folder would be that nobody named: that of root, or of this user.
    pub(crate) fn unnamed() -> Option<PathBuf> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty() && name != STATE_VARIABLE);
        Self::default_path(variable, owns_system_folders()).ok()
    }

    fn default_path(
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
        is_root: bool,
    ) -> Result<PathBuf, StateError> {
        if let Some(path) = variable(STATE_VARIABLE) {
            return Ok(path.into());
        }
        if is_root {
            return Ok(SYSTEM_FOLDER.into());
        }
        let user = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        user.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .map(|base| base.join("faultline"))
            .ok_or_else(|| StateError {
                path: SYSTEM_FOLDER.into(),
                problem: "is root's, and neither XDG_STATE_HOME nor HOME names another".into(),
                hint: format!("name a folder with --state or {STATE_VARIABLE}"),
                source: None,
            })
    }

    fn prepare(path: &Path) -> Result<Self, StateError> {
        let refuse = |path: &Path, problem: &str, source: io::Error| StateError {
            path: path.to_owned(),
            problem: problem.to_owned(),
            hint: format!(
                "every fault is written there durably before it is injected; name a folder of your own on a file system \
                 with free space, with --state or {STATE_VARIABLE}"
            ),
            source: Some(source),
        };
        let make = |path: &Path| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|e| refuse(path, "cannot be made", e))
        };
        make(path)?;
        let path = path.canonicalize().map_err(|error| refuse(path, "cannot be read", error))?;
        let metadata = fs::metadata(&path).map_err(|error| refuse(&path, "cannot be read", error))?;
        let me = rustix::process::geteuid().as_raw();
        let is_mine = metadata.uid() == me || metadata.uid() == 0;
        if !is_mine || metadata.mode() & 0o022 != 0 {
            return Err(StateError {
                problem: "can be written by other users, who could make an undo touch what they like".into(),
                hint: format!("chmod go-w {} (and chown it to yourself), or name another with --state", path.display()),
                path,
                source: None,
            });
        }
        let folder = Self { path };
        make(&folder.faults())?;
        make(&folder.runs())?;
        let probe = folder.faults().join(format!(".probe-{}", std::process::id()));
        let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe).and_then(
            |mut file| {
                file.write_all(&[0; 4096])?;
                file.sync_all()?;
                fs::remove_file(&probe)?;
                fs::File::open(folder.faults())?.sync_all()
            },
        );
        if let Err(error) = written {
            // The probe may be half written; what is left of it is removed if the file system lets us.
            let _ = fs::remove_file(&probe);
            return Err(refuse(&folder.path, "cannot be written durably", error));
        }
        Ok(folder)
    }

    /// The folder itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The fault journal: one record a fault that is, or may be, in place.
    pub fn faults(&self) -> PathBuf {
        self.path.join("faults")
    }

    /// The runs, one folder each.
    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }
}

/// Whether this process is root where system folders are concerned: root of a user namespace that maps one ordinary
/// user sees `/var` owned by nobody.
pub(crate) fn owns_system_folders() -> bool {
    rustix::process::geteuid().is_root() && fs::metadata("/var").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with(pairs: &[(&str, &str)], is_root: bool) -> Result<PathBuf, StateError> {
        StateFolder::default_path(
            |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
            is_root,
        )
    }

    #[test]
    fn the_default_is_roots_folder_or_the_users_own() {
        assert_eq!(with(&[("HOME", "/root")], true).unwrap(), Path::new("/var/lib/faultline"));
        assert_eq!(with(&[("HOME", "/home/a")], false).unwrap(), Path::new("/home/a/.local/state/faultline"));
        assert_eq!(with(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], false).unwrap(), Path::new("/s/faultline"));
        assert_eq!(
            with(&[("XDG_STATE_HOME", "rel"), ("HOME", "/h")], false).unwrap(),
            Path::new("/h/.local/state/faultline")
        );
        assert_eq!(with(&[(STATE_VARIABLE, "/x")], true).unwrap(), Path::new("/x"));
        assert!(with(&[], false).unwrap_err().hint.contains("--state"));
    }

    #[test]
    fn it_is_made_private_and_ready() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = StateFolder::resolve(Some(&scratch.path().join("a/b"))).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(folder.faults()).unwrap().count(), 0);
        assert!(folder.runs().is_dir());
    }

    #[test]
    fn looking_makes_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("s");
        assert_eq!(StateFolder::existing(Some(&path)).unwrap(), None);
        assert!(!path.exists());
        let made = StateFolder::resolve(Some(&path)).unwrap();
        assert_eq!(StateFolder::existing(Some(&path)).unwrap(), Some(made));
        fs::remove_dir(path.join("faults")).unwrap();
        fs::write(path.join("faults"), "").unwrap();
        assert!(StateFolder::existing(Some(&path)).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = StateFolder::resolve(Some(scratch.path())).unwrap_err();
        assert!(error.to_string().contains("can be written by other users"), "{error}");
    }

    #[test]
    fn a_file_in_its_place_is_a_clear_error() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateFolder::resolve(Some(&file)).unwrap_err();
        assert!(error.to_string().contains("cannot be made") && error.source.is_some(), "{error}");
    }
}
