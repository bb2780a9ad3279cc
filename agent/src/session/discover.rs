//! What an agent finds out about its host, as labels by which targets can be chosen.

use std::collections::BTreeMap;
use std::fs;

/// How the names of discovered labels begin; given labels may not.
pub const PREFIX: &str = "faultline.dev/";

/// The capabilities (capabilities(7)) that faults need, by their bit.
const CAPABILITIES: [(u32, &str); 8] = [
    (2, "dac-read-search"),
    (5, "kill"),
    (12, "net-admin"),
    (13, "net-raw"),
    (19, "sys-ptrace"),
    (21, "sys-admin"),
    (24, "sys-resource"),
    (25, "sys-time"),
];

/// The labels of this host: `host-name`, `kernel`, `architecture`, `cgroup-version`, and one `capability-NAME: "true"` for
/// each capability that this process has, all below [`PREFIX`]. What cannot be found out is left out.
pub fn labels() -> BTreeMap<String, String> {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let mut labels = BTreeMap::from([
        ("host-name".to_owned(), text(uname.nodename())),
        ("kernel".to_owned(), text(uname.release())),
        ("architecture".to_owned(), text(uname.machine())),
    ]);
    if let Some(version) = cgroup_version() {
        labels.insert("cgroup-version".into(), version.into());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in effective(&status) {
        labels.insert(format!("capability-{name}"), "true".into());
    }
    labels.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value)).collect()
}

/// `2` where the unified hierarchy is the only one, `hybrid` where it is mounted beside the old ones, else `1`.
fn cgroup_version() -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let has = |kind: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind));
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => Some("2"),
        (true, true) => Some("hybrid"),
        (false, true) => Some("1"),
        (false, false) => None,
    }
}

/// The names of the effective capabilities in `/proc/PID/status`.
fn effective(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    CAPABILITIES.iter().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_bit_by_bit() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000001020\n"), ["kill", "net-admin"]);
        assert_eq!(effective("CapEff:\t000001ffffffffff\n").len(), CAPABILITIES.len());
        assert!(effective("CapEff:\tnonsense\n").is_empty());
    }

    #[test]
    fn this_host_has_a_name_and_a_kernel() {
        let labels = labels();
        assert_eq!(labels["faultline.dev/kernel"], fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());
        assert!(labels.contains_key("faultline.dev/host-name") && labels.contains_key("faultline.dev/architecture"));
    }
}
