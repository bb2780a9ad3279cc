//! How long a fault may stay without word of its worker, and the clock by which that is told.
//!
//! Times are on `CLOCK_BOOTTIME`: it cannot be set, goes on while the host is suspended, and no fault skews it.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

/// How long the guard waits for a word of the worker before it takes it for hung.
pub const LEASE: Duration = Duration::from_secs(15);

/// How often a worker with an active fault sends word.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long after a fault's deadline the guard leaves the undo to a worker that is alive.
pub const OVERDUE: Duration = Duration::from_secs(1);

/// How long the guard gives a worker that is overdue, or whose lease ran out, before it kills it and undoes in its
/// place; counted from when the guard noticed, since after a suspend every deadline is long past.
pub const GRACE: Duration = Duration::from_secs(2);

/// A moment: nanoseconds since this boot, the time asleep included (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// The moment of boot.
    pub const MIN: Self = Self(0);

    /// That many nanoseconds after boot, as a message says it.
    pub fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since boot, as a message says it.
    pub fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Now.
    pub fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(tv_nsec).unwrap_or(0);
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    /// That much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long it is from an earlier moment to this one; nothing if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As the kernel takes it for a timer.
    pub fn timespec(self) -> Timespec {
        let seconds = i64::try_from(self.0 / 1_000_000_000).unwrap_or(i64::MAX);
        let nanoseconds = i64::try_from(self.0 % 1_000_000_000).unwrap_or(0);
        Timespec { tv_sec: seconds, tv_nsec: nanoseconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_add_and_subtract_without_overflow() {
        let now = BootTime::now();
        assert_eq!(now.after(LEASE).since(now), LEASE);
        assert_eq!(now.since(now.after(LEASE)), Duration::ZERO);
        assert!(now.after(Duration::MAX) > now);
    }

    #[test]
    fn it_is_the_clock_of_proc_uptime() {
        let uptime: f64 = std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        let now = BootTime::now().since(BootTime(0)).as_secs_f64();
        assert!((now - uptime).abs() < 0.5, "{now} {uptime}");
    }
}
