//! The queueing disciplines of a network namespace as the kernel lists them.

use crate::kernel::raw_netlink::{Answer, RawNetlink, Refusal, attribute, attributes, text};

pub(crate) const GET_QDISC: u16 = 38;
/// The parent of an interface's root qdisc (`TC_H_ROOT`).
pub(crate) const ROOT: u32 = u32::MAX;
/// The major half of a handle or class.
pub(crate) const MAJOR: u32 = 0xffff_0000;
/// `TCA_KIND`.
pub(crate) const KIND: u16 = 1;
/// `TCA_OPTIONS`.
pub(crate) const OPTIONS: u16 = 2;
const STATISTICS: u16 = 7;

/// One queueing discipline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Qdisc {
    /// The index of its interface.
    pub(crate) interface: u32,
    /// Its own handle; 0 for one that the kernel made by itself.
    pub(crate) handle: u32,
    /// The class or root to which it is attached.
    pub(crate) parent: u32,
    /// Its kind: `netem`, `fq_codel`.
    pub(crate) kind: String,
    /// Its parameters, in the form of its kind.
    pub(crate) options: Vec<u8>,
    /// Packets that left it.
    pub(crate) packets: u64,
    /// Packets in it now.
    pub(crate) held: u32,
    /// Packets that it dropped.
    pub(crate) dropped: u32,
}

/// `struct tcmsg`: family and padding, interface, handle, parent, info.
pub(crate) fn header(interface: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, interface, handle, parent, info].map(u32::to_ne_bytes).concat()
}

/// All qdiscs of the namespace that were not hidden by the kernel (the default children of classes are).
pub(crate) fn list(netlink: &mut RawNetlink) -> Result<Vec<Qdisc>, Refusal> {
    let answers = netlink.dump(GET_QDISC, &header(0, 0, 0, 0))?;
    Ok(answers.iter().filter_map(qdisc).collect())
}

fn qdisc(answer: &Answer) -> Option<Qdisc> {
    const HEADER: usize = 20;
    let field = |at: usize| Some(u32::from_ne_bytes(*answer.payload.get(at..)?.first_chunk()?));
    let rest = answer.payload.get(HEADER..)?;
    let statistics = attribute(rest, STATISTICS).unwrap_or_default();
    let (packets, queue) = counters(statistics);
    Some(Qdisc {
        interface: field(4)?,
        handle: field(8)?,
        parent: field(12)?,
        kind: text(attribute(rest, KIND)?),
        options: attribute(rest, OPTIONS).unwrap_or_default().to_vec(),
        packets,
        held: queue.first().copied().unwrap_or(0),
        dropped: queue.get(2).copied().unwrap_or(0),
    })
}

/// Packets passed, and `struct gnet_stats_queue`: packets held, bytes held, drops, requeues, overlimits.
fn counters(statistics: &[u8]) -> (u64, Vec<u32>) {
    const BASIC: u16 = 1;
    const QUEUE: u16 = 3;
    const PACKETS_64: u16 = 8;
    let mut packets = 0;
    let mut queue = Vec::new();
    for (kind, value) in attributes(statistics) {
        match kind {
            BASIC => {
                let count = value.get(8..).and_then(|v| v.first_chunk()).map_or(0, |v| u32::from_ne_bytes(*v));
                packets = packets.max(count.into());
            }
            PACKETS_64 => packets = value.first_chunk().map_or(packets, |v| u64::from_ne_bytes(*v)),
            QUEUE => {
                let words = value.chunks_exact(4).filter_map(|v| v.first_chunk());
                queue = words.map(|v| u32::from_ne_bytes(*v)).collect();
            }
            _ => {}
        }
    }
    (packets, queue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::namespace;
    use crate::kernel::raw_netlink::ROUTE;

    #[test]
    fn the_root_of_loopback_is_the_kernels_own() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        std::thread::spawn(|| {
            namespace::enter_private().unwrap();
            let qdiscs = list(&mut RawNetlink::open(ROUTE).unwrap()).unwrap();
            assert_eq!(qdiscs.len(), 1, "{qdiscs:?}");
            let qdisc = &qdiscs[0];
            assert_eq!((qdisc.interface, qdisc.handle, qdisc.parent, qdisc.kind.as_str()), (1, 0, ROOT, "noqueue"));
        })
        .join()
        .unwrap();
    }
}
