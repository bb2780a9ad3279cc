use super::links::{hexadecimal, names};
use crate::kernel::netem::listing::{Qdisc, header, list};
use crate::kernel::netem::parameters_in_words;
use crate::kernel::raw_netlink::{ROUTE, RawNetlink, attribute, text};

/// The qdiscs of this thread's namespace with their parameters, and the filters that hang on them.
pub(super) fn read() -> Result<Vec<String>, String> {
    let names = names()?;
    let mut netlink = RawNetlink::open(ROUTE).map_err(|error| error.to_string())?;
    let qdiscs = list(&mut netlink).map_err(|refusal| refusal.to_string())?;
    let mut lines = Vec::new();
    for qdisc in &qdiscs {
        let interface = names.get(&qdisc.interface).map_or("?", String::as_str);
        lines.push(format!(
            "{interface} parent {:08x} qdisc {:08x} {} {}",
            qdisc.parent,
            qdisc.handle,
            qdisc.kind,
            parameters(qdisc)
        ));
        for place in places(qdisc) {
            lines.extend(filters(&mut netlink, interface, qdisc.interface, place)?);
        }
    }
    Ok(lines)
}

fn parameters(qdisc: &Qdisc) -> String {
    match qdisc.kind.as_str() {
        "netem" => parameters_in_words(&qdisc.options),
        "htb" => {
            // struct tc_htb_glob ends with a counter of packets that were never classified.
            const START: usize = 4;
            const COUNTER: std::ops::Range<usize> = START + 16..START + 20;
            let mut options = qdisc.options.clone();
            if let Some(counter) = options.get_mut(COUNTER) {
                counter.fill(0);
            }
            hexadecimal(&options)
        }
        _ => hexadecimal(&qdisc.options),
    }
}

/// Where filters hang: on the qdisc, or on the two ends of an `ingress` or `clsact` qdisc.
fn places(qdisc: &Qdisc) -> Vec<u32> {
    const INGRESS: u32 = 0xffff_fff2;
    const EGRESS: u32 = 0xffff_fff3;
    match qdisc.kind.as_str() {
        "clsact" => vec![INGRESS, EGRESS],
        _ if qdisc.handle == 0 => Vec::new(),
        _ => vec![qdisc.handle],
    }
}

/// Filters by place, order, protocol and kind; what they match is left out, since some kinds count in there.
fn filters(netlink: &mut RawNetlink, name: &str, interface: u32, place: u32) -> Result<Vec<String>, String> {
    const GET_FILTER: u16 = 46;
    const HEADER: usize = 20;
    let answers = netlink.dump(GET_FILTER, &header(interface, 0, place, 0)).map_err(|refusal| refusal.to_string())?;
    let line = |payload: &[u8]| {
        let field = |at: usize| Some(u32::from_ne_bytes(*payload.get(at..)?.first_chunk()?));
        let kind = attribute(payload.get(HEADER..)?, 1).map(text)?;
        Some(format!("{name} parent {place:08x} filter {:08x} {kind} {:08x}", field(16)?, field(8)?))
    };
    Ok(answers.iter().filter_map(|answer| line(&answer.payload)).collect())
}
