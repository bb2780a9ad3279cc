use std::collections::BTreeSet;

use super::NetworkLatency;
use crate::fault::packet_scope::PacketScope;
use crate::fault::{PlanContext, PlanError};
use crate::plan::Step;
use crate::plan::step::{Direction, HoldTime, PacketQueue, PacketSelection, Protocol, TcpHeld};

/// The numbers below are those that people choose by hand.
const FIRST_QUEUE: u16 = 1024;

/// One queue for each namespace in which there is a target.
pub(super) fn steps(
    fault: &NetworkLatency,
    context: &PlanContext<'_>,
    scope: &PacketScope,
) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for selection in &scope.selections {
        let taken = context.facts.packet_queues(&selection.namespace)?;
        let queue = number(context.id.number(), &taken).ok_or_else(|| PlanError::Unsupported {
            message: format!("all packet queues of {} are taken", selection.namespace),
            hint: "end whatever holds them: /proc/net/netfilter/nfnetlink_queue lists the owners".into(),
        })?;
        steps.push(Step::PacketQueue(PacketQueue {
            table: context.id.table_name(),
            queue,
            selection: selection.clone(),
            tcp: if fault.direction.is_none() && goes_beyond_loopback(context, selection) {
                TcpHeld::AsItArrives
            } else {
                TcpHeld::AsItLeaves
            },
            hold: HoldTime {
                delay: fault.delay,
                jitter: fault.jitter,
                distribution: fault.distribution,
                correlation: fault.correlation,
                seed: context.seed ^ context.id.number(),
            },
        }));
    }
    Ok(steps)
}

/// What a person should know.
pub(super) fn notes(fault: &NetworkLatency, context: &PlanContext<'_>, scope: &PacketScope) -> Vec<String> {
    let tcp = fault.peers.protocol.is_none_or(|protocol| protocol == Protocol::Tcp)
        && scope.selections.iter().any(|selection| goes_beyond_loopback(context, selection));
    let place = match fault.direction {
        _ if !tcp => None,
        None => Some(
            "of TCP beyond loopback, what comes back is held instead of what leaves: a round trip takes as long, and a \
             connection can have as much on the way as on a real path",
        ),
        Some(Direction::Ingress) => None,
        Some(Direction::Egress | Direction::Both) => Some(
            "beyond loopback a TCP connection sends about two packets in each delay, since what is held on its way out \
             counts against what a socket may have on the way; without `direction` a round trip is delayed once, without this",
        ),
    };
    let order = "packets of one connection keep their order, so that a late one holds up those behind it";
    place.into_iter().chain((!fault.jitter.is_zero()).then_some(order)).map(Into::into).collect()
}

/// Whether the packets meant can pass any interface but loopback, over which they arrive where they leave.
fn goes_beyond_loopback(context: &PlanContext<'_>, selection: &PacketSelection) -> bool {
    match &selection.interface {
        Some(name) => name != "lo",
        None => {
            let all = context.facts.interfaces(&selection.namespace);
            all.map_or(true, |all| all.iter().any(|name| name != "lo"))
        }
    }
}

/// A queue number made from the fault's own, moved on past those that are taken.
fn number(id: u64, taken: &[u16]) -> Option<u16> {
    let taken: BTreeSet<u16> = taken.iter().copied().collect();
    let span = u64::from(u16::MAX - FIRST_QUEUE);
    (0..span)
        .filter_map(|offset| u16::try_from(id.wrapping_add(offset) % span).ok())
        .map(|place| FIRST_QUEUE + place)
        .find(|number| !taken.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_queue_is_passed_over() {
        assert_eq!(number(42, &[]), Some(1066));
        assert_eq!(number(42, &[1066, 1067]), Some(1068));
        let all: Vec<u16> = (FIRST_QUEUE..=u16::MAX).collect();
        assert_eq!(number(42, &all), None);
    }
}
