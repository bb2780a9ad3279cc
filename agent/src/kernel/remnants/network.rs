use std::collections::BTreeSet;
use std::time::Duration;

use crate::identity::{FaultId, NetworkNamespace, TABLE_PREFIX};
use crate::kernel::netem::listing::{self, Qdisc, ROOT};
use crate::kernel::netem::{FIRST_MAJOR, FRAME, MAJORS};
use crate::kernel::raw_netlink::{NETFILTER, ROUTE, RawNetlink, Refusal, attribute, attributes, text};
use crate::plan::step::{HoldTime, Netem};
use crate::units::{Percent, TimeSpan};

/// The faults whose tables are in this thread's network namespace.
pub(super) fn tables() -> Result<BTreeSet<FaultId>, Refusal> {
    const GET_TABLE: u16 = 10 << 8 | 1;
    const HEADER: usize = 4;
    const NAME: u16 = 1;
    let answers = RawNetlink::open(NETFILTER)?.dump(GET_TABLE, &[0; HEADER])?;
    let names = answers.iter().filter_map(|answer| attribute(answer.payload.get(HEADER..)?, NAME).map(text));
    Ok(names.filter_map(|name| fault_of(&name)).collect())
}

fn fault_of(table: &str) -> Option<FaultId> {
    table.strip_prefix(TABLE_PREFIX)?.get(..12)?.parse().ok()
}

/// The netems of ours in this thread's network namespace, as the steps that would have made them, and the frames that
/// hold none.
pub(super) fn netems() -> Result<Vec<Netem>, Refusal> {
    let qdiscs = listing::list(&mut RawNetlink::open(ROUTE)?)?;
    Ok(ours(&qdiscs, &|index| {
        let listed = nix::net::if_::if_nameindex().ok()?;
        let found = listed.iter().find(|interface| interface.index() == index);
        found.map(|interface| interface.name().to_string_lossy().into_owned())
    }))
}

fn ours(qdiscs: &[Qdisc], name: &dyn Fn(u32) -> Option<String>) -> Vec<Netem> {
    let major = |qdisc: &Qdisc| u16::try_from(qdisc.handle >> 16).unwrap_or(0);
    let is_ours = |qdisc: &Qdisc| qdisc.kind == "netem" && (FIRST_MAJOR..FIRST_MAJOR + MAJORS).contains(&major(qdisc));
    let is_bare = |qdisc: &Qdisc| {
        let is_frame = qdisc.handle == FRAME && qdisc.parent == ROOT && qdisc.kind == "prio";
        is_frame && !qdiscs.iter().any(|other| other.interface == qdisc.interface && is_ours(other))
    };
    let step = |qdisc: &Qdisc| {
        let (hold, limit) = if is_ours(qdisc) { parameters(&qdisc.options)? } else { (idle(), 0) };
        let interface = name(qdisc.interface)?;
        let namespace = NetworkNamespace::Own;
        let step = Netem { namespace, interface, handle: major(qdisc), hold, limit, chosen_only: false };
        Some(Netem { chosen_only: is_ours(qdisc) && qdisc.parent == step.class(), ..step })
    };
    qdiscs.iter().filter(|qdisc| is_ours(qdisc) || is_bare(qdisc)).filter_map(step).collect()
}

fn idle() -> HoldTime {
    HoldTime {
        delay: TimeSpan::ZERO,
        jitter: TimeSpan::ZERO,
        distribution: Default::default(),
        correlation: Percent::ZERO,
        seed: 0,
    }
}

/// The hold and the limit that a netem was asked for, from its options (`struct tc_netem_qopt` and attributes behind it).
/// Which table its jitter has, and from which seed, the kernel does not say; undo asks for neither. Whatever else it
/// does makes it none of ours, which undo finds.
fn parameters(options: &[u8]) -> Option<(HoldTime, u32)> {
    const HEADER: usize = 24;
    const CORRELATION: u16 = 1;
    const LATENCY_64: u16 = 10;
    const JITTER_64: u16 = 11;
    let limit = u32::from_ne_bytes(*options.get(4..)?.first_chunk()?);
    let mut hold = idle();
    for (kind, value) in attributes(options.get(HEADER..)?) {
        let time = || {
            let nanoseconds = u64::from_ne_bytes(*value.first_chunk()?);
            Some(TimeSpan::from(Duration::from_nanos(nanoseconds)))
        };
        match kind {
            LATENCY_64 => hold.delay = time()?,
            JITTER_64 => hold.jitter = time()?,
            CORRELATION => {
                let share = u32::from_ne_bytes(*value.first_chunk()?);
                hold.correlation = Percent::new(f64::from(share) / f64::from(u32::MAX) * 100.0)?;
            }
            _ => {}
        }
    }
    Some((hold, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::raw_netlink::Attributes;

    fn qdisc(handle: u32, parent: u32, kind: &str, options: Vec<u8>) -> Qdisc {
        Qdisc { interface: 1, handle, parent, kind: kind.into(), options, packets: 0, held: 0, dropped: 0 }
    }

    fn netem(handle: u32) -> Qdisc {
        let header = [0u32, 1234, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let options = Attributes::behind(&header)
            .put(10, &20_000_000u64.to_ne_bytes())
            .put(11, &3_000_000u64.to_ne_bytes())
            .put(1, &[u32::MAX / 4, 0, 0].map(u32::to_ne_bytes).concat());
        qdisc(handle, 0xfa00_0002, "netem", options.into_bytes())
    }

    fn found(qdiscs: &[Qdisc]) -> Vec<Netem> {
        ours(qdiscs, &|_| Some("eth0".into()))
    }

    #[test]
    fn a_netem_of_ours_reads_as_the_step_that_made_it() {
        let frame = qdisc(0xfa00_0000, ROOT, "prio", vec![]);
        let found = found(&[frame, netem(0xf001_0000), netem(0x8001_0000), qdisc(0xf002_0000, 1, "prio", vec![])]);
        let [step] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((step.handle, step.limit, step.interface.as_str()), (0xf001, 1234, "eth0"));
        assert_eq!((step.hold.delay, step.hold.jitter), (TimeSpan::from_millis(20), TimeSpan::from_millis(3)));
        assert!((step.hold.correlation.number() - 25.0).abs() < 1e-6);
        assert!(!step.chosen_only);
        let chosen = Qdisc { parent: 0xe601_0002, ..netem(0xf001_0000) };
        assert!(ours(&[chosen], &|_| Some("eth0".into()))[0].chosen_only);
    }

    #[test]
    fn an_empty_frame_is_found_and_a_full_one_is_left_to_its_netems() {
        let frame = || qdisc(0xfa00_0000, ROOT, "prio", vec![]);
        assert_eq!(found(&[frame()]).iter().map(|step| step.handle).collect::<Vec<_>>(), [0xfa00]);
        assert_eq!(found(&[frame(), netem(0xf001_0000)]).len(), 1);
    }

    #[test]
    fn only_tables_with_the_name_of_a_fault_are_ours() {
        assert_eq!(fault_of("faultline_000000000abc"), Some(FaultId::from_number(0xabc)));
        assert_eq!(fault_of("faultline_mine"), None);
        assert_eq!(fault_of("my_faultline_000000000abc"), None);
    }
}
