//! What Faultline puts on an interface: one frame for all netem faults, in which they hang one below the other.
//!
//! ```text
//!     fa00: prio ── fa00:1 ── fa01: pfifo            ARP, neighbour discovery, our own traffic: never delayed
//!                └─ fa00:2 ── f…: netem ── f…: netem …   everything else: delays add up
//! ```
//!
//! A netem for chosen packets alone hangs at the end of that chain, in a fork of its own:
//!
//! ```text
//!     … ── e…: prio ── e…:1 ── fa02: pfifo           what nobody chose: not delayed here
//!                   └─ e…:2 ── f…: netem             what the rules of the fault chose
//! ```
//!
//! The rules set `skb->priority` to e…:2, and prio goes by that where its major is the handle of the qdisc
//! (`prio_classify` in `net/sched/sch_prio.c`); everybody else's priorities mean nothing to it. They vanish with the
//! worker, and from then on nothing is delayed here. What passed a fork does not meet again, so nothing can be hung
//! below one, nor between it and what is above: an interface has one fork at most.
//!
//! The frame takes the place of a qdisc that the kernel made by itself (handle 0), which comes back as soon as the
//! frame is removed; `tc_modify_qdisc` of the kernel refuses to put it over any other.

use super::listing::{self, KIND, MAJOR, OPTIONS, Qdisc, ROOT, header};
use super::options::Parameters;
use crate::kernel::control_traffic;
use crate::kernel::raw_netlink::{Attributes, CREATE, EXCLUSIVE, RawNetlink, Refusal, Request};

/// The handle of the frame.
pub(crate) const FRAME: u32 = (FRAME_MAJOR as u32) << 16;
/// Its major number alone.
pub(crate) const FRAME_MAJOR: u16 = 0xfa00;
const EXEMPT_CLASS: u32 = FRAME | 1;
const FAULTY_CLASS: u32 = FRAME | 2;
const EXEMPT_LEAF: u32 = 0xfa01_0000;
const PLAIN_LEAF: u32 = 0xfa02_0000;
/// The majors of the handles of our netem qdiscs. The kernel gives handles of its own choice from 8001: upwards. Those
/// of forks are as many, and lie just below.
pub(crate) const FIRST_MAJOR: u16 = 0xf000;
/// How many majors there are.
pub(crate) const MAJORS: u16 = 0x0a00;

const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
pub(crate) const NEW_FILTER: u16 = 44;

/// The qdiscs of one interface, sorted by whose they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// The root, where there is one.
    pub(crate) root: Option<Qdisc>,
    /// Whether the root is our frame.
    pub(crate) has_frame: bool,
    /// Our netem qdiscs from the top down, with their parameters.
    pub(crate) chain: Vec<(Qdisc, Parameters)>,
    /// What is at the end of the chain, if chosen packets part from the others there.
    pub(crate) fork: Option<Fork>,
    /// Somebody else's qdiscs within our frame.
    pub(crate) foreign: Vec<Qdisc>,
}

/// Where chosen packets part from the others.
#[derive(Debug, Clone)]
pub(crate) struct Fork {
    /// The qdisc in which they part.
    pub(crate) prio: Qdisc,
    /// Where the chosen ones go, with its parameters; absent if a crash came between.
    pub(crate) netem: Option<(Qdisc, Parameters)>,
}

impl Fork {
    /// Whether chosen packets pass at once as well.
    pub(crate) fn is_idle(&self) -> bool {
        self.netem.as_ref().is_none_or(|(_, parameters)| parameters.is_idle())
    }
}

impl Tree {
    /// Reads the tree of an interface.
    pub(crate) fn read(netlink: &mut RawNetlink, interface: u32) -> Result<Self, Refusal> {
        let qdiscs = listing::list(netlink)?.into_iter().filter(|qdisc| qdisc.interface == interface);
        Ok(Self::sort(qdiscs.collect()))
    }

    fn sort(mut qdiscs: Vec<Qdisc>) -> Self {
        let mut take = |wanted: &dyn Fn(&Qdisc) -> bool| {
            qdiscs.iter().position(wanted).map(|position| qdiscs.swap_remove(position))
        };
        let root = take(&|qdisc| qdisc.parent == ROOT);
        let has_frame = root.as_ref().is_some_and(is_frame);
        if !has_frame {
            return Self { root, ..Self::default() };
        }
        take(&|qdisc| qdisc.handle == EXEMPT_LEAF && qdisc.parent == EXEMPT_CLASS);
        let mut chain: Vec<(Qdisc, Parameters)> = Vec::new();
        let mut place = FAULTY_CLASS;
        while let Some(netem) = take(&|qdisc| qdisc.parent == place && is_ours(qdisc)) {
            place = netem.handle | 1;
            let parameters = Parameters::read(&netem.options).unwrap_or_default();
            chain.push((netem, parameters));
        }
        let fork = take(&|qdisc| qdisc.parent == place && is_fork(qdisc)).map(|prio| {
            take(&|qdisc| qdisc.handle == PLAIN_LEAF && qdisc.parent == prio.handle | 1);
            let netem = take(&|qdisc| qdisc.parent == prio.handle | 2 && is_ours(qdisc));
            let netem = netem.map(|netem| {
                let parameters = Parameters::read(&netem.options).unwrap_or_default();
                (netem, parameters)
            });
            Fork { prio, netem }
        });
        let ours = chain.iter().map(|(netem, _)| netem.handle);
        let ours = ours.chain(fork.iter().flat_map(|fork| {
            let netem = fork.netem.as_ref().map(|(netem, _)| netem.handle);
            [Some(fork.prio.handle), netem].into_iter().flatten()
        }));
        let ours: Vec<u32> = ours.chain([FRAME]).collect();
        let foreign = qdiscs.iter().filter(|qdisc| ours.contains(&(qdisc.parent & MAJOR))).cloned().collect();
        Self { root, has_frame, chain, fork, foreign }
    }

    /// The netem of ours that has this handle, with its parameters.
    pub(crate) fn netem(&self, handle: u32) -> Option<&(Qdisc, Parameters)> {
        let chosen = self.fork.as_ref().and_then(|fork| fork.netem.as_ref());
        self.chain.iter().chain(chosen).find(|(netem, _)| netem.handle == handle)
    }

    /// Where the next netem goes.
    pub(crate) fn place(&self) -> u32 {
        self.chain.last().map_or(FAULTY_CLASS, |(netem, _)| netem.handle | 1)
    }

    /// Whether nothing in the frame delays anything any more, and it is ours alone.
    pub(crate) fn is_spent(&self) -> bool {
        let idle = self.chain.iter().all(|(_, parameters)| parameters.is_idle());
        self.has_frame && self.foreign.is_empty() && idle && self.fork.as_ref().is_none_or(Fork::is_idle)
    }

    /// Why no frame may be put here, in words; `None` if it may.
    pub(crate) fn refusal(&self) -> Option<String> {
        match (&self.root, self.foreign.first()) {
            (Some(root), _) if root.handle != 0 && !self.has_frame => Some(format!(
                "its root is somebody's qdisc {} {:x}:, which Faultline leaves alone",
                root.kind,
                root.handle >> 16
            )),
            (Some(root), _) if root.handle == 0 && !is_default(&root.kind) => Some(format!(
                "the kernel made its root {} under another net.core.default_qdisc than now, and would not make it again",
                root.kind
            )),
            (_, Some(other)) => Some(format!(
                "somebody's qdisc {} {:x}: hangs below a netem of Faultline",
                other.kind,
                other.handle >> 16
            )),
            _ => {
                let (netem, _) = self.fork.as_ref().filter(|fork| !fork.is_idle())?.netem.as_ref()?;
                Some(format!(
                    "netem {:x}: of another fault holds chosen packets there, and a second netem beside it could not \
                     add up with it",
                    netem.handle >> 16
                ))
            }
        }
    }
}

/// Whether the kernel, left to itself, would give an interface a root of this kind again. Only the first network
/// namespace shows the setting; elsewhere the kind is taken as it is.
fn is_default(kind: &str) -> bool {
    const ALWAYS: [&str; 3] = ["noqueue", "mq", "noop"];
    let default = std::fs::read_to_string("/proc/sys/net/core/default_qdisc");
    ALWAYS.contains(&kind) || default.map_or(true, |default| default.trim() == kind)
}

fn is_ours(qdisc: &Qdisc) -> bool {
    qdisc.kind == "netem" && (FIRST_MAJOR..FIRST_MAJOR + MAJORS).contains(&major(qdisc.handle))
}

fn is_frame(qdisc: &Qdisc) -> bool {
    qdisc.handle == FRAME && qdisc.kind == "prio" && qdisc.options.starts_with(&frame_options())
}

pub(crate) fn major(handle: u32) -> u16 {
    u16::try_from(handle >> 16).unwrap_or(0)
}

fn is_fork(qdisc: &Qdisc) -> bool {
    let majors = FIRST_MAJOR - MAJORS..FIRST_MAJOR;
    qdisc.kind == "prio" && majors.contains(&major(qdisc.handle)) && qdisc.options.starts_with(&fork_options())
}

/// `struct tc_prio_qopt`: two bands, and every priority of a packet goes to the second.
fn frame_options() -> Vec<u8> {
    [2i32.to_ne_bytes().as_slice(), &[1; 16]].concat()
}

/// Two bands, and every priority of a packet that is not a class of this qdisc goes to the first.
fn fork_options() -> Vec<u8> {
    [2i32.to_ne_bytes().as_slice(), &[0; 16]].concat()
}

fn qdisc(interface: u32, handle: u32, parent: u32, kind: &str, options: &[u8], flags: u16) -> Request {
    let payload = Attributes::behind(&header(interface, handle, parent, 0))
        .put_text(KIND, kind)
        .put(OPTIONS, options)
        .into_bytes();
    Request { kind: NEW_QDISC, flags, payload }
}

/// How many packets wait in a plain queue of ours: as many as the kernel gives an interface (`DEFAULT_TX_QUEUE_LEN`).
const PLAIN_LIMIT: u32 = 1000;

/// The requests that put an empty frame on an interface. Each leaves the interface working: until a netem hangs in the
/// second class, the kernel has a plain queue there.
pub(crate) fn frame(interface: u32) -> Vec<Request> {
    let limit = PLAIN_LIMIT.to_ne_bytes();
    let mut requests = vec![
        qdisc(interface, FRAME, ROOT, "prio", &frame_options(), CREATE | EXCLUSIVE),
        // Named, since the plain queue that the kernel puts into a class is as short as the interface's own, maybe 0.
        qdisc(interface, EXEMPT_LEAF, EXEMPT_CLASS, "pfifo", &limit, CREATE | EXCLUSIVE),
    ];
    requests.extend(exemptions(interface));
    requests
}

/// Filters that send ARP, neighbour discovery (ICMPv6 types 133 to 137; 132 comes along) and what bears the mark of
/// Faultline's own control traffic to the first class.
fn exemptions(interface: u32) -> Vec<Request> {
    const ARP: u16 = 0x0806;
    const IPV6: u16 = 0x86dd;
    // Offsets and words of the IPv6 header: the next header is in the second word, the type right behind 40 bytes.
    let icmp = (0x0000_ff00, 0x0000_3a00, 4);
    vec![
        filter(interface, 1, ARP, &[(0, 0, 0)]),
        filter(interface, 2, IPV6, &[icmp, (0xfc00_0000, 0x8400_0000, 40)]),
        filter(interface, 2, IPV6, &[icmp, (0xfe00_0000, 0x8800_0000, 40)]),
        mark_filter(interface, 3),
    ]
}

/// A fw filter (`net/sched/cls_fw.c`) that sends packets with our mark to the exempt class.
fn mark_filter(interface: u32, priority: u32) -> Request {
    const CLASS: u16 = 1;
    const MASK: u16 = 5;
    const ALL_PROTOCOLS: u16 = 3;
    let options = Attributes::default().put(CLASS, &EXEMPT_CLASS.to_ne_bytes()).put(MASK, &u32::MAX.to_ne_bytes());
    let info = priority << 16 | u32::from(ALL_PROTOCOLS.to_be());
    let payload = Attributes::behind(&header(interface, control_traffic::MARK, FRAME, info))
        .put_text(KIND, "fw")
        .put_nested(OPTIONS, &options)
        .into_bytes();
    Request { kind: NEW_FILTER, flags: CREATE | EXCLUSIVE, payload }
}

/// A u32 filter that sends packets of a protocol with all these words (mask, value, offset) to the exempt class.
fn filter(interface: u32, priority: u32, protocol: u16, words: &[(u32, u32, i32)]) -> Request {
    const CLASS: u16 = 1;
    const SELECTOR: u16 = 5;
    const TERMINAL: u8 = 1;
    // struct tc_u32_sel { flags, offshift, nkeys, padding, offmask, off, offoff, hoff, hmask }, then the keys.
    let mut selector = vec![TERMINAL, 0, u8::try_from(words.len()).unwrap_or(u8::MAX), 0];
    selector.resize(16, 0);
    for (mask, value, offset) in words {
        selector.extend(mask.to_be_bytes());
        selector.extend(value.to_be_bytes());
        selector.extend(offset.to_ne_bytes());
        selector.extend(0u32.to_ne_bytes());
    }
    let options = Attributes::default().put(CLASS, &EXEMPT_CLASS.to_ne_bytes()).put(SELECTOR, &selector);
    let info = priority << 16 | u32::from(protocol.to_be());
    let payload = Attributes::behind(&header(interface, 0, FRAME, info))
        .put_text(KIND, "u32")
        .put_nested(OPTIONS, &options)
        .into_bytes();
    Request { kind: NEW_FILTER, flags: CREATE | EXCLUSIVE, payload }
}

/// Adds a netem at a place of the tree.
pub(crate) fn add(interface: u32, handle: u32, place: u32, options: &[u8]) -> Request {
    qdisc(interface, handle, place, "netem", options, CREATE | EXCLUSIVE)
}

/// The requests that put a fork at a place of the tree, and a netem for chosen packets into it.
pub(crate) fn add_fork(interface: u32, class: u32, handle: u32, place: u32, options: &[u8]) -> [Request; 3] {
    let fork = class & MAJOR;
    [
        qdisc(interface, fork, place, "prio", &fork_options(), CREATE | EXCLUSIVE),
        qdisc(interface, PLAIN_LEAF, fork | 1, "pfifo", &PLAIN_LIMIT.to_ne_bytes(), CREATE | EXCLUSIVE),
        add(interface, handle, class, options),
    ]
}

/// Changes a netem where it is; the kernel refuses if the handle is not there any more.
pub(crate) fn change(netem: &Qdisc, options: &[u8]) -> Request {
    qdisc(netem.interface, netem.handle, netem.parent, "netem", options, 0)
}

/// Removes a qdisc; the kernel refuses if another handle is in its place.
pub(crate) fn remove(interface: u32, handle: u32, parent: u32) -> Request {
    Request { kind: DELETE_QDISC, flags: 0, payload: header(interface, handle, parent, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netem::options;
    use crate::plan::step::HoldTime;

    fn qdisc(handle: u32, parent: u32, kind: &str, options: Vec<u8>) -> Qdisc {
        Qdisc { interface: 1, handle, parent, kind: kind.into(), options, packets: 0, held: 0, dropped: 0 }
    }

    fn netem(handle: u32, parent: u32, milliseconds: u64) -> Qdisc {
        let delay = crate::units::TimeSpan::from_millis(milliseconds);
        let hold = HoldTime {
            delay,
            jitter: Default::default(),
            distribution: Default::default(),
            correlation: Default::default(),
            seed: 0,
        };
        qdisc(handle, parent, "netem", options::encode(&hold, 1000))
    }

    #[test]
    fn a_chain_is_read_from_the_top_down_whatever_the_order_of_the_list() {
        let tree = Tree::sort(vec![
            netem(0xf002_0000, 0xf001_0001, 0),
            qdisc(EXEMPT_LEAF, EXEMPT_CLASS, "pfifo", vec![]),
            netem(0xf001_0000, FAULTY_CLASS, 0),
            qdisc(FRAME, ROOT, "prio", frame_options()),
        ]);
        assert!(tree.has_frame && tree.foreign.is_empty() && tree.is_spent());
        assert_eq!(tree.chain.iter().map(|(netem, _)| netem.handle >> 16).collect::<Vec<_>>(), [0xf001, 0xf002]);
        assert_eq!(tree.place(), 0xf002_0001);
        assert_eq!(tree.refusal(), None);
    }

    #[test]
    fn what_is_not_ours_is_refused_and_never_counted_as_spent() {
        let root = Tree::sort(vec![qdisc(0x8001_0000, ROOT, "htb", vec![])]);
        assert!(root.refusal().unwrap().contains("somebody's qdisc htb 8001:"), "{root:?}");
        let other_prio =
            Tree::sort(vec![qdisc(FRAME, ROOT, "prio", [3i32.to_ne_bytes().as_slice(), &[0; 16]].concat())]);
        assert!(!other_prio.has_frame && !other_prio.is_spent() && other_prio.refusal().is_some());
        let below = Tree::sort(vec![
            qdisc(FRAME, ROOT, "prio", frame_options()),
            netem(0xf001_0000, FAULTY_CLASS, 10),
            qdisc(0x8002_0000, 0xf001_0001, "tbf", vec![]),
        ]);
        assert!(below.refusal().unwrap().contains("tbf 8002:"), "{below:?}");
        assert!(!below.is_spent());
    }

    #[test]
    fn a_fork_ends_the_chain_and_lets_nothing_beside_it() {
        let fork = |milliseconds| {
            vec![
                qdisc(FRAME, ROOT, "prio", frame_options()),
                netem(0xf001_0000, FAULTY_CLASS, 0),
                qdisc(0xe602_0000, 0xf001_0001, "prio", fork_options()),
                qdisc(PLAIN_LEAF, 0xe602_0001, "pfifo", vec![]),
                netem(0xf002_0000, 0xe602_0002, milliseconds),
            ]
        };
        let tree = Tree::sort(fork(10));
        assert!(tree.foreign.is_empty() && !tree.is_spent(), "{tree:?}");
        assert_eq!(tree.netem(0xf002_0000).map(|(netem, _)| netem.parent), Some(0xe602_0002));
        insta::assert_snapshot!(tree.refusal().unwrap(), @"netem f002: of another fault holds chosen packets there, and a second netem beside it could not add up with it");
        // What a crash within an undo or within an injection leaves.
        let idle = Tree::sort(fork(0));
        assert!(idle.is_spent() && idle.refusal().is_none(), "{idle:?}");
        let half = Tree::sort(fork(0).into_iter().take(3).collect());
        assert!(half.is_spent() && half.fork.is_some_and(|fork| fork.netem.is_none()));
        // Somebody's own qdisc with such a handle, and somebody's in the fork.
        let mut other = fork(10);
        other[2].options = frame_options();
        assert!(Tree::sort(other).refusal().unwrap().contains("somebody's qdisc prio e602:"));
        let mut within = fork(10);
        within.push(qdisc(0x8002_0000, 0xf002_0001, "tbf", vec![]));
        assert!(Tree::sort(within).refusal().unwrap().contains("tbf 8002:"));
    }

    #[test]
    fn the_kernels_own_root_may_be_covered() {
        assert_eq!(Tree::sort(vec![qdisc(0, ROOT, "noqueue", vec![])]).refusal(), None);
        assert_eq!(Tree::default().refusal(), None);
    }
}
