//! When the holding thread gets the processor: at once, as long as it needs little of it.

use std::time::{Duration, Instant};

use nix::libc;

/// How often the thread's share of a processor is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// A thread that needs more of a processor than this takes its turn as everybody does.
const MOST: f64 = 0.5;

/// Lets this thread run before all ordinary ones (`SCHED_RR` of the lowest priority), or as one of them.
///
/// A packet that is due would else wait for the time slices of whatever loads the machine, which may be a fault of our
/// own. Without privilege nothing changes, and times are less exact on a loaded machine.
pub(super) fn take_precedence(before_others: bool) {
    let (policy, priority) = if before_others { (libc::SCHED_RR, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters outlive the call, which only reads them; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, &raw const parameters) };
}

/// How much of a processor this thread needs, and its precedence by that.
#[derive(Debug)]
pub(super) struct Share {
    since: Instant,
    idle: Duration,
    before_others: bool,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), idle: Duration::ZERO, before_others: true }
    }

    /// Counts a wait that began at some time and ends now.
    pub(super) fn waited(&mut self, begin: Instant) {
        self.idle += begin.elapsed();
        let whole = self.since.elapsed();
        if whole < INTERVAL {
            return;
        }
        let modest = self.idle.as_secs_f64() > whole.as_secs_f64() * (1.0 - MOST);
        if modest != self.before_others {
            self.before_others = modest;
            take_precedence(modest);
        }
        *self = Self { since: Instant::now(), idle: Duration::ZERO, ..*self };
    }
}
