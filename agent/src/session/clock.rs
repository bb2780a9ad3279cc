use crate::lease::BootTime;

/// The clock by which leases are counted: `CLOCK_BOOTTIME` of the host, or that of a simulation.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> BootTime;
}

/// The host's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> BootTime {
        BootTime::now()
    }
}
