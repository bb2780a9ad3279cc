use procfs::process::Process;
use procfs::{Current, Meminfo};

use super::{HostSubject, folder_of, share};
use crate::identity::ProcessIdentity;

/// The share of memory that the subject uses.
pub(super) fn share_of(subject: &HostSubject, living: &[ProcessIdentity]) -> Option<f64> {
    let host = Meminfo::current().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let all = host.mem_total as f64;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    match subject {
        HostSubject::Host => share(all - host.mem_available.unwrap_or(host.mem_free) as f64, all),
        HostSubject::Processes(_) => share(resident(living), all),
        HostSubject::Cgroup(cgroup) => {
            let read =
                |file: &str| std::fs::read_to_string(folder_of(cgroup).join(file)).ok()?.trim().parse::<f64>().ok();
            // Without the memory controller nothing is charged to the cgroup; its processes are counted then.
            let used = read("memory.current").unwrap_or_else(|| resident(living));
            share(used, read("memory.max").map_or(all, |limit| limit.min(all)))
        }
    }
}

/// The bytes of some processes that are in memory.
fn resident(living: &[ProcessIdentity]) -> f64 {
    let pages = living.iter().filter_map(|identity| Some(Process::new(identity.pid).ok()?.statm().ok()?.resident));
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let bytes = (pages.sum::<u64>() * procfs::page_size()) as f64;
    bytes
}
