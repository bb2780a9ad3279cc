//! Requests that make tables, chains, rules, sets and their elements.

use crate::kernel::raw_netlink::{APPEND, Attributes, CREATE, EXCLUSIVE, Request};

/// `NFNL_SUBSYS_NFTABLES`.
pub(crate) const SUBSYSTEM: u16 = 10;
/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
pub(crate) const INET: u8 = 1;
const NEW_TABLE: u16 = 0;
/// `NFT_MSG_GETTABLE`.
pub(crate) const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
/// `NFT_MSG_GETCHAIN`.
pub(crate) const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
/// `NFT_MSG_GETRULE`.
pub(crate) const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

/// Where a base chain meets packets (`enum nf_inet_hooks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Input = 1,
    Forward = 2,
    Output = 3,
}

impl Hook {
    /// The name of the chain there.
    pub(crate) fn chain(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
        }
    }
}

/// One part of a set's key, with the number under which `nft` knows its type, so that it lists our sets readably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPart {
    Address4,
    Address6,
    Protocol,
    Port,
}

impl KeyPart {
    fn kind(self) -> u32 {
        match self {
            Self::Address4 => 7,
            Self::Address6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
        }
    }

    fn length(self) -> u32 {
        match self {
            Self::Address4 => 4,
            Self::Address6 => 16,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// A named set of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    /// Its name.
    pub(crate) name: &'static str,
    /// The parts of its keys.
    pub(crate) key: &'static [KeyPart],
    /// Whether its elements are ranges.
    pub(crate) ranges: bool,
}

/// The family header of our requests.
pub(crate) fn family() -> Attributes {
    Attributes::behind(&[INET, 0, 0, 0])
}

fn request(kind: u16, flags: u16, attributes: Attributes) -> Request {
    Request { kind: SUBSYSTEM << 8 | kind, flags, payload: attributes.into_bytes() }
}

/// A table owned by the socket that sends this.
pub(crate) fn table(name: &str) -> Request {
    request(NEW_TABLE, CREATE | EXCLUSIVE, family().put_text(1, name).put(2, &super::OWNER_FLAG.to_be_bytes()))
}

/// Removes a table and everything in it.
pub(crate) fn delete_table(name: &str) -> Request {
    request(DELETE_TABLE, 0, family().put_text(1, name))
}

/// A base chain that lets pass what its rules do not decide on.
pub(crate) fn chain(table: &str, hook: Hook, priority: i32) -> Request {
    let at = Attributes::default().put(1, &(hook as u32).to_be_bytes()).put(2, &priority.to_be_bytes());
    let chain = family().put_text(1, table).put_text(3, hook.chain()).put_nested(4, &at).put_text(7, "filter");
    request(NEW_CHAIN, CREATE, chain)
}

/// A rule at the end of a chain.
pub(crate) fn rule(table: &str, hook: Hook, expressions: &[Attributes]) -> Request {
    let list = expressions.iter().fold(Attributes::default(), |list, expression| list.put_nested(1, expression));
    request(NEW_RULE, CREATE | APPEND, family().put_text(1, table).put_text(2, hook.chain()).put_nested(4, &list))
}

/// Removes all rules of a table, and leaves its chains.
pub(crate) fn delete_rules(table: &str) -> Request {
    request(DELETE_RULE, 0, family().put_text(1, table))
}

/// A named set; `id` tells it apart within its transaction.
pub(crate) fn set(table: &str, set: &Set, id: u32) -> Request {
    const INTERVAL: u32 = 4;
    let kind = set.key.iter().fold(0, |kind, part| kind << 6 | part.kind());
    let length = match set.key {
        [part] => part.length(),
        // Each part of a longer key fills whole registers of 4 bytes.
        parts => parts.iter().map(|part| part.length().next_multiple_of(4)).sum(),
    };
    let flags = if set.ranges { INTERVAL } else { 0 };
    let attributes = family()
        .put_text(1, table)
        .put_text(2, set.name)
        .put(3, &flags.to_be_bytes())
        .put(4, &kind.to_be_bytes())
        .put(5, &length.to_be_bytes())
        .put(10, &id.to_be_bytes());
    request(NEW_SET, CREATE, attributes)
}

/// An element of a set, or the first value behind a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Element {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// Whether it marks the end of the range that began before.
    pub(crate) ends_range: bool,
}

impl Element {
    /// An element that is not a range.
    pub(crate) fn of(key: Vec<u8>) -> Self {
        Self { key, ends_range: false }
    }
}

/// As many elements as one attribute of 64 KiB holds.
const MOST_ELEMENTS: usize = 600;

/// Adds elements to a set.
pub(crate) fn add_elements<'a>(
    table: &'a str,
    set: &'a Set,
    elements: &'a [Element],
) -> impl Iterator<Item = Request> + 'a {
    elements.chunks(MOST_ELEMENTS).map(move |part| request(NEW_ELEMENT, CREATE, element_list(table, set, part)))
}

/// Removes elements from a set.
pub(crate) fn remove_elements<'a>(
    table: &'a str,
    set: &'a Set,
    elements: &'a [Element],
) -> impl Iterator<Item = Request> + 'a {
    elements.chunks(MOST_ELEMENTS).map(move |part| request(DELETE_ELEMENT, 0, element_list(table, set, part)))
}

/// Removes all elements of a set.
pub(crate) fn clear(table: &str, set: &Set) -> Request {
    request(DELETE_ELEMENT, 0, family().put_text(1, table).put_text(2, set.name))
}

fn element_list(table: &str, set: &Set, elements: &[Element]) -> Attributes {
    const RANGE_END: u32 = 1;
    let list = elements.iter().fold(Attributes::default(), |list, element| {
        let mut attributes = Attributes::default().put_nested(1, &Attributes::default().put(1, &element.key));
        if element.ends_range {
            attributes = attributes.put(3, &RANGE_END.to_be_bytes());
        }
        list.put_nested(1, &attributes)
    });
    family().put_text(1, table).put_text(2, set.name).put_nested(3, &list)
}

/// The elements of ranges of big-endian numbers of `length` bytes, overlapping and touching ones merged: each range is
/// its first value and the value behind its last (`nft_set_rbtree.c`).
pub(crate) fn range_elements(length: usize, ranges: impl IntoIterator<Item = (u128, u128)>) -> Vec<Element> {
    let mut ranges: Vec<_> = ranges.into_iter().collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if end.checked_add(1).is_none_or(|behind| first <= behind) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    let highest = if length == 16 { u128::MAX } else { (1 << (8 * length)) - 1 };
    let bytes = |number: u128| number.to_be_bytes()[16 - length..].to_vec();
    merged
        .into_iter()
        .flat_map(|(first, last)| {
            let start = Element { key: bytes(first), ends_range: false };
            let end = (last < highest).then(|| Element { key: bytes(last + 1), ends_range: true });
            [Some(start), end]
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn touching_ranges_merge_and_the_last_one_has_no_end() {
        let elements = range_elements(2, [(10, 20), (21, 30), (15, 18), (100, 100), (65_000, 65_535)]);
        let found: Vec<_> = elements
            .iter()
            .map(|element| (u16::from_be_bytes([element.key[0], element.key[1]]), element.ends_range))
            .collect();
        assert_eq!(found, [(10, false), (31, true), (100, false), (101, true), (65_000, false)]);
    }

    proptest! {
        #[test]
        fn elements_hold_exactly_what_the_ranges_hold(ranges in prop::collection::vec((0u8..255, 0u8..255), 0..8), probe: u8) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b)| (u128::from(a.min(b)), u128::from(a.max(b)))).collect();
            let inside = ranges.iter().any(|(first, last)| (*first..=*last).contains(&u128::from(probe)));
            let elements = range_elements(1, ranges);
            let before = elements.iter().rfind(|element| element.key[0] <= probe);
            prop_assert_eq!(before.is_some_and(|element| !element.ends_range), inside);
        }
    }
}
