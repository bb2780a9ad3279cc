use std::collections::HashMap;
use std::time::Duration;

use procfs::process::Process;
use procfs::{CurrentSI, KernelStats};

use super::{HostSubject, folder_of, share};
use crate::identity::ProcessIdentity;

/// Processor time used so far.
#[derive(Debug)]
pub(super) enum Cpu {
    /// Ticks of all processors: those in which they worked, and all.
    Host { busy: u64, all: u64 },
    /// Seconds of each process.
    Processes(HashMap<ProcessIdentity, f64>),
    /// Seconds of a cgroup.
    Cgroup(f64),
}

/// What the subject used so far.
pub(super) fn count(subject: &HostSubject, living: &[ProcessIdentity]) -> Option<Cpu> {
    match subject {
        HostSubject::Host => {
            let total = KernelStats::current().ok()?.total;
            // Guest time is part of user time already. Stolen time is not ours to use, and counts as worked.
            let busy = total.user
                + total.nice
                + total.system
                + total.irq.unwrap_or(0)
                + total.softirq.unwrap_or(0)
                + total.steal.unwrap_or(0);
            Some(Cpu::Host { busy, all: busy + total.idle + total.iowait.unwrap_or(0) })
        }
        HostSubject::Processes(_) => {
            let used = living.iter().filter_map(|identity| {
                let stat = Process::new(identity.pid).ok()?.stat().ok()?;
                #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 ticks")]
                let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
                (stat.starttime == identity.start_time).then_some((*identity, seconds))
            });
            Some(Cpu::Processes(used.collect()))
        }
        HostSubject::Cgroup(cgroup) => {
            let stat = std::fs::read_to_string(folder_of(cgroup).join("cpu.stat")).ok()?;
            let microseconds: f64 = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()?;
            Some(Cpu::Cgroup(microseconds / 1e6))
        }
    }
}

/// How many processors the subject may use: the quota of a cgroup where it has one, else all of the host.
pub(super) fn processors(subject: &HostSubject) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processors")]
    let all = KernelStats::current().map_or(1, |stats| stats.cpu_time.len().max(1)) as f64;
    let HostSubject::Cgroup(cgroup) = subject else { return all };
    let quota = || {
        let text = std::fs::read_to_string(folder_of(cgroup).join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    quota().filter(|quota| *quota > 0.0).map_or(all, |quota| quota.min(all))
}

impl Cpu {
    /// The share of so many processors used between two counts.
    pub(super) fn share(&self, last: &Self, elapsed: Duration, processors: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 ticks")]
        match (self, last) {
            (Self::Host { busy, all }, Self::Host { busy: busy_before, all: all_before }) => {
                share(busy.saturating_sub(*busy_before) as f64, all.checked_sub(*all_before)? as f64)
            }
            (Self::Processes(now), Self::Processes(before)) => {
                // One that was started meanwhile has used all of its time since.
                let used: f64 =
                    now.iter().map(|(identity, used)| used - before.get(identity).copied().unwrap_or(0.0)).sum();
                share(used, elapsed.as_secs_f64() * processors)
            }
            (Self::Cgroup(now), Self::Cgroup(before)) => share(now - before, elapsed.as_secs_f64() * processors),
            _ => None,
        }
    }
}
