//! Every piece of host state that a fault can change, as text: without counters and numbers that the kernel gives out
//! anew, in an order that does not depend on time. Two of them taken from a host at rest are equal; what differs between
//! two is what somebody changed in between.
//!
//! One file a section. A section that cannot be read says so in a line of its own, and so never looks like an empty one.

mod bpf;
mod cgroups;
mod clock;
mod links;
mod mounts;
mod nftables;
mod qdiscs;
mod scratch;
mod sysctls;
mod tasks;
mod xtables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::NetworkNamespace;

/// One kind of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Interfaces: up or down, MTU, queue length, address, master.
    Links,
    /// Queueing disciplines with their parameters, and which filters hang on them.
    Qdiscs,
    /// nftables: tables, chains, rules, sets and their elements, objects, flow tables.
    Nftables,
    /// The tables of legacy iptables that exist. (Rules of iptables-nft are in nftables.)
    Xtables,
    /// Kernel parameters below `net` and `vm`.
    Sysctls,
    /// Mounts of this process's mount namespace.
    Mounts,
    /// cgroup values that limit or freeze.
    Cgroups,
    /// Processes that are stopped.
    Tasks,
    /// The offset between the wall clock and the clock since boot.
    Clock,
    /// Scratch files and folders of faults, and records of faults in the journal.
    Scratch,
    /// BPF links.
    Bpf,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Links,
        Self::Qdiscs,
        Self::Nftables,
        Self::Xtables,
        Self::Sysctls,
        Self::Mounts,
        Self::Cgroups,
        Self::Tasks,
        Self::Clock,
        Self::Scratch,
        Self::Bpf,
    ];

    /// Those that belong to a network namespace.
    pub const NETWORK: [Self; 5] = [Self::Links, Self::Qdiscs, Self::Nftables, Self::Xtables, Self::Sysctls];

    fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Qdiscs => "qdiscs",
            Self::Nftables => "nftables",
            Self::Xtables => "xtables",
            Self::Sysctls => "sysctls",
            Self::Mounts => "mounts",
            Self::Cgroups => "cgroups",
            Self::Tasks => "tasks",
            Self::Clock => "clock",
            Self::Scratch => "scratch",
            Self::Bpf => "bpf",
        }
    }
}

/// What to take the fingerprint of.
#[derive(Debug, Clone)]
pub struct FingerprintScope {
    /// The network namespaces to look into.
    pub namespaces: Vec<NetworkNamespace>,
    /// Folders in which faults may have left something, besides the top of every mount.
    pub folders: Vec<PathBuf>,
    /// Faultline's state folder.
    pub state: Option<PathBuf>,
    /// The sections wanted.
    pub sections: Vec<Section>,
}

impl Default for FingerprintScope {
    /// Everything, in this process's own network namespace.
    fn default() -> Self {
        Self {
            namespaces: vec![NetworkNamespace::Own],
            folders: Vec::new(),
            state: None,
            sections: Section::ALL.to_vec(),
        }
    }
}

/// The state of a host at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint {
    sections: BTreeMap<String, Vec<String>>,
}

/// Takes the fingerprint. Touches nothing.
pub fn take(scope: &FingerprintScope) -> Fingerprint {
    let mut sections = BTreeMap::new();
    for section in &scope.sections {
        if Section::NETWORK.contains(section) {
            for namespace in &scope.namespaces {
                let title = match namespace {
                    NetworkNamespace::Own => section.name().to_owned(),
                    NetworkNamespace::Path { path, .. } => format!("{} in {}", section.name(), path.display()),
                };
                let lines = crate::kernel::namespace::within(namespace, || network(*section));
                sections.insert(title, tidy(lines.map_err(|error| error.to_string()).and_then(|lines| lines)));
            }
        } else {
            sections.insert(section.name().to_owned(), tidy(host(*section, scope)));
        }
    }
    Fingerprint { sections }
}

/// Reads a section of the network namespace of this thread.
fn network(section: Section) -> Result<Vec<String>, String> {
    match section {
        Section::Links => links::read(),
        Section::Qdiscs => qdiscs::read(),
        Section::Nftables => nftables::read(),
        Section::Xtables => xtables::read(),
        _ => sysctls::read("net"),
    }
}

fn host(section: Section, scope: &FingerprintScope) -> Result<Vec<String>, String> {
    match section {
        Section::Mounts => mounts::read(),
        Section::Cgroups => cgroups::read(),
        Section::Tasks => tasks::read(),
        Section::Clock => clock::read(),
        Section::Scratch => scratch::read(scope),
        _ => bpf::read(),
    }
}

fn tidy(lines: Result<Vec<String>, String>) -> Vec<String> {
    let mut lines = lines.unwrap_or_else(|why| vec![format!("unreadable: {why}")]);
    lines.sort_unstable();
    lines
}

/// What is in one and not in the other: `- qdiscs: …` was there before, `+ qdiscs: …` is there now.
pub fn diff(before: &Fingerprint, after: &Fingerprint) -> Vec<String> {
    let none = Vec::new();
    let titles: std::collections::BTreeSet<&String> = before.sections.keys().chain(after.sections.keys()).collect();
    let mut differences = Vec::new();
    for title in titles {
        let (old, new) = (before.sections.get(title).unwrap_or(&none), after.sections.get(title).unwrap_or(&none));
        if title == Section::Clock.name() && clock::agree(old, new) {
            continue;
        }
        differences.extend(missing_from(new, old).map(|line| format!("- {title}: {line}")));
        differences.extend(missing_from(old, new).map(|line| format!("+ {title}: {line}")));
    }
    differences
}

/// The lines of `lines` that `other` has not, or not as often.
fn missing_from<'a>(other: &'a [String], lines: &'a [String]) -> impl Iterator<Item = &'a String> {
    let mut left: BTreeMap<&String, usize> = BTreeMap::new();
    for line in other {
        *left.entry(line).or_default() += 1;
    }
    lines.iter().filter(move |line| match left.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

impl Fingerprint {
    /// The sections with their lines, in order.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.sections.iter().map(|(title, lines)| (title.as_str(), lines.as_slice()))
    }
}

/// Equal if nothing differs that somebody could have changed; the wall clock may have been steered a little.
impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        diff(self, other).is_empty()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, lines) in &self.sections {
            writeln!(formatter, "[{title}]")?;
            for line in lines {
                writeln!(formatter, "{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
