//! When things start: a steady schedule, a timer that is exact to the kernel's own precision, and a record of how late
//! this host was.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use faultline_agent::units::Rate;
use hdrhistogram::Histogram;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// Evenly spaced moments, counted from an epoch, so that no delay ever moves the later ones.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    epoch: Instant,
    interval: Duration,
}

impl Schedule {
    /// A moment every `interval` from `epoch` on; at least a microsecond lies between two.
    pub fn new(epoch: Instant, interval: Duration) -> Self {
        Self { epoch, interval: interval.max(Duration::from_micros(1)) }
    }

    /// The moment with this number.
    pub fn moment(&self, number: u64) -> Instant {
        self.epoch + self.since_epoch(number)
    }

    /// Seconds from the epoch to the moment with this number.
    pub fn at(&self, number: u64) -> f64 {
        self.since_epoch(number).as_secs_f64()
    }

    /// The number of the first moment that is not before `time`.
    pub fn first_from(&self, time: Instant) -> u64 {
        let elapsed = time.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(elapsed.div_ceil(self.interval.as_nanos())).unwrap_or(u64::MAX)
    }

    fn since_epoch(&self, number: u64) -> Duration {
        let nanoseconds = self.interval.as_nanos().saturating_mul(u128::from(number));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX / 2))
    }
}

/// A timer on CLOCK_MONOTONIC by timerfd(2). The runtime's own timers are exact to a millisecond only.
#[derive(Debug)]
pub struct ExactTimer {
    descriptor: AsyncFd<OwnedFd>,
}

impl ExactTimer {
    /// A timer for the current runtime.
    ///
    /// # Errors
    /// If the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // The unsafe successor asks for what an OwnedFd keeps by itself: that the descriptor stays open.
        #[allow(deprecated, reason = "no unsafe code outside the kernel rooms")]
        let descriptor = AsyncFd::new(descriptor)?;
        Ok(Self { descriptor })
    }

    /// Waits until `moment`; at once if it has passed. May be dropped and called again.
    ///
    /// # Errors
    /// If the timer cannot be set or read, which the kernel never does to a good descriptor.
    pub async fn until(&self, moment: Instant) -> io::Result<()> {
        loop {
            let wait = moment.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let value = Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            };
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let once = Itimerspec { it_interval: never, it_value: value };
            rustix::time::timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            let mut ready = self.descriptor.readable().await?;
            let mut expirations = [0u8; 8];
            let read = ready
                .try_io(|descriptor| rustix::io::read(descriptor.get_ref(), &mut expirations).map_err(io::Error::from));
            if let Ok(Err(error)) = read {
                return Err(error);
            }
        }
    }
}

/// How late this host itself was in starting what a schedule says.
#[derive(Debug)]
pub struct Lateness(Mutex<Option<Histogram<u64>>>);

impl Default for Lateness {
    fn default() -> Self {
        // Nanoseconds, up to a minute, to three digits: bounds that the histogram accepts.
        Self(Mutex::new(Histogram::new_with_bounds(1, 60_000_000_000, 3).ok()))
    }
}

impl Lateness {
    /// Notes one start.
    pub fn note(&self, late: Duration) {
        let nanoseconds = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        if let Some(histogram) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            histogram.saturating_record(nanoseconds);
        }
    }

    /// How many starts were noted.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, Histogram::len)
    }

    /// The lateness that a share of all starts (0 to 1) did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(histogram.as_ref().map_or(0, |histogram| histogram.value_at_quantile(share)))
    }
}

/// Has this thread come before others when processors are scarce, as they are when a fault loads this host; without
/// the right to that it goes on as it is. A rate that could fill a processor gets less, so as to starve nobody.
pub(super) fn take_precedence(rate: Rate) {
    if rate.count_per_second() > 5_000.0 || faultline_agent::kernel::real_time::prefer_this_thread().is_err() {
        let _ = rustix::process::setpriority_process(None, -10);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_moment_from_a_time_is_the_next_one_and_never_drifts(
            interval in 1_000u64..10_000_000_000,
            elapsed in 0u64..1_000_000_000_000_000,
        ) {
            let epoch = Instant::now();
            let schedule = Schedule::new(epoch, Duration::from_nanos(interval));
            let time = epoch + Duration::from_nanos(elapsed);
            let first = schedule.first_from(time);
            prop_assert!(schedule.moment(first) >= time);
            prop_assert!(first == 0 || schedule.moment(first - 1) < time);
            prop_assert_eq!(schedule.moment(first), epoch + Duration::from_nanos(interval * first));
        }
    }

    #[tokio::test]
    async fn the_timer_is_never_early_and_returns_at_once_for_the_past() {
        let timer = ExactTimer::new().unwrap();
        timer.until(Instant::now() - Duration::from_secs(1)).await.unwrap();
        for microseconds in [50, 300, 1_700, 10_000] {
            let moment = Instant::now() + Duration::from_micros(microseconds);
            timer.until(moment).await.unwrap();
            assert!(Instant::now() >= moment);
        }
    }
}
