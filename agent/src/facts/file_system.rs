//! File systems by way of `statvfs` and `mountinfo`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use procfs::FromRead;
use procfs::process::{MountInfo, MountInfos};
use rustix::fs::StatVfsMountFlags;

use super::process::into_io;
use super::{FactsError, FileSystemFacts};

/// The file system that holds a path, symbolic links followed.
///
/// # Errors
/// If the path is not there or cannot be looked at.
pub fn file_system_of(path: &Path) -> Result<FileSystemFacts, FactsError> {
    let refuse = |source: std::io::Error| FactsError::new(path.display().to_string(), source);
    let resolved = path.canonicalize().map_err(refuse)?;
    let metadata = resolved.metadata().map_err(refuse)?;
    let folder = if metadata.is_dir() { resolved.as_path() } else { resolved.parent().unwrap_or(&resolved) };
    let counted = rustix::fs::statvfs(&resolved).map_err(|error| refuse(error.into()))?;
    let mount = mount_of(&resolved)?;
    Ok(FileSystemFacts {
        folder: folder.to_path_buf(),
        mount_point: mount.mount_point,
        kind: mount.fs_type,
        device: metadata.dev(),
        identifier: counted.f_fsid,
        block_size: counted.f_frsize.max(1),
        blocks: counted.f_blocks,
        free_blocks: counted.f_bfree,
        available_blocks: counted.f_bavail,
        inodes: counted.f_files,
        free_inodes: counted.f_ffree,
        read_only: counted.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The mount below which a path without symbolic links lies: of those whose mount point is a prefix of it the longest,
/// and of equal ones the last, which covers the others.
///
/// # Errors
/// If the list of mounts cannot be read.
pub fn mount_of(path: &Path) -> Result<MountInfo, FactsError> {
    mounts()?
        .into_iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
        .ok_or_else(|| FactsError::new(path.display().to_string(), std::io::Error::other("it lies below no mount")))
}

/// Where the cgroup v2 hierarchy is mounted, if it is.
pub fn cgroup_mount() -> Option<PathBuf> {
    mounts().ok()?.into_iter().find(|mount| mount.fs_type == "cgroup2").map(|mount| mount.mount_point)
}

fn mounts() -> Result<Vec<MountInfo>, FactsError> {
    // Mount namespaces belong to threads, and this one may be in another than its process.
    let list = MountInfos::from_file("/proc/thread-self/mountinfo");
    let list = list.map_err(|error| FactsError::new("/proc/thread-self/mountinfo", into_io(error)))?;
    Ok(list
        .0
        .into_iter()
        .map(|mut mount| {
            mount.mount_point = unescape(&mount.mount_point);
            mount
        })
        .collect())
}

/// Mountinfo writes space, tab, newline and backslash of a path as three octal digits.
fn unescape(path: &Path) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = path.as_os_str().as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(std::ffi::OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_statvfs_does() {
        let folder = tempfile::tempdir().unwrap();
        let facts = file_system_of(folder.path()).unwrap();
        assert_eq!(facts.device, folder.path().metadata().unwrap().dev());
        assert!(folder.path().starts_with(&facts.mount_point));
        assert!(!facts.read_only && facts.blocks > 0 && facts.available_blocks <= facts.free_blocks);
        assert!((0.0..=1.0).contains(&facts.used_share()));
    }

    #[test]
    fn tells_a_pseudo_file_system_and_names_what_is_missing() {
        assert_eq!(file_system_of(Path::new("/proc/self")).unwrap().kind, "proc");
        let error = file_system_of(Path::new("/nonexistent/x")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/x"), "{error}");
    }

    #[test]
    fn reads_a_mount_point_with_a_space() {
        assert_eq!(unescape(Path::new(r"/mnt/a\040b\134c")), Path::new(r"/mnt/a b\c"));
        assert_eq!(unescape(Path::new(r"/mnt/a\9")), Path::new(r"/mnt/a\9"));
    }
}
