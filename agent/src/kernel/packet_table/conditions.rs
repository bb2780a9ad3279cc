//! The conditions of a selection: which packets its rules meet, for each family of addresses and protocol.

use super::sets::{BYSTANDERS, CONNECTIONS_4, CONNECTIONS_6, LISTENERS, LOCAL_PORTS, PEERS_4, PEERS_6, PORTS};
use crate::kernel::nftables::expression::{self, Base, KEY_REGISTER, Meta, REGISTER};
use crate::kernel::nftables::object::{Hook, Set};
use crate::kernel::raw_netlink::Attributes;
use crate::plan::step::{PacketSelection, Protocol};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMP_6: u8 = 58;

/// Whose packets a rule meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Everyone,
    /// A cgroup by its number, at a level below the root of the hierarchy.
    Cgroup {
        level: u32,
        number: u64,
    },
    /// The connections in our sets.
    Connections,
    /// The local ports in our set.
    LocalPorts,
    /// Connections just being opened, whoever opens them: handed to the classifier.
    Opening {
        queue: u16,
    },
}

/// The two families of addresses, with the places of addresses in their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    fn length(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    fn source(self) -> u32 {
        match self {
            Self::V4 => 12,
            Self::V6 => 8,
        }
    }

    fn destination(self) -> u32 {
        self.source() + self.length()
    }

    fn peers(self) -> &'static Set {
        match self {
            Self::V4 => &PEERS_4,
            Self::V6 => &PEERS_6,
        }
    }
}

/// On which side of the packet the target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Egress,
    Ingress,
}

const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;

/// Goes on if the packet passes an interface of this name.
pub(super) fn interface(key: Meta, name: &str) -> Vec<Attributes> {
    vec![expression::meta(key, REGISTER), expression::equals(&padded(name))]
}

/// Goes on if the packet passes an interface of any other name.
pub(super) fn other_interface(key: Meta, name: &str) -> Vec<Attributes> {
    vec![expression::meta(key, REGISTER), expression::differs(&padded(name))]
}

/// The kernel compares all 16 bytes of an interface's name.
fn padded(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    for (place, byte) in padded.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    padded
}

/// The conditions of a selection for each family and protocol, without the decision.
pub(super) fn matches(
    selection: &PacketSelection,
    view: View,
    hook: Hook,
    owner: Owner,
    split_tcp: bool,
) -> Vec<(Vec<Attributes>, Option<u8>)> {
    let named = !selection.networks.is_empty() || !selection.host_names.is_empty();
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        for protocol in protocols(selection, family, owner, split_tcp) {
            let mut rule = vec![expression::meta(Meta::Family, REGISTER), expression::equals(&[family.number()])];
            if let Some(name) = &selection.interface {
                let key =
                    if view == View::Egress && hook != Hook::Input { Meta::OutInterface } else { Meta::InInterface };
                rule.extend(interface(key, name));
            }
            if let Some(protocol) = protocol {
                rule.extend([expression::meta(Meta::Protocol, REGISTER), expression::equals(&[protocol])]);
            }
            let (peer, peer_port, own_port) = match view {
                View::Egress => (family.destination(), DESTINATION_PORT, SOURCE_PORT),
                View::Ingress => (family.source(), SOURCE_PORT, DESTINATION_PORT),
            };
            if named {
                rule.push(expression::payload(Base::Network, peer, family.length(), REGISTER));
                rule.push(expression::lookup(family.peers().name, REGISTER));
            }
            for (ranges, set, place) in
                [(&selection.ports, &PORTS, peer_port), (&selection.local_ports, &LOCAL_PORTS, own_port)]
            {
                if !ranges.is_empty() {
                    rule.push(expression::payload(Base::Transport, place, 2, REGISTER));
                    rule.push(expression::lookup(set.name, REGISTER));
                }
            }
            rule.extend(owned(owner, view, family, protocol));
            found.push((rule, protocol));
        }
    }
    found
}

/// The protocols for which a rule of its own is needed; `None` is one rule for all.
fn protocols(selection: &PacketSelection, family: Family, owner: Owner, split_tcp: bool) -> Vec<Option<u8>> {
    let by_socket = matches!(owner, Owner::Connections | Owner::LocalPorts | Owner::Opening { .. });
    let by_port = by_socket || !selection.ports.is_empty() || !selection.local_ports.is_empty();
    match selection.protocol {
        Some(Protocol::Tcp) => vec![Some(TCP)],
        Some(Protocol::Udp) => vec![Some(UDP)],
        Some(Protocol::Icmp) if by_socket => Vec::new(),
        Some(Protocol::Icmp) if family == Family::V4 => vec![Some(ICMP)],
        Some(Protocol::Icmp) => vec![Some(ICMP_6)],
        None if by_port => vec![Some(TCP), Some(UDP)],
        None if split_tcp => vec![Some(TCP), None],
        None => vec![None],
    }
}

fn owned(owner: Owner, view: View, family: Family, protocol: Option<u8>) -> Vec<Attributes> {
    use expression::{equals, lookup, mask, meta, payload};
    let (own, peer) = match view {
        View::Egress => ((family.source(), SOURCE_PORT), (family.destination(), DESTINATION_PORT)),
        View::Ingress => ((family.destination(), DESTINATION_PORT), (family.source(), SOURCE_PORT)),
    };
    let words = family.length() / 4;
    match owner {
        Owner::Everyone => Vec::new(),
        Owner::Cgroup { level, number } => vec![expression::socket_cgroup(level), equals(&number.to_ne_bytes())],
        Owner::LocalPorts => vec![
            meta(Meta::Protocol, KEY_REGISTER),
            payload(Base::Transport, own.1, 2, KEY_REGISTER + 1),
            lookup(LISTENERS.name, KEY_REGISTER),
        ],
        Owner::Connections => vec![
            meta(Meta::Protocol, KEY_REGISTER),
            payload(Base::Network, own.0, family.length(), KEY_REGISTER + 1),
            payload(Base::Transport, own.1, 2, KEY_REGISTER + 1 + words),
            payload(Base::Network, peer.0, family.length(), KEY_REGISTER + 2 + words),
            payload(Base::Transport, peer.1, 2, KEY_REGISTER + 2 + 2 * words),
            lookup(if family == Family::V4 { CONNECTIONS_4.name } else { CONNECTIONS_6.name }, KEY_REGISTER),
        ],
        // The first packet of a TCP connection has SYN and not ACK. UDP has no first packet: of each new socket those
        // packets are handed over that come before the next look at the sockets tells whose it is.
        Owner::Opening { .. } if protocol == Some(TCP) => {
            vec![payload(Base::Transport, 13, 1, REGISTER), mask(0x12), equals(&[0x02])]
        }
        Owner::Opening { .. } => vec![
            meta(Meta::Protocol, KEY_REGISTER),
            payload(Base::Transport, own.1, 2, KEY_REGISTER + 1),
            expression::lookup_absent(BYSTANDERS.name, KEY_REGISTER),
        ],
    }
}
