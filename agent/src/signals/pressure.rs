//! Pressure stall information (Documentation/accounting/psi.rst): time in which some task waited for a resource.

use std::path::Path;
use std::time::Duration;

use super::{HostSubject, folder_of, share};

/// Time waited so far for processors, memory, and input or output; nothing where the kernel does not count it.
#[derive(Debug, Default)]
pub(super) struct Pressure([Option<Duration>; 3]);

/// What was waited so far. Of single processes the kernel does not know it.
pub(super) fn count(subject: &HostSubject) -> Pressure {
    let folder = match subject {
        HostSubject::Host => Some(("/proc/pressure".into(), "")),
        HostSubject::Processes(_) => None,
        HostSubject::Cgroup(cgroup) => Some((folder_of(cgroup), ".pressure")),
    };
    let Some((folder, suffix)) = folder else { return Pressure::default() };
    Pressure(["cpu", "memory", "io"].map(|resource| some_total(&folder.join(format!("{resource}{suffix}")))))
}

/// The total of the line `some avg10=… total=MICROSECONDS`.
fn some_total(file: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(file).ok()?;
    let total = text.lines().find(|line| line.starts_with("some "))?.rsplit_once("total=")?.1;
    Some(Duration::from_micros(total.trim().parse().ok()?))
}

impl Pressure {
    /// The share of the time between two counts in which some task waited.
    pub(super) fn shares(&self, last: &Self, elapsed: Duration) -> [Option<f64>; 3] {
        std::array::from_fn(|index| {
            let waited = self.0[index]?.checked_sub(last.0[index]?)?;
            share(waited.as_secs_f64(), elapsed.as_secs_f64())
        })
    }
}
