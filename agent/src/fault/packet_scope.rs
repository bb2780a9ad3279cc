use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Peers, PlanContext, PlanError};
use crate::facts::{Feature, ProcessFacts};
use crate::identity::{NetworkNamespace, ProcessIdentity};
use crate::plan::step::{Direction, PacketOwner, PacketSelection, Protocol};

/// The packets that a network fault acts on, one selection for each network namespace, and what to say about them.
#[derive(Debug)]
pub(super) struct PacketScope {
    /// One for each namespace in which there is a target.
    pub(super) selections: Vec<PacketSelection>,
    /// The targets in words.
    pub(super) targets: Vec<String>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// Finds the packets that belong to a target.
pub(super) fn select(
    context: &PlanContext<'_>,
    direction: Direction,
    interface: Option<&str>,
    peers: &Peers,
) -> Result<PacketScope, PlanError> {
    let mut notes = Vec::new();
    let owners = owners(context, &mut notes)?;
    let mut selections = Vec::new();
    for (namespace, owner) in owners {
        if matches!(owner, PacketOwner::Processes(_)) && peers.protocol == Some(Protocol::Icmp) {
            return Err(PlanError::Unsupported {
                message: "ICMP packets cannot be told apart by process: their sockets have no ports".into(),
                hint: "choose a cgroup, or the whole host or namespace as the target".into(),
            });
        }
        check_interface(context, &namespace, interface)?;
        let everybody = owner == PacketOwner::Everyone && namespace == NetworkNamespace::Own;
        let loopback = !everybody || interface == Some("lo") || peers.names_addresses();
        if !loopback {
            notes.push(
                "packets over loopback are left alone on a whole host; name loopback addresses under `peers.cidrs` or \
                 `interface: lo` to include them"
                    .into(),
            );
        }
        selections.push(PacketSelection {
            namespace,
            direction,
            interface: interface.map(Into::into),
            loopback,
            networks: peers.cidrs.clone(),
            host_names: peers.hosts.clone(),
            ports: peers.ports.clone(),
            local_ports: peers.local_ports.clone(),
            protocol: peers.protocol,
            owner,
        });
    }
    notes.push("ARP, IPv6 neighbour discovery and Faultline's own control traffic are exempt".into());
    let targets = selections.iter().map(ToString::to_string).collect();
    Ok(PacketScope { selections, targets, notes })
}

fn check_interface(
    context: &PlanContext<'_>,
    namespace: &NetworkNamespace,
    interface: Option<&str>,
) -> Result<(), PlanError> {
    let Some(interface) = interface else { return Ok(()) };
    let there = context.facts.interfaces(namespace)?;
    if there.iter().any(|name| name == interface) {
        return Ok(());
    }
    Err(PlanError::NoTarget {
        message: format!("there is no interface `{interface}` in {namespace}"),
        hint: format!("there are: {}", there.join(", ")),
    })
}

/// Whose packets, by namespace.
fn owners(
    context: &PlanContext<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<(NetworkNamespace, PacketOwner)>, PlanError> {
    let scope = context.scope;
    if scope.cgroup.is_none() && scope.processes.is_none() {
        return Ok(vec![(scope.namespace.clone(), PacketOwner::Everyone)]);
    }
    let all = context.facts.processes()?;
    let chosen: Vec<&ProcessFacts> = match (&scope.processes, &scope.cgroup) {
        (Some(processes), _) => processes.iter().collect(),
        (None, Some(path)) => all.iter().filter(|process| is_below(process, path)).collect(),
        (None, None) => Vec::new(),
    };
    if chosen.is_empty() {
        return Err(PlanError::NoTarget {
            message: match &scope.cgroup {
                Some(path) => format!("no process is in cgroup {}", path.display()),
                None => "no process was chosen".into(),
            },
            hint: "start the target first, or choose another".into(),
        });
    }
    let protected: BTreeSet<_> = context.facts.protected().into_iter().collect();
    if let Some(process) = chosen.iter().find(|process| protected.contains(&process.identity)) {
        return Err(PlanError::Refused {
            message: format!("process {} ({}) is protected", process.identity, process.name),
            hint: "process 1 and Faultline's own processes are never a target; choose others".into(),
        });
    }
    let mut by_namespace: BTreeMap<NetworkNamespace, Vec<&ProcessFacts>> = BTreeMap::new();
    let home = home(context, &all);
    for process in chosen {
        let namespace = match process.network_namespace {
            Some(inode) if home.is_some_and(|home| home != inode) => {
                NetworkNamespace::Path { path: format!("/proc/{}/ns/net", process.identity.pid).into(), inode }
            }
            _ => scope.namespace.clone(),
        };
        // Two processes name one namespace by two paths: the inode decides.
        let known = by_namespace.keys().find(|known| same(known, &namespace)).cloned().unwrap_or(namespace);
        by_namespace.entry(known).or_default().push(process);
    }
    by_namespace
        .into_iter()
        .map(|(namespace, processes)| {
            let owner = owner_in(context, &namespace, &processes, &all, notes);
            Ok((namespace, owner))
        })
        .collect()
}

/// The inode number of the namespace in which the target is said to be.
fn home(context: &PlanContext<'_>, all: &[ProcessFacts]) -> Option<u64> {
    match &context.scope.namespace {
        NetworkNamespace::Path { inode, .. } => Some(*inode),
        NetworkNamespace::Own => {
            let own = context.facts.protected();
            let own = |process: &&ProcessFacts| process.identity.pid != 1 && own.contains(&process.identity);
            all.iter().find(own).and_then(|process| process.network_namespace)
        }
    }
}

fn same(one: &NetworkNamespace, other: &NetworkNamespace) -> bool {
    match (one, other) {
        (NetworkNamespace::Path { inode: one, .. }, NetworkNamespace::Path { inode: other, .. }) => one == other,
        _ => one == other,
    }
}

/// By cgroup where the processes are alone in theirs, else by their sockets.
fn owner_in(
    context: &PlanContext<'_>,
    namespace: &NetworkNamespace,
    processes: &[&ProcessFacts],
    all: &[ProcessFacts],
    notes: &mut Vec<String>,
) -> PacketOwner {
    let by_sockets = || {
        let mut identities: Vec<ProcessIdentity> = processes.iter().map(|process| process.identity).collect();
        identities.sort_unstable();
        PacketOwner::Processes(identities)
    };
    let cgroups = match &context.scope.cgroup {
        Some(path) if context.scope.processes.is_none() => Some(BTreeSet::from([path.clone()])),
        _ => cgroups_alone(processes, all),
    };
    let why = match (cgroups, context.facts.kernel_features(namespace).cgroup_match) {
        (Some(paths), Feature::Present) => return PacketOwner::Cgroups(paths.into_iter().collect()),
        (Some(_), Feature::Missing(reason)) => reason,
        (None, _) => "they share their cgroup with others".into(),
    };
    notes.push(format!(
        "the processes are matched by their sockets, looked up as connections open and every 100 ms ({why}); a port on \
         which other processes listen too is met for all of them"
    ));
    by_sockets()
}

/// The cgroups that hold these processes and nobody else, if all of them are in such.
fn cgroups_alone(processes: &[&ProcessFacts], all: &[ProcessFacts]) -> Option<BTreeSet<PathBuf>> {
    let chosen: BTreeSet<_> = processes.iter().map(|process| process.identity).collect();
    let mut paths = BTreeSet::new();
    for process in processes {
        let path = process.cgroup.as_ref().filter(|path| path.as_path() != Path::new("/"))?;
        let alone = all
            .iter()
            .filter(|other| other.state != 'Z' && is_below(other, path))
            .all(|other| chosen.contains(&other.identity));
        if !alone {
            return None;
        }
        paths.insert(path.clone());
    }
    Some(paths)
}

fn is_below(process: &ProcessFacts, path: &Path) -> bool {
    process.cgroup.as_ref().is_some_and(|cgroup| cgroup.starts_with(path))
}
