//! The folder below which a fill happens, held open, so that nothing that is renamed, mounted or linked meanwhile can
//! lead a later call elsewhere.

use std::io::Error;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

use super::KernelError;

/// Opens the folder if it is there and still on the file system of the plan; nothing if not.
pub(super) fn open_folder(folder: &Path, device: u64) -> Result<Option<OwnedFd>, KernelError> {
    let Some(opened) = open_any_folder(folder)? else { return Ok(None) };
    let found =
        fstat(&opened).map_err(|error| KernelError::new(folder.display().to_string(), "fstat", Error::from(error)))?;
    Ok((found.st_dev == device).then_some(opened))
}

/// Opens the folder if it is there, on whatever file system.
pub(super) fn open_any_folder(folder: &Path) -> Result<Option<OwnedFd>, KernelError> {
    let refuse = |call, error: Errno| KernelError::new(folder.display().to_string(), call, Error::from(error));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(refuse("openat2", error)),
    }
}

/// The error of a folder that is not what it was when the plan was made.
pub(super) fn moved_away(folder: &Path) -> KernelError {
    KernelError::new(folder.display().to_string(), "openat2", Error::from(Errno::NOENT))
        .hint("the folder is gone, leads elsewhere, or another file system was mounted over it; make a new plan")
}
