//! Changes of the sets of a table that is in force.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::sets::{BYSTANDERS, CONNECTIONS_4, CONNECTIONS_6, LISTENERS, PEERS_4, PEERS_6};
use super::sockets::SocketFollower;
use crate::kernel::nftables::OwnedTable;
use crate::kernel::nftables::object::{self, Element, Set};
use crate::kernel::raw_netlink::{Refusal, Request};
use crate::plan::step::{Network, PacketSelection};

/// The elements of `peers4` and `peers6`: the networks of a selection and the addresses of its host names.
pub(super) fn peer_elements(selection: &PacketSelection, addresses: &[IpAddr]) -> [Vec<Element>; 2] {
    let single = addresses.iter().copied().map(Network::of_one);
    let ranges: Vec<_> = selection.networks.iter().copied().chain(single).map(|network| network.bounds()).collect();
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let of = |four: bool, length| {
        let chosen = ranges.iter().filter(|(first, _)| first.is_ipv4() == four);
        object::range_elements(length, chosen.map(|(first, last)| (number(*first), number(*last))))
    };
    [of(true, 4), of(false, 16)]
}

/// Puts other addresses into the place of those that host names had before, in one transaction.
pub(super) fn replace_peers(
    table: &mut OwnedTable,
    selection: &PacketSelection,
    addresses: &[IpAddr],
) -> Result<(), Refusal> {
    let name = table.name().to_owned();
    let mut requests = Vec::new();
    for (set, elements) in [&PEERS_4, &PEERS_6].into_iter().zip(peer_elements(selection, addresses)) {
        requests.push(object::clear(&name, set));
        requests.extend(object::add_elements(&name, set, &elements));
    }
    table.commit(&requests)
}

/// Looks at the sockets and changes the sets by what is new and what is gone since the last look.
pub(super) fn replace_sockets(table: &mut OwnedTable, follower: &mut SocketFollower) -> Result<(), Refusal> {
    let now = follower.look()?;
    let known = &follower.known;
    let name = table.name().to_owned();
    let pairs: [(&Set, &BTreeSet<Element>, &BTreeSet<Element>); 4] = [
        (&LISTENERS, &known.listeners, &now.listeners),
        (&CONNECTIONS_4, &known.connections_4, &now.connections_4),
        (&CONNECTIONS_6, &known.connections_6, &now.connections_6),
        (&BYSTANDERS, &known.bystanders, &now.bystanders),
    ];
    let mut requests: Vec<Request> = Vec::new();
    for (set, before, after) in pairs {
        let gone: Vec<Element> = before.difference(after).cloned().collect();
        let new: Vec<Element> = after.difference(before).cloned().collect();
        requests.extend(object::remove_elements(&name, set, &gone));
        requests.extend(object::add_elements(&name, set, &new));
    }
    if !requests.is_empty() {
        table.commit(&requests)?;
    }
    follower.known = now;
    Ok(())
}
