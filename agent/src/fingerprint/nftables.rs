use super::links::hexadecimal;
use crate::kernel::raw_netlink::{Attributes, NETFILTER, RawNetlink, attribute, attributes, text};

const SUBSYSTEM: u16 = 10 << 8;
const HEADER: usize = 4;

/// A kind of object: its name, the message that lists it, the attributes of its name, and those that the kernel counts
/// or numbers by itself.
struct Kind {
    name: &'static str,
    list: u16,
    names: &'static [u16],
    passing: &'static [u16],
}

/// `enum nft_*_attributes` of `include/uapi/linux/netfilter/nf_tables.h`.
const KINDS: [Kind; 6] = [
    // Table, without its use count (3), handle (4) and the port of its owner (7).
    Kind { name: "table", list: 1, names: &[1], passing: &[1, 3, 4, 5, 7] },
    // Chain, without its handle (2), use count (6), counters (8) and number within a transaction (11).
    Kind { name: "chain", list: 4, names: &[1, 3], passing: &[1, 2, 3, 6, 8, 9, 11] },
    // Rule, without its handle (3) and the handle of the one before (6).
    Kind { name: "rule", list: 7, names: &[1, 2], passing: &[1, 2, 3, 6, 8, 9] },
    // Set, without its number within a transaction (10) and handle (16).
    Kind { name: "set", list: 10, names: &[1, 2], passing: &[1, 2, 10, 14, 16] },
    // Named object, without its data (which counts), use count (5) and handle (6).
    Kind { name: "object", list: 19, names: &[1, 2], passing: &[1, 2, 4, 5, 6, 7] },
    // Flow table, without its use count (4) and handle (5).
    Kind { name: "flowtable", list: 23, names: &[1, 2], passing: &[1, 2, 4, 5, 6] },
];

/// The ruleset of this thread's namespace.
pub(super) fn read() -> Result<Vec<String>, String> {
    let mut netlink = RawNetlink::open(NETFILTER).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    // Rules have an order, which a line keeps by its number within its chain.
    let mut chain = (String::new(), 0usize);
    for kind in &KINDS {
        let answers = match netlink.dump(SUBSYSTEM | kind.list, &[0; HEADER]) {
            Ok(answers) => answers,
            // A kernel without nf_tables has no rules; one without flow tables has none of those.
            Err(refusal) if refusal.is(nix::errno::Errno::EOPNOTSUPP) || refusal.is(nix::errno::Errno::EINVAL) => {
                continue;
            }
            Err(refusal) => return Err(format!("{}s: {refusal}", kind.name)),
        };
        for answer in &answers {
            let Some(rest) = answer.payload.get(HEADER..) else { continue };
            let family = answer.payload.first().copied().unwrap_or(0);
            let named: Vec<String> = kind.names.iter().filter_map(|name| attribute(rest, *name).map(text)).collect();
            let mut name = format!("{} family {family} {}", kind.name, named.join(" "));
            if kind.name == "rule" {
                chain = if chain.0 == name { (chain.0, chain.1 + 1) } else { (name.clone(), 0) };
                name.push_str(&format!(" number {}", chain.1));
            }
            lines.push(format!("{name}{}", describe(kind, rest)));
            if kind.name == "set" {
                lines.extend(elements(&mut netlink, family, rest, &name)?);
            }
        }
    }
    Ok(lines)
}

fn describe(kind: &Kind, rest: &[u8]) -> String {
    const EXPRESSIONS: u16 = 4;
    let mut line = String::new();
    for (number, value) in attributes(rest) {
        if kind.name == "rule" && number == EXPRESSIONS {
            for (_, element) in attributes(value) {
                line.push_str(&expression(element));
            }
        } else if !kind.passing.contains(&number) {
            line.push_str(&format!(" {number}={}", hexadecimal(value)));
        }
    }
    line
}

/// An expression by its name and data; those that count go without data.
fn expression(element: &[u8]) -> String {
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    let name = attribute(element, NAME).map(text).unwrap_or_default();
    let counts = ["counter", "quota", "last", "connlimit"].contains(&name.as_str());
    match attribute(element, DATA) {
        Some(data) if !counts => format!(" [{name} {}]", hexadecimal(data)),
        _ => format!(" [{name}]"),
    }
}

/// The elements of a set, unless packets add and remove them.
fn elements(netlink: &mut RawNetlink, family: u8, set: &[u8], name: &str) -> Result<Vec<String>, String> {
    const GET_ELEMENTS: u16 = 13;
    const FLAGS: u16 = 3;
    const TIMEOUT_OR_DYNAMIC: u32 = 0x10 | 0x40;
    const LIST: u16 = 3;
    let flags =
        attribute(set, FLAGS).and_then(|value| value.first_chunk()).map_or(0, |value| u32::from_be_bytes(*value));
    if flags & TIMEOUT_OR_DYNAMIC != 0 {
        return Ok(Vec::new());
    }
    let of = |wanted| attribute(set, wanted).map(text).unwrap_or_default();
    let request = Attributes::behind(&[family, 0, 0, 0]).put_text(1, &of(1)).put_text(2, &of(2)).into_bytes();
    let answers = match netlink.dump(SUBSYSTEM | GET_ELEMENTS, &request) {
        Ok(answers) => answers,
        // Removed since it was listed.
        Err(refusal) if refusal.is(nix::errno::Errno::ENOENT) => return Ok(Vec::new()),
        Err(refusal) => return Err(format!("elements of {name}: {refusal}")),
    };
    let lists = answers.iter().filter_map(|answer| attribute(answer.payload.get(HEADER..)?, LIST));
    Ok(lists
        .flat_map(|list| attributes(list).map(|(_, element)| format!("element of {name}{}", key(element))))
        .collect())
}

/// The key, data and flags of an element; no expressions (which count), no times.
fn key(element: &[u8]) -> String {
    const KEPT: [u16; 4] = [1, 2, 3, 10];
    let kept = attributes(element).filter(|(number, _)| KEPT.contains(number));
    kept.map(|(number, value)| format!(" {number}={}", hexadecimal(value))).collect()
}
