//! The rules of a table: which packets a selection means, as nftables expressions.

use super::conditions::{Family, ICMP, ICMP_6, Owner, TCP, View, interface, matches, other_interface};
use super::dialect::{Dialect, HandOver};
use crate::kernel::control_traffic::MARK;
use crate::kernel::nftables::expression::{self, Base, Meta, REGISTER, Reject, Verdict};
use crate::kernel::nftables::object::Hook;
use crate::kernel::raw_netlink::Attributes;
use crate::plan::step::{Netem, PacketOwner, PacketSelection, TcpHeld};

/// What becomes of a selected packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Decision<'a> {
    /// It disappears.
    Drop,
    /// It disappears; TCP is told by a reset, others by "port unreachable".
    Reject,
    /// It disappears, and its sender is told "host unreachable".
    Unreachable,
    /// It goes to the listener on a queue.
    Queue {
        /// The number of the queue.
        number: u16,
        /// Where TCP is held.
        tcp: TcpHeld,
    },
    /// It goes to the netem of the interface by which it leaves; by any other it leaves as ever.
    Netem(&'a [Netem]),
}

impl Decision<'_> {
    fn is_queue(self) -> bool {
        matches!(self, Self::Queue { .. })
    }

    /// Whether what leaves by TCP is held at the other half of its round trip.
    fn holds_answers(self, selection: &PacketSelection) -> bool {
        matches!(self, Self::Queue { tcp: TcpHeld::AsItArrives, .. }) && !selection.direction.has_ingress()
    }
}

/// Everything that goes into the chains of a table, in order.
pub(super) fn rules(
    selection: &PacketSelection,
    decision: Decision<'_>,
    owners: &[Owner],
    dialect: Dialect,
) -> Vec<(Hook, Vec<Attributes>)> {
    let mut rules = Vec::new();
    for hook in hooks(selection, decision) {
        let exempt = exemptions(hook, selection, decision, dialect);
        let chosen = parts(selection, decision)
            .into_iter()
            .flat_map(|(selection, decision)| chosen(hook, &selection, decision, owners, dialect));
        rules.extend(exempt.into_iter().chain(chosen).map(|rule| (hook, rule)));
    }
    rules
}

/// The selection with what becomes of it, once for each interface where that is something else.
fn parts<'a>(selection: &PacketSelection, decision: Decision<'a>) -> Vec<(PacketSelection, Decision<'a>)> {
    match decision {
        Decision::Netem(netems) => netems
            .iter()
            .map(|netem| {
                let interface = Some(netem.interface.clone());
                let narrowed = PacketSelection { interface, ..selection.clone() };
                (narrowed, Decision::Netem(std::slice::from_ref(netem)))
            })
            .collect(),
        _ => vec![(selection.clone(), decision)],
    }
}

/// The rules at one hook that meet the packets selected.
fn chosen(
    hook: Hook,
    selection: &PacketSelection,
    decision: Decision<'_>,
    owners: &[Owner],
    dialect: Dialect,
) -> Vec<Vec<Attributes>> {
    let mut rules = Vec::new();
    let queued = decision.is_queue() && selection.direction.has_egress() && selection.loopback;
    // What leaves over loopback is held as it arrives: by then it does not count any more against what its socket
    // may have on the way (TCP small queues), and a packet that leaves and arrives is held once. The socket that a
    // packet shows as it arrives is the receiver's, so cgroups are matched as it leaves.
    let late = owners.iter().filter(|owner| queued && !matches!(owner, Owner::Cgroup { .. } | Owner::Opening { .. }));
    if hook == Hook::Input || hook == Hook::Output {
        let key = if hook == Hook::Input { Meta::InInterface } else { Meta::OutInterface };
        for (mut rule, protocol) in late.flat_map(|owner| matches(selection, View::Egress, hook, *owner, false)) {
            rule.splice(0..0, interface(key, "lo"));
            if hook == Hook::Input {
                rule.push(expression::counter());
                rule.extend(decide(decision, protocol, dialect));
            } else {
                rule.push(expression::verdict(Verdict::Accept));
            }
            rules.push(rule);
        }
    }
    let answers = decision.holds_answers(selection);
    for view in views(hook, selection, answers) {
        for owner in owners {
            let split = decision == Decision::Reject || answers;
            for (rule, protocol) in matches(selection, view, hook, *owner, split) {
                if let Owner::Opening { queue } = owner {
                    // Opening is the sender's doing; what others open towards the target meets its local ports.
                    if view == View::Egress {
                        rules.push([rule, vec![hand_over(*queue, dialect)]].concat());
                    }
                    continue;
                }
                let known = matches!(owner, Owner::Connections | Owner::LocalPorts);
                if answers && known && hook == Hook::Output && protocol == Some(TCP) {
                    // It must not be handed over as just being opened.
                    rules.push([rule, vec![expression::verdict(Verdict::Accept)]].concat());
                    continue;
                }
                let Some(first) = half_of_the_trip(answers, hook, *owner, protocol) else { continue };
                let last = [vec![expression::counter()], decide(decision, protocol, dialect)].concat();
                rules.push([first, rule, last].concat());
            }
        }
    }
    rules
}

/// What a packet must be besides for its rule to be the one that holds it, where TCP is held as it arrives; `None` if
/// that rule holds nothing. Over loopback, packets arrive where they left, and nothing changes.
fn half_of_the_trip(answers: bool, hook: Hook, owner: Owner, protocol: Option<u8>) -> Option<Vec<Attributes>> {
    match (hook, protocol) {
        _ if !answers => Some(Vec::new()),
        (Hook::Input, Some(TCP)) => Some(other_interface(Meta::InInterface, "lo")),
        (Hook::Input, _) => None,
        (Hook::Output, Some(TCP)) => matches!(owner, Owner::Cgroup { .. }).then(|| interface(Meta::OutInterface, "lo")),
        (Hook::Output, None) => Some(vec![expression::meta(Meta::Protocol, REGISTER), expression::differs(&[TCP])]),
        (Hook::Output | Hook::Forward, _) => Some(Vec::new()),
    }
}

/// The hooks at which a selection's packets pass. Forwarded packets are nobody's here but the whole host's.
pub(super) fn hooks(selection: &PacketSelection, decision: Decision<'_>) -> Vec<Hook> {
    let mut hooks = Vec::new();
    if selection.direction.has_egress() {
        hooks.push(Hook::Output);
    }
    let late = decision.holds_answers(selection) || (decision.is_queue() && selection.loopback);
    if selection.direction.has_ingress() || late {
        hooks.push(Hook::Input);
    }
    if selection.owner == PacketOwner::Everyone {
        hooks.push(Hook::Forward);
    }
    hooks
}

fn views(hook: Hook, selection: &PacketSelection, answers: bool) -> Vec<View> {
    match hook {
        Hook::Output => vec![View::Egress],
        Hook::Input if !selection.direction.has_ingress() && !answers => Vec::new(),
        Hook::Input => vec![View::Ingress],
        Hook::Forward => {
            [(selection.direction.has_egress(), View::Egress), (selection.direction.has_ingress(), View::Ingress)]
                .into_iter()
                .filter_map(|(meant, view)| meant.then_some(view))
                .collect()
        }
    }
}

fn exemptions(
    hook: Hook,
    selection: &PacketSelection,
    decision: Decision<'_>,
    dialect: Dialect,
) -> Vec<Vec<Attributes>> {
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

fn decide(decision: Decision<'_>, protocol: Option<u8>, dialect: Dialect) -> Vec<Attributes> {
    match decision {
        Decision::Drop => vec![expression::verdict(Verdict::Drop)],
        Decision::Reject if protocol == Some(TCP) => vec![expression::reject(Reject::Reset)],
        Decision::Reject => vec![expression::reject(Reject::PortUnreachable)],
        Decision::Unreachable => vec![expression::reject(Reject::HostUnreachable)],
        Decision::Queue { number, .. } => vec![hand_over(number, dialect)],
        Decision::Netem(netems) => {
            let class = netems.iter().flat_map(|netem| expression::set_priority(netem.class()));
            class.chain([expression::verdict(Verdict::Accept)]).collect()
        }
    }
}

fn hand_over(queue: u16, dialect: Dialect) -> Attributes {
    match dialect.hand_over {
        Some(HandOver::Expression) => expression::queue(queue),
        // Where nothing works the kernel says so, in its own words.
        Some(HandOver::Target) | None => expression::queue_target(queue),
    }
}
