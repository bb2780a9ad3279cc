//! The sets of a table, into which its rules look.

use crate::kernel::nftables::object::{KeyPart, Set};

pub(super) const PEERS_4: Set = Set { name: "peers4", key: &[KeyPart::Address4], ranges: true };
pub(super) const PEERS_6: Set = Set { name: "peers6", key: &[KeyPart::Address6], ranges: true };
pub(super) const PORTS: Set = Set { name: "ports", key: &[KeyPart::Port], ranges: true };
pub(super) const LOCAL_PORTS: Set = Set { name: "local_ports", key: &[KeyPart::Port], ranges: true };
/// Protocol and local port of sockets that take packets from anywhere.
pub(super) const LISTENERS: Set = Set { name: "listeners", key: &[KeyPart::Protocol, KeyPart::Port], ranges: false };
/// Protocol and local port of UDP sockets known to be others'.
pub(super) const BYSTANDERS: Set = Set { name: "bystanders", key: &[KeyPart::Protocol, KeyPart::Port], ranges: false };
/// Protocol, local address and port, remote address and port of connected sockets.
pub(super) const CONNECTIONS_4: Set = Set {
    name: "connections4",
    key: &[KeyPart::Protocol, KeyPart::Address4, KeyPart::Port, KeyPart::Address4, KeyPart::Port],
    ranges: false,
};
pub(super) const CONNECTIONS_6: Set = Set {
    name: "connections6",
    key: &[KeyPart::Protocol, KeyPart::Address6, KeyPart::Port, KeyPart::Address6, KeyPart::Port],
    ranges: false,
};
