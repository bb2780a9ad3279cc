use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{NetworkNamespace, ProcessIdentity};

/// Which way a packet goes, seen from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Leaving the target.
    #[default]
    Egress,
    /// Arriving at the target.
    Ingress,
    /// Both ways.
    Both,
}

/// The transport protocol of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6, without neighbour discovery.
    Icmp,
}

/// A range of addresses in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix_length: u8,
}

/// Whose packets are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PacketOwner {
    /// Everybody's in the namespace.
    Everyone,
    /// Those of the sockets of one cgroup and its descendants (cgroup v2, path below its mount).
    Cgroup(PathBuf),
    /// Those of the sockets of these processes, kept up to date while the fault lasts.
    Processes(Vec<ProcessIdentity>),
}

/// Which packets a network fault acts on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketSelection {
    /// The namespace in which they pass.
    pub namespace: NetworkNamespace,
    /// Which way they go.
    pub direction: Direction,
    /// The interface through which they pass, or any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The peers' addresses; empty for any (unless there are host names).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Host names whose addresses count as peers, resolved again while the fault lasts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_names: Vec<String>,
    /// The peers' ports; empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The protocol, or any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Whose packets.
    pub owner: PacketOwner,
}
