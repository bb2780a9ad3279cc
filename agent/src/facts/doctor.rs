//! What can be injected on this host and what cannot, with the reason and what would help: `faultline doctor`.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{Mode, OFlags};
use serde::Serialize;

use super::{Feature, KernelFeatures, kernel_features};
use crate::fault::CATALOGUE;
use crate::identity::NetworkNamespace;
use crate::kernel::user_namespace;
use crate::plan::UndoClass;
use crate::state::StateFolder;

/// How well one thing of the host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There, and shown to work.
    Good,
    /// Not there, or not fully; most things go on without.
    Limited,
    /// Not there, and whole faults or every run need it.
    Missing,
}

/// One thing of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostCheck {
    /// What was looked at: `privileges`, `netem`.
    pub what: &'static str,
    /// How well it serves.
    pub state: Health,
    /// What was found.
    pub because: String,
    /// What would help, where something is wanting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One fault of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultCheck {
    /// Its name in the catalogue.
    pub fault: &'static str,
    /// Whether it can be injected here.
    pub possible: bool,
    /// By which mechanism, or why not.
    pub because: String,
    /// How it is undone when everything of Faultline dies.
    pub undo: UndoClass,
}

/// Everything that `doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The host, thing by thing.
    pub host: Vec<HostCheck>,
    /// The catalogue, fault by fault.
    pub faults: Vec<FaultCheck>,
}

/// Examines this host. Touches nothing but the state folder, in which one unnamed file lives for a moment; network
/// features are tried in a network namespace of their own.
///
/// `state` is the folder that was asked for on the command line, if any.
pub fn diagnose(state: Option<&Path>) -> Diagnosis {
    let features = kernel_features::probe(&NetworkNamespace::Own);
    let mut host = vec![kernel(), privileges(), user_namespaces()];
    host.extend(network(&features));
    host.extend([cgroups(), pressure(), process_descriptors(&features), guard()]);
    host.extend(state_folder(state));
    Diagnosis { host, faults: CATALOGUE.iter().map(|entry| fault(entry, &features)).collect() }
}

fn fault(entry: &crate::fault::Entry, features: &KernelFeatures) -> FaultCheck {
    let met: Result<Vec<&str>, String> = entry.needs.iter().map(|need| need.met_by(features)).collect();
    let (possible, because) = match met {
        Ok(by) if by.is_empty() => (true, "needs nothing special".into()),
        Ok(by) => (true, format!("by {}", by.join(", "))),
        Err(reason) => (false, reason),
    };
    FaultCheck { fault: entry.name, possible, because, undo: entry.undo }
}

fn good(what: &'static str, because: impl Into<String>) -> HostCheck {
    HostCheck { what, state: Health::Good, because: because.into(), hint: None }
}

fn wanting(what: &'static str, state: Health, because: impl Into<String>, hint: impl Into<String>) -> HostCheck {
    HostCheck { what, state, because: because.into(), hint: Some(hint.into()) }
}

fn kernel() -> HostCheck {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(boot) => good("kernel", format!("Linux {}, boot {}", release.trim(), boot.trim())),
        Err(error) => wanting(
            "kernel",
            Health::Missing,
            format!("Linux {}, but /proc/sys/kernel/random/boot_id cannot be read: {error}", release.trim()),
            "mount /proc: without the id of the boot, a reboot cannot be told from a crash",
        ),
    }
}

/// Capabilities that faults use, by their number in `capability.h`, with what is lost without each.
const CAPABILITIES: [(u32, &str, &str); 6] = [
    (12, "CAP_NET_ADMIN", "network faults on the host"),
    (21, "CAP_SYS_ADMIN", "network namespaces of other processes"),
    (5, "CAP_KILL", "killing and pausing other users' processes"),
    (19, "CAP_SYS_PTRACE", "finding the sockets and namespaces of other users' processes"),
    (1, "CAP_DAC_OVERRIDE", "filling other users' folders"),
    (24, "CAP_SYS_RESOURCE", "filling the blocks reserved for root, protecting the guard from the OOM killer"),
];

fn privileges() -> HostCheck {
    let held = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?.trim().to_owned();
            u64::from_str_radix(&line, 16).ok()
        })
        .unwrap_or(0);
    let user = nix::unistd::geteuid();
    let lost: Vec<_> = CAPABILITIES.iter().filter(|(bit, ..)| held & (1 << bit) == 0).collect();
    if lost.is_empty() {
        return good("privileges", format!("user {user} with every capability that a fault uses"));
    }
    let names: Vec<_> = lost.iter().map(|(_, name, _)| *name).collect();
    let losses: Vec<_> = lost.iter().map(|(.., loss)| *loss).collect();
    wanting(
        "privileges",
        Health::Limited,
        format!("user {user} lacks {}: {} will be refused", names.join(", "), losses.join("; ")),
        if user.is_root() {
            "give the container or unit these capabilities".to_owned()
        } else {
            "run as root; experiments with `network: private` work without, by a user namespace".to_owned()
        },
    )
}

fn user_namespaces() -> HostCheck {
    const WHAT: &str = "user namespaces";
    if !Path::new("/proc/self/ns/user").exists() {
        return wanting(WHAT, Health::Limited, "this kernel has none", "run as root");
    }
    match user_namespace::forbidden_by() {
        None => good(WHAT, "allowed: private runs need no root"),
        Some(setting) => {
            wanting(WHAT, Health::Limited, "forbidden to ordinary users", format!("{setting}, or run as root"))
        }
    }
}

fn network(features: &KernelFeatures) -> Vec<HostCheck> {
    let check = |what, feature: &Feature, without, good_words: &str| match feature {
        Feature::Present => good(what, good_words),
        Feature::Missing(reason) => {
            let (because, hint) = reason.split_once(": ").unwrap_or((reason, "run as root"));
            wanting(what, without, because, hint)
        }
    };
    vec![
        check("nftables owner tables", &features.owner_tables, Health::Missing, "rules vanish with their worker"),
        check("packet queue", &features.packet_queue, Health::Limited, "packets can be held in user space"),
        check("netem", &features.netem, Health::Limited, "the kernel can hold packets by itself"),
        check("cgroup match", &features.cgroup_match, Health::Limited, "packets can be told by their sockets' cgroup"),
    ]
}

fn cgroups() -> HostCheck {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount_of = |kind: &str| {
        mounts.lines().find_map(|line| {
            let (fields, rest) = line.split_once(" - ")?;
            (rest.split(' ').next() == Some(kind)).then(|| PathBuf::from(fields.split(' ').nth(4).unwrap_or("/")))
        })
    };
    match (mount_of("cgroup2"), mount_of("cgroup")) {
        (None, None) => {
            wanting("cgroups", Health::Limited, "no hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
        }
        (None, Some(_)) => wanting(
            "cgroups",
            Health::Limited,
            "version 1 alone: packets are matched by socket instead of by cgroup",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ),
        (Some(path), old) => {
            let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
            let controllers = match controllers.trim() {
                "" => "no controllers".to_owned(),
                names => format!("controllers {names}"),
            };
            let also = if old.is_some() { ", beside version 1" } else { "" };
            good("cgroups", format!("version 2 at {} with {controllers}{also}", path.display()))
        }
    }
}

fn pressure() -> HostCheck {
    match fs::read_to_string("/proc/pressure/cpu") {
        Ok(_) => good("pressure", "the kernel counts stalls (PSI)"),
        Err(error) => wanting(
            "pressure",
            Health::Limited,
            format!("no pressure stall information ({error}): host signals come without it"),
            "boot with psi=1",
        ),
    }
}

fn process_descriptors(features: &KernelFeatures) -> HostCheck {
    match super::Need::ProcessDescriptors.met_by(features) {
        Ok(_) => good("process descriptors", "a signal never meets a successor with the same number"),
        Err(reason) => {
            let (because, hint) = reason.split_once(": ").unwrap_or((&reason, "Linux 5.3 or later"));
            wanting("process descriptors", Health::Missing, because, hint)
        }
    }
}

/// The guard wakes by a timer on the clock that goes on while the machine sleeps, and is this program started again.
fn guard() -> HostCheck {
    use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC).map_err(|error| {
        (
            format!("no timer on CLOCK_BOOTTIME: {error}"),
            "Linux 3.15 or later, or a seccomp filter that allows timerfd_create",
        )
    });
    let program = fs::File::open("/proc/self/exe").map_err(|error| {
        (
            format!("this program cannot be started again: {error}"),
            "mount /proc, and make the program readable to its user",
        )
    });
    match timer.map(drop).and(program.map(drop)) {
        Ok(()) => good("guard", "can be started, and wakes by a timer on CLOCK_BOOTTIME"),
        Err((because, hint)) => wanting("guard", Health::Missing, because, hint),
    }
}

fn state_folder(asked: Option<&Path>) -> Vec<HostCheck> {
    const WHAT: &str = "state folder";
    let folder = match StateFolder::resolve(asked) {
        Ok(folder) => folder,
        Err(error) => {
            let because = match &error.source {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            return vec![wanting(WHAT, Health::Missing, because, error.hint)];
        }
    };
    let path = folder.path();
    let free = rustix::fs::statvfs(path).map_or(0, |file_system| file_system.f_bavail * file_system.f_frsize);
    const ENOUGH: u64 = 64 << 20;
    let space = if free < ENOUGH {
        wanting(
            WHAT,
            Health::Limited,
            format!("{}, with {} MiB free", path.display(), free >> 20),
            "free some space: a run keeps its samples there",
        )
    } else {
        good(WHAT, format!("{}, written and synced, {} MiB free", path.display(), free >> 20))
    };
    let unnamed = match rustix::fs::open(path, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR) {
        Ok(_) => good("unnamed files", "O_TMPFILE works on the state folder's file system"),
        Err(error) => wanting(
            "unnamed files",
            Health::Limited,
            format!(
                "no O_TMPFILE there ({}): files are made and unlinked at once instead",
                Errno::from_raw(error.raw_os_error()).desc()
            ),
            "nothing to do; a file system such as ext4, xfs, btrfs or tmpfs has it",
        ),
    };
    vec![space, unnamed]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_and_every_thing_of_the_host_is_answered_once() {
        let folder = tempfile::tempdir().unwrap();
        let diagnosis = diagnose(Some(folder.path()));
        let names: Vec<_> = diagnosis.faults.iter().map(|fault| fault.fault).collect();
        assert_eq!(names, CATALOGUE.iter().map(|entry| entry.name).collect::<Vec<_>>());
        let mut things: Vec<_> = diagnosis.host.iter().map(|check| check.what).collect();
        things.sort_unstable();
        let count = things.len();
        things.dedup();
        assert_eq!(things.len(), count);
        for check in &diagnosis.host {
            assert_eq!(check.hint.is_none(), check.state == Health::Good, "{check:?}");
            assert!(!check.because.is_empty(), "{check:?}");
        }
        let state = diagnosis.host.iter().find(|check| check.what == "state folder").unwrap();
        assert!(state.because.starts_with(&folder.path().display().to_string()), "{state:?}");
    }

    #[test]
    fn a_state_folder_that_cannot_be_used_says_so_with_a_hint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let checks = state_folder(Some(file.path()));
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].state, Health::Missing);
        assert!(checks[0].hint.as_deref().unwrap().contains("--state"), "{checks:?}");
    }
}
