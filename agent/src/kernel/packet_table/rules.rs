//! The rules of a table: which packets a selection means, as nftables expressions.

use super::dialect::Dialect;
use crate::kernel::control_traffic::MARK;
use crate::kernel::nftables::expression::{self, Base, KEY_REGISTER, Meta, REGISTER, Reject, Verdict};
use crate::kernel::nftables::object::{Hook, KeyPart, Set};
use crate::kernel::raw_netlink::Attributes;
use crate::plan::step::{Direction, PacketOwner, PacketSelection, Protocol};

/// What becomes of a selected packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It disappears.
    Drop,
    /// It disappears; TCP is told by a reset, others by "port unreachable".
    Reject,
    /// It disappears, and its sender is told "host unreachable".
    Unreachable,
    /// It goes to the listener on a queue.
    Queue(u16),
}

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

pub(super) const PEERS_4: Set = Set { name: "peers4", key: &[KeyPart::Address4], ranges: true };
pub(super) const PEERS_6: Set = Set { name: "peers6", key: &[KeyPart::Address6], ranges: true };
pub(super) const PORTS: Set = Set { name: "ports", key: &[KeyPart::Port], ranges: true };
pub(super) const LOCAL_PORTS: Set = Set { name: "local_ports", key: &[KeyPart::Port], ranges: true };
/// Protocol and local port of sockets that take packets from anywhere.
pub(super) const LISTENERS: Set = Set { name: "listeners", key: &[KeyPart::Protocol, KeyPart::Port], ranges: false };
/// Protocol and local port of UDP sockets known to be others'.
pub(super) const BYSTANDERS: Set = Set { name: "bystanders", key: &[KeyPart::Protocol, KeyPart::Port], ranges: false };
/// Protocol, local address and port, remote address and port of connected sockets.
pub(super) const CONNECTIONS_4: Set = Set {
    name: "connections4",
    key: &[KeyPart::Protocol, KeyPart::Address4, KeyPart::Port, KeyPart::Address4, KeyPart::Port],
    ranges: false,
};
pub(super) const CONNECTIONS_6: Set = Set {
    name: "connections6",
    key: &[KeyPart::Protocol, KeyPart::Address6, KeyPart::Port, KeyPart::Address6, KeyPart::Port],
    ranges: false,
};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_6: u8 = 58;

/// The two families of addresses, with the places of addresses in their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn number(self) -> u8 {
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
enum View {
    Egress,
    Ingress,
}

const SOURCE_PORT: u32 = 0;
const DESTINATION_PORT: u32 = 2;

/// Everything that goes into the chains of a table, in order.
pub(super) fn rules(
    selection: &PacketSelection,
    decision: Decision,
    owners: &[Owner],
    dialect: Dialect,
) -> Vec<(Hook, Vec<Attributes>)> {
    let mut rules = Vec::new();
    for hook in hooks(selection) {
        rules.extend(exemptions(hook, selection, decision, dialect).into_iter().map(|rule| (hook, rule)));
        if hook == Hook::Input && matches!(decision, Decision::Queue(_)) && selection.direction == Direction::Both {
            // A packet over loopback passes both hooks; what was held on its way out is not held again on its way in.
            let known = owners.iter().filter(|owner| !matches!(owner, Owner::Cgroup { .. } | Owner::Opening { .. }));
            for (mut rule, _) in known.flat_map(|owner| matches(selection, View::Egress, hook, *owner, false)) {
                rule.splice(0..0, interface(Meta::InInterface, "lo"));
                rule.push(expression::verdict(Verdict::Accept));
                rules.push((hook, rule));
            }
        }
        for view in views(hook, selection) {
            for owner in owners {
                let split = decision == Decision::Reject;
                for (mut rule, protocol) in matches(selection, view, hook, *owner, split) {
                    if let Owner::Opening { queue } = owner {
                        // Opening is the sender's doing; what others open towards the target meets its local ports.
                        if view == View::Ingress {
                            continue;
                        }
                        rule.push(hand_over(*queue, dialect));
                    } else {
                        rule.push(expression::counter());
                        rule.extend(decide(decision, protocol, dialect));
                    }
                    rules.push((hook, rule));
                }
            }
        }
    }
    rules
}

/// The hooks at which a selection's packets pass. Forwarded packets are nobody's here but the whole host's.
pub(super) fn hooks(selection: &PacketSelection) -> Vec<Hook> {
    let mut hooks = Vec::new();
    if selection.direction.has_egress() {
        hooks.push(Hook::Output);
    }
    if selection.direction.has_ingress() {
        hooks.push(Hook::Input);
    }
    if selection.owner == PacketOwner::Everyone {
        hooks.push(Hook::Forward);
    }
    hooks
}

fn views(hook: Hook, selection: &PacketSelection) -> Vec<View> {
    match hook {
        Hook::Output => vec![View::Egress],
        Hook::Input => vec![View::Ingress],
        Hook::Forward => {
            [(selection.direction.has_egress(), View::Egress), (selection.direction.has_ingress(), View::Ingress)]
                .into_iter()
                .filter_map(|(meant, view)| meant.then_some(view))
                .collect()
        }
    }
}

fn exemptions(hook: Hook, selection: &PacketSelection, decision: Decision, dialect: Dialect) -> Vec<Vec<Attributes>> {
    use expression::{between, differs, equals, mask, meta, payload};
    let is_icmp = |family: Family, protocol: u8| {
        vec![
            meta(Meta::Family, REGISTER),
            equals(&[family.number()]),
            meta(Meta::Protocol, REGISTER),
            equals(&[protocol]),
            payload(Base::Transport, 0, 1, REGISTER),
        ]
    };
    let mark = MARK.to_ne_bytes();
    let mut rules = Vec::new();
    match hook {
        Hook::Output => rules.push(vec![meta(Meta::Mark, REGISTER), equals(&mark)]),
        Hook::Input if dialect.socket_mark => rules.push(vec![expression::socket_mark(), equals(&mark)]),
        Hook::Input | Hook::Forward => {}
    }
    // Neighbour and router discovery: RFC 4861, types 133 to 137.
    rules.push([is_icmp(Family::V6, ICMP_6), vec![between(&[133], &[137])]].concat());
    if !selection.loopback {
        match hook {
            Hook::Output => rules.push(interface(Meta::OutInterface, "lo")),
            Hook::Input => rules.push(interface(Meta::InInterface, "lo")),
            Hook::Forward => {}
        }
    }
    if matches!(decision, Decision::Reject | Decision::Unreachable) {
        // What tells the sender must reach it, also where every packet is rejected.
        const FLAGS: u32 = 13;
        const RESET: u8 = 4;
        let reset = [payload(Base::Transport, FLAGS, 1, REGISTER), mask(RESET), differs(&[0])];
        rules.push([vec![meta(Meta::Protocol, REGISTER), equals(&[TCP])], reset.to_vec()].concat());
        rules.push([is_icmp(Family::V4, ICMP), vec![equals(&[3])]].concat());
        rules.push([is_icmp(Family::V6, ICMP_6), vec![equals(&[1])]].concat());
    }
    for rule in &mut rules {
        rule.push(expression::verdict(Verdict::Accept));
    }
    rules
}

fn interface(key: Meta, name: &str) -> Vec<Attributes> {
    // The kernel compares all 16 bytes of an interface's name.
    let mut padded = [0; 16];
    for (place, byte) in padded.iter_mut().zip(name.bytes().take(15)) {
        *place = byte;
    }
    vec![expression::meta(key, REGISTER), expression::equals(&padded)]
}

/// The conditions of a selection for each family and protocol, without the decision.
fn matches(
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

fn decide(decision: Decision, protocol: Option<u8>, dialect: Dialect) -> Vec<Attributes> {
    match decision {
        Decision::Drop => vec![expression::verdict(Verdict::Drop)],
        Decision::Reject if protocol == Some(TCP) => vec![expression::reject(Reject::Reset)],
        Decision::Reject => vec![expression::reject(Reject::PortUnreachable)],
        Decision::Unreachable => vec![expression::reject(Reject::HostUnreachable)],
        Decision::Queue(number) => vec![hand_over(number, dialect)],
    }
}

fn hand_over(queue: u16, dialect: Dialect) -> Attributes {
    if dialect.queue_expression { expression::queue(queue) } else { expression::queue_target(queue) }
}
