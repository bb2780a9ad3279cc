//! Takes space of a file system by a file without a name: whoever holds it dies, and the kernel gives the space back.

mod grow;
mod held;

use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, ftruncate, openat, statat, syncfs, unlinkat};
use rustix::io::Errno;

use super::anchor::{moved_away, open_folder};
use super::filling::{Filling, Progress};
use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::{SpaceFill, SpaceGoal};
use crate::plan::{Bite, Evidence, Measurement, Step};
use grow::Space;

/// How long `apply` waits for a fill without a speed limit; a longer one goes on in its thread.
const AT_ONCE: Duration = Duration::from_secs(3);

/// How long another process may take to give up a file whose holder was just killed.
const TO_DIE: Duration = Duration::from_secs(2);

impl Room for SpaceFill {
    fn apply(&self, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let folder = open_folder(&self.folder, self.device)?.ok_or_else(|| moved_away(&self.folder))?;
        let file = Arc::new(self.make(&folder)?);
        let found = fstat(file.as_fd()).map_err(|error| self.error("fstat", error.into()))?;
        // Known before any space is taken, so that who undoes after a crash can see whether somebody holds it still.
        amend(&Step::SpaceFill(Self { inode: Some(found.st_ino), ..self.clone() })).map_err(|error| {
            self.error("write the journal", error).hint("nothing that is not written down is filled")
        })?;
        let (goal, speed, its) = (self.goal, self.speed, Arc::clone(&file));
        let at_once = if speed.is_some() { Duration::ZERO } else { AT_ONCE };
        let filling = Filling::start("disk-fill", at_once, move |shared| grow::fill(its.as_fd(), goal, speed, shared))
            .map_err(|error| self.error("clone", error))?;
        if let Progress { trouble: Some(trouble), reached: None, .. } = filling.progress() {
            return Err(self.error("fallocate", Error::other(trouble)));
        }
        Ok(Some(Box::new(Filled { filling: Some(filling), file, goal: self.goal })))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        let Some(folder) = open_folder(&self.folder, self.device)? else { return Ok(Reverted::Absent) };
        let named = self.remove_name(&folder)?;
        let Some(inode) = self.inode else {
            return Ok(if named { Reverted::Undone } else { Reverted::Absent });
        };
        if let Some(holder) = held::wait_until_released(self.device, inode, TO_DIE) {
            let still = Error::new(ErrorKind::ResourceBusy, format!("process {holder} still holds the file open"));
            return Err(self
                .error("close", still)
                .hint(format!("end it with `kill -9 {holder}`, or close its descriptor")));
        }
        if grow::counts_late(folder.as_fd()) {
            syncfs(&folder).map_err(|error| self.error("syncfs", error.into()))?;
        }
        Ok(Reverted::Undone)
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        let Some(folder) = open_folder(&self.folder, self.device)? else { return Ok(false) };
        let named = match &self.scratch_name {
            Some(name) => statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
            None => false,
        };
        Ok(named || self.inode.is_some_and(|inode| held::holder_of(self.device, inode).is_some()))
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let Some(folder) = open_folder(&self.folder, self.device)? else { return Err(moved_away(&self.folder)) };
        let held = self.inode.is_some_and(|inode| held::holder_of(self.device, inode).is_some());
        let bite = if held { Bite::Yes } else { Bite::No("nobody holds the file that takes the space".into()) };
        let space = Space::of(folder.as_fd()).map_err(|error| self.error("fstatvfs", error.into()))?;
        Ok(Evidence::new(bite, space.measure(self.goal, None).into_iter().collect()))
    }
}

impl SpaceFill {
    fn error(&self, call: &'static str, source: Error) -> KernelError {
        KernelError::new(self.folder.display().to_string(), call, source)
    }

    /// A file without a name; where the file system cannot make one, a file whose name is taken away at once.
    fn make(&self, folder: &OwnedFd) -> Result<OwnedFd, KernelError> {
        let (write, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let error = match openat(folder, ".", write | OFlags::TMPFILE, mode) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        let Some(name) = &self.scratch_name else {
            return Err(self.error("open(O_TMPFILE)", error.into()).hint(hint_for(error)));
        };
        // Kernels and file systems that do not know the flag answer in these three ways (open(2), "BUGS").
        if !matches!(error, Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) {
            return Err(self.error("open(O_TMPFILE)", error.into()).hint(hint_for(error)));
        }
        let exclusive = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = openat(folder, name.as_str(), write | exclusive, mode)
            .map_err(|error| self.error("open(O_CREAT | O_EXCL)", error.into()).hint(hint_for(error)))?;
        unlinkat(folder, name.as_str(), AtFlags::empty()).map_err(|error| self.error("unlinkat", error.into()))?;
        Ok(file)
    }

    /// Removes what a crash between making the file and taking its name away left; tells whether there was something.
    fn remove_name(&self, folder: &OwnedFd) -> Result<bool, KernelError> {
        let Some(name) = &self.scratch_name else { return Ok(false) };
        let found = match statat(folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(self.error("fstatat", error.into())),
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_dev != self.device {
            return Ok(false);
        }
        match unlinkat(folder, name.as_str(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error("unlinkat", error.into())),
        }
    }
}

fn hint_for(error: Errno) -> &'static str {
    match error {
        Errno::ACCESS | Errno::PERM => "choose a folder in which you may write, or run as root",
        Errno::ROFS => "the file system is mounted read-only; remount it or choose another path",
        Errno::NOSPC => "not even one inode is free: the file system is full already",
        Errno::OPNOTSUPP => "this file system cannot make a file without a name; choose a folder on another one",
        _ => "run `faultline doctor`, and look into the kernel's log",
    }
}

/// The file that takes the space; dropping it gives the space back.
#[derive(Debug)]
struct Filled {
    filling: Option<Filling>,
    file: Arc<OwnedFd>,
    goal: SpaceGoal,
}

impl Hold for Filled {
    fn evidence(&self) -> Evidence {
        evidence(self.file.as_fd(), self.goal, &self.filling.as_ref().map(Filling::progress).unwrap_or_default())
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // The thread first: it must not grow again what is cut.
        drop(self.filling.take());
        // Cut before it is closed: xfs frees the blocks of a closed file some time later, those of a cut one at once.
        let _ = ftruncate(&*self.file, 0);
    }
}

fn evidence(file: BorrowedFd<'_>, goal: SpaceGoal, progress: &Progress) -> Evidence {
    let space = match Space::of(file) {
        Ok(space) => space,
        Err(error) => {
            return Evidence::new(Bite::No(format!("the file cannot be looked at: {error}")), Vec::new());
        }
    };
    let taken = Bytes(space.taken);
    let bite = match (&progress.trouble, progress.reached) {
        _ if space.taken == 0 && progress.reached.is_some() => Bite::No("the file takes no space".into()),
        (Some(trouble), _) => Bite::No(trouble.clone()),
        (None, Some(_)) => Bite::Yes,
        (None, None) => Bite::NotYet(format!("still filling, {taken} so far")),
    };
    let mut measurements: Vec<_> = space.measure(goal, progress.reached).into_iter().collect();
    let mut add = |name: &str, measured: f64, unit: &str, by: &str| {
        let (name, unit, by) = (name.into(), unit.into(), by.into());
        measurements.push(Measurement { name, asked: None, measured, unit, by });
    };
    #[expect(clippy::cast_precision_loss, reason = "file systems of more than 2^53 bytes are rounded a little")]
    add("space taken", space.taken as f64, "bytes", "blocks of the file");
    if progress.reached.is_some() {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 blocks are missing")]
        add("missing from the goal", progress.missing as f64, "blocks", "statvfs right after filling");
        add("time to fill", progress.took.as_secs_f64() * 1e3, "ms", "clock");
    }
    Evidence::new(bite, measurements)
}

/// A number of bytes for people to read.
struct Bytes(u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "only shown")]
        let mebibytes = self.0 as f64 / f64::from(1 << 20);
        write!(formatter, "{mebibytes:.1} MiB")
    }
}

#[cfg(test)]
mod tests;
