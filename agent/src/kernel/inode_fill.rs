//! Takes inodes by empty files in a scratch folder of our own, and removes exactly those.
//!
//! The folder holds a marker, made first and removed last: a folder without one was made by somebody else and stays.
//! Below it there are folders named by six digits, and in these files named by eight; nothing else is ever removed, no
//! symbolic link is followed, and every step down is taken from the folder above, held open.

use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, ResolveFlags, flock, fstatvfs, mkdirat, mknodat, openat2,
    statat, unlinkat,
};
use rustix::io::Errno;

use super::anchor::{moved_away, open_any_folder, open_folder};
use super::filling::{Filling, Progress, Shared};
use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::{InodeFill, InodeGoal};
use crate::plan::{Bite, Evidence, Measurement};

/// How long `apply` waits; a longer fill goes on in its thread.
const AT_ONCE: Duration = Duration::from_secs(2);

/// So many files are in one folder: large folders are slow on many file systems.
const FILES_IN_A_FOLDER: u64 = 10_000;

/// So many files are made between two looks at the file system.
const BATCH: u64 = 2_000;

pub(super) const MARKER: &str = "made-by-faultline";

impl Room for InodeFill {
    fn apply(&self, _amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let folder = open_folder(&self.folder, self.device)?.ok_or_else(|| moved_away(&self.folder))?;
        mkdirat(&folder, self.scratch_name.as_str(), Mode::RWXU).map_err(|error| {
            self.error("mkdirat", error).hint(match error {
                Errno::EXIST => "it is there already, and not ours: move it away, or make a new plan",
                Errno::ACCESS | Errno::PERM => "choose a folder in which you may write, or run as root",
                _ => "look into the kernel's log",
            })
        })?;
        let scratch = self.open_scratch(&folder)?.ok_or_else(|| moved_away(&self.folder))?;
        // Held while this fault is in place, so that no sweep takes it for one that nobody has; see `remnants`.
        flock(&scratch, FlockOperation::NonBlockingLockShared).map_err(|error| self.error("flock", error))?;
        let held = scratch.try_clone().map_err(|error| KernelError::new(self.path(), "fcntl(F_DUPFD)", error))?;
        make_file(&scratch, MARKER).map_err(|error| self.error("mknodat", error))?;
        let goal = self.goal;
        let work = move |shared: &Shared| match try_fill(&scratch, goal, shared) {
            Ok(progress) => progress,
            Err((call, error)) => {
                let trouble = Some(format!("{call} failed: {}", Error::from(error)));
                Progress { trouble, ..Progress::default() }
            }
        };
        let filling = Filling::start("inode-fill", AT_ONCE, work)
            .map_err(|error| KernelError::new(self.path(), "clone", error))?;
        Ok(Some(Box::new(Filled { filling, folder, goal, _held: held })))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        let Some(folder) = self.find()? else { return Ok(Reverted::Absent) };
        let Some(scratch) = self.open_scratch(&folder)? else { return Ok(Reverted::Absent) };
        let names = list(&scratch).map_err(|error| self.error("getdents", error))?;
        if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
            return Ok(Reverted::Superseded(format!("{} was not made by this fault", self.path())));
        }
        let mut foreign = None;
        for name in &names {
            if is_ours(name, 6) {
                foreign = self.empty(&scratch, name)?.or(foreign);
            } else if name != MARKER {
                foreign = Some(name.clone());
            }
        }
        if let Some(name) = foreign {
            return Ok(Reverted::Superseded(format!("{} holds {name}, which this fault did not make", self.path())));
        }
        remove(&scratch, MARKER, AtFlags::empty()).map_err(|error| self.error("unlinkat", error))?;
        match unlinkat(&folder, self.scratch_name.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(Reverted::Undone),
            Err(error) => Err(self.error("unlinkat", error)),
        }
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        // On whatever disk: after a reboot its number may be another one.
        let Some(folder) = open_any_folder(&self.folder)? else { return Ok(false) };
        Ok(statat(&folder, self.scratch_name.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let folder = open_folder(&self.folder, self.device)?.ok_or_else(|| moved_away(&self.folder))?;
        let there = self.is_present()?;
        let bite = if there { Bite::Yes } else { Bite::No("the scratch folder is not there".into()) };
        Ok(Evidence::new(bite, measure(&folder, self.goal, None).into_iter().collect()))
    }
}

impl InodeFill {
    fn path(&self) -> String {
        self.folder.join(&self.scratch_name).display().to_string()
    }

    fn error(&self, call: &'static str, error: Errno) -> KernelError {
        KernelError::new(self.path(), call, Error::from(error))
    }

    /// The folder on the file system that was filled; nothing if that file system is gone for good.
    ///
    /// A disk may have another number after a reboot, so the folder is the one whatever its number if our scratch folder
    /// is in it, or if its file system says to be the same. A disk that is not mounted (any more, or yet) keeps what is
    /// on it: that is an error, and the record of the fault stays. File systems without a disk, of major number 0, are
    /// gone when they are not mounted.
    fn find(&self) -> Result<Option<OwnedFd>, KernelError> {
        if let Some(folder) = open_folder(&self.folder, self.device)? {
            return Ok(Some(folder));
        }
        if let Some(folder) = open_any_folder(&self.folder)? {
            let identifier = fstatvfs(&folder).map_err(|error| self.error("fstatvfs", error))?.f_fsid;
            let has_scratch = statat(&folder, self.scratch_name.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok();
            if has_scratch || self.file_system == Some(identifier) {
                return Ok(Some(folder));
            }
        }
        if rustix::fs::major(self.device) == 0 {
            return Ok(None);
        }
        let hint = format!(
            "mount its disk at {} and run `faultline recover`; if it is mounted, or gone for good, there is nothing to \
             undo: remove the record of this fault",
            self.folder.display()
        );
        let why = format!("the disk that was filled is not mounted at {}", self.folder.display());
        Err(KernelError::new(self.path(), "openat2", Error::new(ErrorKind::NotFound, why)).hint(hint))
    }

    /// The scratch folder; nothing if there is none, or something else bears its name.
    fn open_scratch(&self, folder: &OwnedFd) -> Result<Option<OwnedFd>, KernelError> {
        match open_below(folder, &self.scratch_name) {
            Ok(scratch) => Ok(Some(scratch)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(error) => Err(self.error("openat2", error)),
        }
    }

    /// Removes our files from one of our folders, and the folder; tells of something in it that is not ours.
    fn empty(&self, scratch: &OwnedFd, name: &str) -> Result<Option<String>, KernelError> {
        let inner = match open_below(scratch, name) {
            Ok(inner) => inner,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(Some(name.to_owned())),
            Err(error) => return Err(self.error("openat2", error)),
        };
        for file in list(&inner).map_err(|error| self.error("getdents", error))? {
            let found = statat(&inner, file.as_str(), AtFlags::SYMLINK_NOFOLLOW);
            let plain = found.is_ok_and(|found| {
                FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_size == 0
            });
            if !is_ours(&file, 8) || !plain {
                return Ok(Some(format!("{name}/{file}")));
            }
            remove(&inner, &file, AtFlags::empty()).map_err(|error| self.error("unlinkat", error))?;
        }
        remove(scratch, name, AtFlags::REMOVEDIR).map_err(|error| self.error("unlinkat", error))?;
        Ok(None)
    }
}

pub(super) fn is_ours(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn open_below(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(folder, name, flags, Mode::empty(), stay)
}

fn make_file(folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    mknodat(folder, name, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0)
}

fn remove(folder: &OwnedFd, name: &str, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(folder, name, flags) {
        Err(error) if error != Errno::NOENT => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn list(folder: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// How many inodes are missing from the goal, of which so many were made already; below 0 for too many.
fn missing(scratch: &OwnedFd, goal: InodeGoal, made: u64) -> Result<i64, Errno> {
    let counted = fstatvfs(scratch)?;
    let (wanted, have) = match goal {
        InodeGoal::ToPercent(percent) => {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 inodes this is exact to one")]
            let wanted = (percent.fraction() * counted.f_files as f64).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and f_files")]
            (wanted as u64, counted.f_files.saturating_sub(counted.f_ffree))
        }
        InodeGoal::Count(count) => (count, made),
        InodeGoal::LeaveFree(count) => (counted.f_ffree, count),
    };
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(signed(wanted) - signed(have))
}

fn try_fill(scratch: &OwnedFd, goal: InodeGoal, shared: &Shared) -> Result<Progress, (&'static str, Errno)> {
    // The scratch folder and its marker are inodes too.
    let mut made = 2;
    let (mut inner, mut in_it) = (None, 0);
    let mut files: u64 = 0;
    let mut full = false;
    loop {
        let lacking = missing(scratch, goal, made).map_err(|error| ("fstatvfs", error))?;
        if lacking <= 0 || full || shared.is_stopped() {
            let reached = measured(scratch, goal, made).ok();
            let trouble =
                (full && lacking > 1).then(|| format!("the file system is full, {lacking} inodes before the goal"));
            return Ok(Progress { reached, missing: lacking, trouble, ..Progress::default() });
        }
        for _ in 0..lacking.unsigned_abs().min(BATCH) {
            let outcome = match &inner {
                Some(folder) if in_it < FILES_IN_A_FOLDER => make_file(folder, &format!("{files:08}")).map(|()| {
                    files += 1;
                    in_it += 1;
                }),
                _ => next_folder(scratch, files / FILES_IN_A_FOLDER).map(|folder| {
                    inner = Some(folder);
                    in_it = 0;
                }),
            };
            match outcome {
                Ok(()) => made += 1,
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    full = true;
                    break;
                }
                Err(error) => return Err(("mknodat", error)),
            }
        }
    }
}

fn next_folder(scratch: &OwnedFd, number: u64) -> Result<OwnedFd, Errno> {
    let name = format!("{number:06}");
    mkdirat(scratch, name.as_str(), Mode::RWXU)?;
    open_below(scratch, &name)
}

fn measured(folder: &OwnedFd, goal: InodeGoal, made: u64) -> Result<f64, Errno> {
    let counted = fstatvfs(folder)?;
    #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are only shown")]
    Ok(match goal {
        InodeGoal::ToPercent(_) => {
            counted.f_files.saturating_sub(counted.f_ffree) as f64 / counted.f_files.max(1) as f64 * 100.0
        }
        InodeGoal::Count(_) => made as f64,
        InodeGoal::LeaveFree(_) => counted.f_ffree as f64,
    })
}

/// The measure that answers the dose.
fn measure(folder: &OwnedFd, goal: InodeGoal, at_the_end: Option<f64>) -> Option<Measurement> {
    #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are only shown")]
    let (name, unit, asked) = match goal {
        InodeGoal::ToPercent(percent) => ("inodes used", "%", percent.number()),
        InodeGoal::Count(count) => ("inodes taken", "inodes", count as f64),
        InodeGoal::LeaveFree(count) => ("inodes left", "inodes", count as f64),
    };
    let now = match goal {
        InodeGoal::Count(_) => None,
        _ => measured(folder, goal, 0).ok(),
    };
    Some(Measurement {
        name: name.into(),
        asked: Some(asked),
        measured: at_the_end.or(now)?,
        unit: unit.into(),
        by: if at_the_end.is_some() { "statvfs right after filling" } else { "statvfs" }.into(),
    })
}

/// The fill as it goes on; dropping it ends it, and leaves what was made for `revert`.
#[derive(Debug)]
struct Filled {
    filling: Filling,
    folder: OwnedFd,
    goal: InodeGoal,
    /// The scratch folder with its lock, which ends with its last descriptor.
    _held: OwnedFd,
}

impl Hold for Filled {
    fn evidence(&self) -> Evidence {
        let progress = self.filling.progress();
        let bite = match (&progress.trouble, progress.reached) {
            (Some(trouble), _) => Bite::No(trouble.clone()),
            (None, Some(_)) => Bite::Yes,
            (None, None) => Bite::NotYet("still making files".into()),
        };
        let mut measurements: Vec<_> = measure(&self.folder, self.goal, progress.reached).into_iter().collect();
        if progress.reached.is_some() {
            let measured = progress.took.as_secs_f64() * 1e3;
            let (name, unit, by) = ("time to fill inodes".into(), "ms".into(), "clock".into());
            measurements.push(Measurement { name, asked: None, measured, unit, by });
        }
        Evidence::new(bite, measurements)
    }
}

#[cfg(test)]
mod tests;
