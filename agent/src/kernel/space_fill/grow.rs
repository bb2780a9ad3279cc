//! Grows a file until a file system is as full as asked, and corrects by what `statvfs` says afterwards.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::fs::{FallocateFlags, fallocate, fstat, fstatfs, fstatvfs, fsync, ftruncate, syncfs};
use rustix::io::{Errno, pwrite};
use rustix::process::{Resource, getrlimit};

use crate::kernel::filling::{Progress, Shared};
use crate::plan::Measurement;
use crate::plan::step::SpaceGoal;
use crate::units::ByteRate;

/// How often the goal is corrected for what others write and for the file system's own blocks.
const CORRECTIONS: u32 = 32;

/// How much is allocated or written by one call, so that an order to end is heard.
const LARGEST_PIECE: u64 = 4 << 30;
const LARGEST_WRITE: usize = 1 << 20;

/// So many blocks too many are left on a file system that gives only whole extents back.
const LATE_TOLERANCE: i64 = 64;

/// The time between two pieces when the speed is limited.
const TICK: Duration = Duration::from_millis(50);

/// A file system as `df` counts it, and the part that one file has of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    pub(super) block: u64,
    pub(super) used: u64,
    pub(super) available: u64,
    /// Bytes that the file takes on the disk.
    pub(super) taken: u64,
}

impl Space {
    pub(super) fn of(file: BorrowedFd<'_>) -> Result<Self, Errno> {
        let counted = fstatvfs(file)?;
        let found = fstat(file)?;
        Ok(Self {
            block: counted.f_frsize.max(1),
            used: counted.f_blocks.saturating_sub(counted.f_bfree),
            available: counted.f_bavail,
            taken: u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512),
        })
    }

    /// How many blocks are missing from the goal; below 0 for too many.
    fn missing(self, goal: SpaceGoal) -> i64 {
        let (wanted, have) = match goal {
            SpaceGoal::ToPercent(percent) => {
                let usable = self.used + self.available;
                #[expect(clippy::cast_precision_loss, reason = "below 2^53 blocks this is exact to one block")]
                let wanted = (percent.fraction() * usable as f64).round();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `usable`")]
                (wanted as u64, self.used)
            }
            SpaceGoal::Bytes(bytes) => (bytes.count().div_ceil(self.block), self.taken.div_ceil(self.block)),
            SpaceGoal::LeaveFree(bytes) => (self.available, bytes.count() / self.block),
        };
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        signed(wanted) - signed(have)
    }

    /// The measure that answers the dose. `at_the_end` is what was measured when the goal was reached: later, others
    /// may have written.
    pub(super) fn measure(self, goal: SpaceGoal, at_the_end: Option<f64>) -> Vec<Measurement> {
        let (name, unit, asked) = match goal {
            SpaceGoal::ToPercent(percent) => ("filled", "%", percent.number()),
            SpaceGoal::Bytes(bytes) => ("filled", "bytes", exact(bytes.count())),
            SpaceGoal::LeaveFree(bytes) => ("available", "bytes", exact(bytes.count())),
        };
        let measurement = |name: &str, asked, measured, by: &str| Measurement {
            name: name.into(),
            asked,
            measured,
            unit: unit.into(),
            by: by.into(),
        };
        let now = self.measured(goal);
        match at_the_end {
            Some(measured) => vec![
                measurement(name, Some(asked), measured, "statvfs right after filling"),
                measurement(&format!("{name} now"), None, now, "statvfs"),
            ],
            None => vec![measurement(name, Some(asked), now, "statvfs")],
        }
    }

    fn measured(self, goal: SpaceGoal) -> f64 {
        match goal {
            SpaceGoal::ToPercent(_) => exact(self.used) / exact((self.used + self.available).max(1)) * 100.0,
            SpaceGoal::Bytes(_) => exact(self.taken),
            SpaceGoal::LeaveFree(_) => exact(self.available.saturating_mul(self.block)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are only shown")]
fn exact(count: u64) -> f64 {
    count as f64
}

/// Grows the file to the goal, at the speed if there is one.
pub(super) fn fill(file: BorrowedFd<'_>, goal: SpaceGoal, speed: Option<ByteRate>, shared: &Shared) -> Progress {
    match try_fill(file, goal, speed, shared) {
        Ok(progress) => progress,
        Err((call, error)) => {
            Progress { trouble: Some(format!("{call} failed: {}", std::io::Error::from(error))), ..Progress::default() }
        }
    }
}

type Failure = (&'static str, Errno);

fn try_fill(
    file: BorrowedFd<'_>,
    goal: SpaceGoal,
    speed: Option<ByteRate>,
    shared: &Shared,
) -> Result<Progress, Failure> {
    let mut chaff = vec![0; LARGEST_WRITE];
    ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut chaff);
    let mut growth = Growth { file, size: 0, writes: false, chaff };
    let late = counts_late(file);
    let begun = Instant::now();
    let look = || {
        if late {
            syncfs(file).map_err(|error| ("syncfs", error))?;
        }
        Space::of(file).map_err(|error| ("fstatvfs", error))
    };
    let mut full = false;
    let mut seen: Vec<(u64, i64)> = Vec::new();
    let mut corrections = 0;
    while corrections < CORRECTIONS && !shared.is_stopped() {
        let space = look()?;
        let missing = space.missing(goal);
        let allowed = speed.map_or(u64::MAX, |speed| speed.within(begun.elapsed()).count().saturating_sub(growth.size));
        let step = missing.unsigned_abs().saturating_mul(space.block);
        if missing > 0 && allowed < step {
            growth.grow((allowed / space.block * space.block).min(step), space.block, shared)?;
            shared.sleep(TICK);
            continue;
        }
        // The file system's own blocks come and go with the file's: the same state seen twice would go round for ever.
        let close = late && (-LATE_TOLERANCE..=0).contains(&missing);
        if missing == 0 || close || (missing > 0 && full) || seen.contains(&(growth.size, missing)) {
            break;
        }
        seen.push((growth.size, missing));
        corrections += 1;
        if missing > 0 {
            full = !growth.grow(step, space.block, shared)?;
        } else {
            growth.shrink(step)?;
        }
    }
    if shared.is_stopped() {
        return Ok(Progress::default());
    }
    let space = look()?;
    let missing = space.missing(goal);
    let reached = Some(space.measured(goal));
    // Below one block in a thousand the file system's own accounting decides, as that of btrfs does near the end.
    let tolerated = i64::try_from((space.used + space.available) / 1000).unwrap_or(i64::MAX).max(1);
    let trouble = (missing.abs() > tolerated).then(|| {
        format!(
            "the file system would not go nearer to the goal than {} blocks of {} bytes",
            missing.abs(),
            space.block
        )
    });
    Ok(Progress { reached, missing, trouble, took: Duration::ZERO })
}

/// Whether the file system counts space only when it commits, as btrfs does; it also frees no part of an extent, so
/// that what is too much is hard to give back.
pub(super) fn counts_late(file: BorrowedFd<'_>) -> bool {
    /// `BTRFS_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
    const BTRFS: i64 = 0x9123_683E;
    fstatfs(file).is_ok_and(|found| found.f_type == BTRFS)
}

struct Growth<'a> {
    file: BorrowedFd<'a>,
    size: u64,
    /// Whether the file system has no fallocate, so that blocks must be written.
    writes: bool,
    /// What is written where nothing can be allocated.
    chaff: Vec<u8>,
}

impl Growth<'_> {
    /// Grows by so many bytes; false if the file system is full before that.
    fn grow(&mut self, bytes: u64, block: u64, shared: &Shared) -> Result<bool, Failure> {
        // Beyond this limit the kernel would send SIGXFSZ, which ends the worker.
        let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
        if self.size.saturating_add(bytes) > limit {
            return Err(("fallocate (a limit on file sizes is set: `ulimit -f unlimited`)", Errno::FBIG));
        }
        let mut left = bytes;
        let mut piece = LARGEST_PIECE;
        while left > 0 && !shared.is_stopped() {
            if self.writes {
                return self.write(left, shared);
            }
            let length = left.min(piece);
            match fallocate(self.file, FallocateFlags::empty(), self.size, length) {
                Ok(()) => {
                    self.size += length;
                    left -= length;
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.writes = true,
                Err(Errno::INTR) => {}
                // A part may have been allocated beyond the size; it is taken back, and less is tried.
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    ftruncate(self.file, self.size).map_err(|error| ("ftruncate", error))?;
                    if length <= block {
                        return Ok(false);
                    }
                    piece = (length / 2).next_multiple_of(block);
                }
                Err(error) => return Err(("fallocate", error)),
            }
        }
        Ok(true)
    }

    /// Writes what no compression makes smaller and no de-duplication finds twice.
    fn write(&mut self, bytes: u64, shared: &Shared) -> Result<bool, Failure> {
        let mut left = bytes;
        while left > 0 && !shared.is_stopped() {
            let length = usize::try_from(left).map_or(LARGEST_WRITE, |left| left.min(LARGEST_WRITE));
            for (index, page) in (0u64..).zip(self.chaff.chunks_mut(4096)) {
                let stamp = (self.size + index).to_ne_bytes();
                page[..stamp.len()].copy_from_slice(&stamp);
            }
            match pwrite(self.file, &self.chaff[..length], self.size) {
                Ok(0) | Err(Errno::NOSPC | Errno::DQUOT) => return Ok(false),
                Ok(written) => {
                    let written = u64::try_from(written).unwrap_or(0);
                    self.size += written;
                    left = left.saturating_sub(written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(("pwrite", error)),
            }
        }
        // Blocks are given out when the data reaches the disk; only then does statvfs tell the truth.
        match fsync(self.file) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC | Errno::DQUOT) => Ok(false),
            Err(error) => Err(("fsync", error)),
        }
    }

    fn shrink(&mut self, bytes: u64) -> Result<(), Failure> {
        self.size = self.size.saturating_sub(bytes);
        ftruncate(self.file, self.size).map_err(|error| ("ftruncate", error))
    }
}
