//! Files that only their owner may read or write, replaced in one step that a crash cannot split.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::CredentialsError;

/// No file of ours is longer, in bytes: a trust bundle of hundreds of authorities would fit.
const LONGEST: u64 = 1024 * 1024;

/// Makes a folder that only its owner may enter (0700), or takes one that is so already.
///
/// # Errors
/// If it cannot be made, is not this user's (or root's), or may be read or written by others.
pub fn folder(path: &Path) -> Result<(), CredentialsError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| cannot(path, "cannot be made", error))?;
    trusted(path, &fs::metadata(path).map_err(|error| cannot(path, "cannot be read", error))?, "700")
}

/// Reads a private file; `None` if there is none.
///
/// # Errors
/// If it or its folder is not this user's (or root's) or others may read or write it, if it is no plain file, or cannot
/// be read.
pub fn read(path: &Path) -> Result<Option<String>, CredentialsError> {
    let unreadable = |error| cannot(path, "cannot be read", error);
    // A link could lead to a file that its owner did not mean to keep secret, a pipe could block for ever.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let above = parent(path);
    trusted(above, &fs::metadata(above).map_err(|error| cannot(above, "cannot be read", error))?, "700")?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(CredentialsError::new(path.display().to_string(), "is no plain file", "put a plain file there"));
    }
    trusted(path, &metadata, "600")?;
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(CredentialsError::new(path.display().to_string(), "is longer than 1 MiB", "is it the right file?"));
    }
    Ok(Some(text))
}

/// Writes a private file (0600), whole or not at all: beside its place, synced, renamed, the folder synced.
///
/// # Errors
/// If the folder is not private, or it cannot be written durably. The old file then stands, or the new one.
pub fn write(path: &Path, text: &str) -> Result<(), CredentialsError> {
    put(path, text, |beside, place| fs::rename(beside, place))
}

/// Writes a private file that must not be there yet.
///
/// # Errors
/// As [`write()`], and if there is one.
pub fn write_new(path: &Path, text: &str) -> Result<(), CredentialsError> {
    put(path, text, |beside, place| {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, beside, CWD, place, RenameFlags::NOREPLACE)?)
    })
}

fn put(
    path: &Path,
    text: &str,
    move_there: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> Result<(), CredentialsError> {
    let above = parent(path);
    folder(above)?;
    let fail = |error| cannot(path, "cannot be written durably", error);
    let opened = File::open(above).map_err(fail)?;
    // Two writers use the same name beside; a crash leaves at most one such file, which the next one replaces.
    flock(&opened, FlockOperation::LockExclusive).map_err(|error| fail(error.into()))?;
    let beside = beside(path);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| move_there(&beside, path));
    if let Err(error) = written {
        // It holds a key that nobody uses; if it cannot be removed now, the next write does.
        let _ = fs::remove_file(&beside);
        return Err(fail(error));
    }
    opened.sync_all().map_err(fail)
}

/// The file beside, before it has its name.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn trusted(path: &Path, metadata: &fs::Metadata, mode: &str) -> Result<(), CredentialsError> {
    let me = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(CredentialsError::new(
            shown.to_string(),
            format!("belongs to another user (number {})", metadata.uid()),
            format!(
                "keys lie only where nobody else can read or write them: chown it to the user who runs this ({me})"
            ),
        ));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(CredentialsError::new(
            shown.to_string(),
            format!("may be read or written by others (mode {:o})", metadata.mode() & 0o7777),
            format!(
                "`chmod {mode} {shown}`; if somebody else may have read a key in it, make new ones instead of using it"
            ),
        ));
    }
    Ok(())
}

fn cannot(path: &Path, problem: &str, error: io::Error) -> CredentialsError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "run this as the user who owns it (root?)",
        io::ErrorKind::AlreadyExists => "it is there already, and is not overwritten",
        io::ErrorKind::StorageFull => "make room on its file system",
        _ => "is the path right, and its file system writable?",
    };
    CredentialsError::new(path.display().to_string(), problem, hint).because(error)
}
