//! The numbers by which packets know cgroups.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::conditions::Owner;
use crate::facts::cgroup_mount;

/// The rule owner for a cgroup, given by its path below the mount of the hierarchy (cgroup v2).
pub(super) fn owner(path: &Path) -> io::Result<Owner> {
    let mount = cgroup_mount().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "cgroup v2 is not mounted"))?;
    let below = path.strip_prefix("/").unwrap_or(path);
    // The number of a cgroup is the inode number of its folder (kernfs).
    let number = std::fs::metadata(mount.join(below))?.ino();
    let level = u32::try_from(below.components().count()).unwrap_or(u32::MAX);
    Ok(Owner::Cgroup { level, number })
}
