//! The expressions of nftables rules, one function each (`include/uapi/linux/netfilter/nf_tables.h`).

use crate::kernel::raw_netlink::{Attributes, attribute, text};

/// The first register: 16 bytes.
pub(crate) const REGISTER: u32 = 1;
/// The first of the 4-byte registers in which the parts of a longer key lie one behind the other.
pub(crate) const KEY_REGISTER: u32 = 8;
const VERDICT_REGISTER: u32 = 0;

/// What `meta` can load.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meta {
    Priority = 2,
    Mark = 3,
    InInterface = 6,
    OutInterface = 7,
    Family = 15,
    Protocol = 16,
}

/// What a rule does in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// The header at which a payload offset begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Base {
    Network = 1,
    Transport = 2,
}

/// How `reject` answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reject {
    /// A TCP reset.
    Reset,
    /// ICMP or ICMPv6 port unreachable.
    PortUnreachable,
    /// ICMP or ICMPv6 host unreachable.
    HostUnreachable,
}

fn expression(name: &str, data: &Attributes) -> Attributes {
    Attributes::default().put_text(1, name).put_nested(2, data)
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::default().put(1, bytes)
}

trait Numbers {
    fn number(self, kind: u16, number: u32) -> Self;
}

impl Numbers for Attributes {
    fn number(self, kind: u16, number: u32) -> Self {
        self.put(kind, &number.to_be_bytes())
    }
}

/// Loads something about the packet into a register.
pub(crate) fn meta(key: Meta, register: u32) -> Attributes {
    expression("meta", &Attributes::default().number(1, register).number(2, key as u32))
}

/// Sets something about the packet to what a register holds.
fn set_meta(key: Meta, register: u32) -> Attributes {
    expression("meta", &Attributes::default().number(2, key as u32).number(3, register))
}

/// Sets the packet's priority: the class of a queueing discipline (major and minor), where there is one of that handle.
pub(crate) fn set_priority(class: u32) -> [Attributes; 2] {
    let load = Attributes::default().number(1, REGISTER).put_nested(2, &value(&class.to_ne_bytes()));
    [expression("immediate", &load), set_meta(Meta::Priority, REGISTER)]
}

/// Loads bytes of a header into a register.
pub(crate) fn payload(base: Base, offset: u32, length: u32, register: u32) -> Attributes {
    let data = Attributes::default().number(1, register).number(2, base as u32).number(3, offset).number(4, length);
    expression("payload", &data)
}

/// Goes on if the first register holds these bytes.
pub(crate) fn equals(bytes: &[u8]) -> Attributes {
    compare(0, bytes)
}

/// Goes on if the first register holds other bytes.
pub(crate) fn differs(bytes: &[u8]) -> Attributes {
    compare(1, bytes)
}

fn compare(operator: u32, bytes: &[u8]) -> Attributes {
    let data = Attributes::default().number(1, REGISTER).number(2, operator).put_nested(3, &value(bytes));
    expression("cmp", &data)
}

/// Goes on if the first register lies between two values, both included.
pub(crate) fn between(first: &[u8], last: &[u8]) -> Attributes {
    const EQUAL: u32 = 0;
    let data = Attributes::default()
        .number(1, REGISTER)
        .number(2, EQUAL)
        .put_nested(3, &value(first))
        .put_nested(4, &value(last));
    expression("range", &data)
}

/// Keeps only these bits of one byte in the first register.
pub(crate) fn mask(bits: u8) -> Attributes {
    let data = Attributes::default()
        .number(1, REGISTER)
        .number(2, REGISTER)
        .number(3, 1)
        .put_nested(4, &value(&[bits]))
        .put_nested(5, &value(&[0]));
    expression("bitwise", &data)
}

/// Goes on if the key that begins in a register is in a set.
pub(crate) fn lookup(set: &str, register: u32) -> Attributes {
    expression("lookup", &Attributes::default().put_text(1, set).number(2, register))
}

/// Goes on if the key that begins in a register is not in a set.
pub(crate) fn lookup_absent(set: &str, register: u32) -> Attributes {
    const INVERTED: u32 = 1;
    expression("lookup", &Attributes::default().put_text(1, set).number(2, register).number(5, INVERTED))
}

/// Loads the mark of the socket that sent or will get the packet; ends the rule if there is none.
pub(crate) fn socket_mark() -> Attributes {
    const MARK: u32 = 1;
    expression("socket", &Attributes::default().number(1, MARK).number(2, REGISTER))
}

/// Loads the number of the socket's ancestor cgroup at a level below the root of the hierarchy (cgroup v2).
pub(crate) fn socket_cgroup(level: u32) -> Attributes {
    const CGROUP_V2: u32 = 3;
    expression("socket", &Attributes::default().number(1, CGROUP_V2).number(2, REGISTER).number(3, level))
}

/// Counts the packets that get here.
pub(crate) fn counter() -> Attributes {
    expression("counter", &Attributes::default().put(1, &0u64.to_be_bytes()).put(2, &0u64.to_be_bytes()))
}

/// Packets and bytes, if a dumped expression is a counter.
pub(crate) fn counter_of(dumped: &[u8]) -> Option<(u64, u64)> {
    attribute(dumped, 1).map(text).filter(|name| name == "counter")?;
    let data = attribute(dumped, 2)?;
    let number = |kind| Some(u64::from_be_bytes(*attribute(data, kind)?.first_chunk()?));
    Some((number(2)?, number(1)?))
}

/// Ends the chain for this packet.
pub(crate) fn verdict(verdict: Verdict) -> Attributes {
    let code = Attributes::default().number(1, verdict as u32);
    let data =
        Attributes::default().number(1, VERDICT_REGISTER).put_nested(2, &Attributes::default().put_nested(2, &code));
    expression("immediate", &data)
}

/// Drops the packet and tells its sender.
pub(crate) fn reject(answer: Reject) -> Attributes {
    const TCP_RESET: u32 = 1;
    const ICMPX: u32 = 2;
    let data = match answer {
        Reject::Reset => Attributes::default().number(1, TCP_RESET).put(2, &[0]),
        Reject::PortUnreachable => Attributes::default().number(1, ICMPX).put(2, &[1]),
        Reject::HostUnreachable => Attributes::default().number(1, ICMPX).put(2, &[2]),
    };
    expression("reject", &data)
}

/// Hands the packet to whoever listens on a queue; it passes if nobody does.
pub(crate) fn queue(number: u16) -> Attributes {
    const BYPASS: u16 = 1;
    let data =
        Attributes::default().put(1, &number.to_be_bytes()).put(2, &1u16.to_be_bytes()).put(3, &BYPASS.to_be_bytes());
    expression("queue", &data)
}

/// The same by the xtables target NFQUEUE, for kernels without the queue expression (`nft_compat.c`, `xt_NFQUEUE.c`).
pub(crate) fn queue_target(number: u16) -> Attributes {
    const REVISION: u32 = 3;
    const BYPASS: u16 = 1;
    // struct xt_NFQ_info_v3 { queuenum, queues_total, flags }, padded to 8 bytes.
    let info = [number, 1, BYPASS, 0].map(u16::to_ne_bytes).concat();
    expression("target", &Attributes::default().put_text(1, "NFQUEUE").number(2, REVISION).put(3, &info))
}
