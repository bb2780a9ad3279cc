use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Registry;

/// What is counted and measured of heartbeats. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Beats {
    /// How many were handled.
    pub handled: Counter,
    /// How long each took here, in seconds.
    pub seconds: Histogram,
}

impl Default for Beats {
    fn default() -> Self {
        // 1 µs to 0.26 s.
        Self { handled: Counter::default(), seconds: Histogram::new(exponential_buckets(1e-6, 4.0, 10)) }
    }
}

impl Beats {
    pub(super) fn handled(&self, took: Duration) {
        self.handled.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The hosts of a controller at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// How many are connected.
    pub connected: usize,
    /// How many of these have faults in place, which live by the lease that their heartbeats renew.
    pub leases: usize,
    /// How many faults are in place on those that are connected.
    pub active: usize,
    /// How many faults there could not be undone.
    pub stuck: usize,
    /// How long ago each that was seen in the life of this controller was heard, by name.
    pub heard: Vec<(String, Duration)>,
}

impl Registry {
    /// What is counted of heartbeats.
    pub fn beats(&self) -> Beats {
        self.beats.clone()
    }

    /// How its hosts are now, in one look.
    pub fn tally(&self) -> Tally {
        let hosts = self.hosts();
        let heard = hosts.iter().map(|(name, host)| (name.clone(), host.heard.elapsed())).collect();
        let mut tally = Tally { heard, ..Tally::default() };
        for host in hosts.values().filter(|host| host.line.is_some()) {
            tally.connected += 1;
            tally.leases += usize::from(!host.status.active.is_empty());
            tally.active += host.status.active.len();
            tally.stuck += host.status.stuck.len();
        }
        tally
    }
}
