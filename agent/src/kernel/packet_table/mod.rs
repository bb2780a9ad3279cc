//! A table of rules for the packets of one selection, kept up to date while it exists: what network faults share.
//!
//! Addresses of host names, and the sockets of processes, are sets of the table that two threads of this process keep
//! current. The table belongs to a socket of this process: it ends with it, however that is.

mod cgroup;
mod classifier;
mod conditions;
mod dialect;
mod hosts;
mod room;
mod rules;
mod sets;
mod sockets;
mod update;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use self::room::{Enforced, TableStep};
pub(crate) use self::rules::Decision;

use self::classifier::Classifier;
use self::conditions::Owner;
use self::dialect::Dialect;
use self::hosts::HostFollower;
use self::sets::{BYSTANDERS, CONNECTIONS_4, CONNECTIONS_6, LISTENERS, LOCAL_PORTS, PEERS_4, PEERS_6, PORTS};
use super::nftables::object::{self, Set};
use super::nftables::{Counted, OwnedTable, delete, owner_of};
use super::raw_netlink::{Refusal, Request};
use super::{KernelError, Reverted, namespace};
use crate::identity::NetworkNamespace;
use crate::plan::Bite;
use crate::plan::step::{PacketOwner, PacketSelection, PortRange};

/// Before connection tracking (-200) and address translation, so that addresses are those that the target sees.
const FIRST_PRIORITY: i32 = -290;

/// The table, shared with the threads that keep it up to date; `None` once it has been taken down.
type Shared = Arc<Mutex<Option<OwnedTable>>>;

/// The rules of one selection, in force until this is dropped.
#[derive(Debug)]
pub(crate) struct PacketTable {
    name: String,
    namespace: NetworkNamespace,
    table: Shared,
    // Dropped before the table is taken down, by `take_down`.
    hosts: Option<HostFollower>,
    classifier: Option<Classifier>,
}

impl PacketTable {
    /// Makes the table in the namespace of the selection, reads it back, and begins to keep it up to date.
    pub(crate) fn create(name: &str, selection: &PacketSelection, decision: Decision<'_>) -> Result<Self, KernelError> {
        let object = format!("table inet {name} in {}", selection.namespace);
        let addresses = hosts::resolve_all(&selection.host_names)?;
        let prepared = namespace::within(&selection.namespace, || prepare(name, selection, decision, &addresses))?;
        let (table, follower, opening) = prepared.map_err(|refused| refused.explain(&object))?;
        let table: Shared = Arc::new(Mutex::new(Some(table)));
        let classifier = match follower {
            Some(follower) => Some(
                Classifier::start(Arc::clone(&table), follower, opening)
                    .map_err(|error| KernelError::new(&object, "thread", error))?,
            ),
            None => None,
        };
        let hosts = (!selection.host_names.is_empty())
            .then(|| HostFollower::start(&table, selection, addresses))
            .transpose()
            .map_err(|error| KernelError::new(&object, "thread", error))?;
        Ok(Self { name: name.into(), namespace: selection.namespace.clone(), table, hosts, classifier })
    }

    /// What its rules have counted so far.
    pub(crate) fn counted(&self) -> Result<Counted, KernelError> {
        self.with(OwnedTable::counted)
    }

    /// Removes the rules and leaves the rest, so that no further packet is selected.
    pub(crate) fn stop_selecting(&self) -> Result<(), KernelError> {
        self.with(|table| table.commit(&[object::delete_rules(table.name())]))
    }

    /// Why it does not bite although nothing is wrong with its rules: they have met no packet.
    pub(crate) fn not_met(&self) -> Bite {
        Bite::NotYet(match self.trouble() {
            None => "no matching packet has passed since the fault was put in place".into(),
            Some(trouble) => format!("no matching packet so far, and: {trouble}"),
        })
    }

    /// What has gone wrong since with keeping it up to date, if anything.
    fn trouble(&self) -> Option<String> {
        self.classifier.as_ref().and_then(Classifier::trouble).or_else(|| self.hosts.as_ref()?.trouble())
    }

    fn with<R>(&self, work: impl FnOnce(&mut OwnedTable) -> Result<R, Refusal>) -> Result<R, KernelError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let object = || format!("table inet {} in {}", self.name, self.namespace);
        match table.as_mut() {
            Some(table) => work(table).map_err(|refusal| KernelError::new(object(), "nftables", refusal)),
            None => Err(KernelError::new(object(), "nftables", std::io::Error::from(std::io::ErrorKind::NotFound))),
        }
    }
}

impl Drop for PacketTable {
    fn drop(&mut self) {
        self.classifier = None;
        self.hosts = None;
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner).take();
        // When a base chain goes, the kernel drops what any queue of the namespace holds (`nf_queue_nf_hook_drop`).
        let _others = super::packet_queue::pause_others(&self.namespace);
        drop(table);
    }
}

/// Why a table could not be made: the call, and the kernel's words.
struct Refused(&'static str, Refusal);

impl Refused {
    fn explain(self, object: &str) -> KernelError {
        use nix::errno::Errno;
        let hint = if self.1.is(Errno::EPERM) || self.1.is(Errno::EACCES) {
            "changing packet rules needs CAP_NET_ADMIN: run as root, or in a private network"
        } else {
            "`faultline doctor` lists what this kernel can do with packets"
        };
        KernelError::new(object, self.0, self.1).hint(hint)
    }
}

type Prepared = (OwnedTable, Option<sockets::SocketFollower>, Option<classifier::Opening>);

/// Everything that has to be done by a thread inside the namespace.
fn prepare(
    name: &str,
    selection: &PacketSelection,
    decision: Decision<'_>,
    addresses: &[IpAddr],
) -> Result<Prepared, Refused> {
    let dialect = Dialect::of_this_kernel();
    let mut follower = None;
    let mut opening = None;
    let owners = match &selection.owner {
        PacketOwner::Everyone => vec![Owner::Everyone],
        PacketOwner::Cgroups(paths) => paths
            .iter()
            .map(|path| cgroup::owner(path).map_err(|error| Refused("look up the cgroup", error.into())))
            .collect::<Result<_, _>>()?,
        PacketOwner::Processes(processes) => {
            let refused = |error: std::io::Error| Refused("socket(NETLINK_SOCK_DIAG)", error.into());
            follower = Some(sockets::SocketFollower::open(processes).map_err(refused)?);
            opening = dialect.hand_over.and_then(|_| classifier::Opening::listen(name));
            let handed = opening.as_ref().map(|opening| Owner::Opening { queue: opening.number() });
            [Owner::Connections, Owner::LocalPorts].into_iter().chain(handed).collect()
        }
    };
    let mut table = OwnedTable::open(name).map_err(|error| Refused("socket(NETLINK_NETFILTER)", error.into()))?;
    let priority = table.free_priority(FIRST_PRIORITY).map_err(|refusal| Refused("list chains", refusal))?;
    let hooks = rules::hooks(selection, decision);
    let mut requests = vec![object::table(name)];
    requests.extend(set_requests(name, selection, addresses));
    requests.extend(hooks.iter().map(|hook| object::chain(name, *hook, priority)));
    let rules = rules::rules(selection, decision, &owners, dialect);
    requests.extend(rules.iter().map(|(hook, rule)| object::rule(name, *hook, rule)));
    table.commit(&requests).map_err(|refusal| Refused("make the table", refusal))?;
    if let Some(follower) = &mut follower {
        update::replace_sockets(&mut table, follower).map_err(|refusal| Refused("list sockets", refusal))?;
    }
    let counted = table.counted().map_err(|refusal| Refused("read the rules back", refusal))?;
    let ours = table.is_ours().map_err(|refusal| Refused("read the table back", refusal))?;
    if !ours || counted.rules != rules.len() {
        let said = format!("{} of {} rules are there, owned by us: {ours}", counted.rules, rules.len());
        return Err(Refused("read the table back", std::io::Error::other(said).into()));
    }
    Ok((table, follower, opening))
}

/// The sets that the rules look into, with what is known now.
fn set_requests(name: &str, selection: &PacketSelection, addresses: &[IpAddr]) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut id = 0;
    let mut add = |set: &'static Set, elements: &[object::Element]| {
        id += 1;
        requests.push(object::set(name, set, id));
        requests.extend(object::add_elements(name, set, elements));
    };
    if !selection.networks.is_empty() || !selection.host_names.is_empty() {
        let [four, six] = update::peer_elements(selection, addresses);
        add(&PEERS_4, &four);
        add(&PEERS_6, &six);
    }
    let ports = |ranges: &[PortRange]| {
        object::range_elements(2, ranges.iter().map(|range| (range.first.into(), range.last.into())))
    };
    if !selection.ports.is_empty() {
        add(&PORTS, &ports(&selection.ports));
    }
    if !selection.local_ports.is_empty() {
        add(&LOCAL_PORTS, &ports(&selection.local_ports));
    }
    if matches!(selection.owner, PacketOwner::Processes(_)) {
        for set in [&LISTENERS, &CONNECTIONS_4, &CONNECTIONS_6, &BYSTANDERS] {
            add(set, &[]);
        }
    }
    requests
}

/// How often, and how long each time, a table waits for an owner who is on his way out.
const WAITS_FOR_OWNER: u32 = 20;
const WAIT_FOR_OWNER: std::time::Duration = std::time::Duration::from_millis(5);

/// Takes a table back after its maker is gone, or finds that the kernel did.
pub(crate) fn revert(name: &str, network: &NetworkNamespace) -> Result<Reverted, KernelError> {
    let object = || format!("table inet {name} in {network}");
    let inside = namespace::within(network, || {
        let Some(mut owner) = owner_of(name)? else { return Ok((Reverted::Absent, None)) };
        let mut refused = delete(name).err();
        // A socket that was just closed may live on for a moment in a child that has been forked and not yet become its
        // program; its table goes with it.
        for _ in 0..WAITS_FOR_OWNER {
            if refused.is_none() {
                break;
            }
            std::thread::sleep(WAIT_FOR_OWNER);
            match owner_of(name)? {
                None => refused = None,
                Some(now) => (owner, refused) = (now, delete(name).err()),
            }
        }
        Ok(refused.map_or((Reverted::Undone, None), |refusal| (Reverted::Absent, Some((owner, refusal)))))
    });
    match inside {
        Err(error) if error.is_gone() => Ok(Reverted::Absent),
        Err(error) => Err(error),
        Ok(Err::<_, Refusal>(refusal)) => Err(KernelError::new(object(), "NFT_MSG_GETTABLE", refusal)),
        Ok(Ok((reverted, None))) => Ok(reverted),
        Ok(Ok((_, Some((owner, refusal))))) => {
            Err(KernelError::new(object(), "NFT_MSG_DELTABLE", refusal).hint(match owner {
                Some(port) => format!(
                    "it belongs to the netlink port {port} (of process {port}, if there is one) and vanishes when \
                     that ends"
                ),
                None => format!("remove it by hand: nft delete table inet {name}"),
            }))
        }
    }
}

/// Whether a table of this name is there.
pub(crate) fn is_present(name: &str, network: &NetworkNamespace) -> Result<bool, KernelError> {
    match namespace::within(network, || owner_of(name)) {
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
        Ok(found) => found.map(|owner| owner.is_some()).map_err(|refusal| {
            KernelError::new(format!("table inet {name} in {network}"), "NFT_MSG_GETTABLE", refusal)
        }),
    }
}
