use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Network, PortRange};
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

/// Whose packets are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PacketOwner {
    /// Everybody's in the namespace, forwarded packets included.
    Everyone,
    /// Those of the sockets of these cgroups and their descendants (cgroup v2, paths below its mount).
    Cgroups(Vec<PathBuf>),
    /// Those of the sockets of these processes and of their descendants, kept up to date while the fault lasts.
    Processes(Vec<ProcessIdentity>),
}

/// Which packets a network fault acts on.
///
/// Never among them: neighbour discovery, and Faultline's own control traffic (which bears a mark of its own). ARP is
/// not IP and passes no rule of ours.
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
    /// Whether packets over the loopback interface are meant too.
    pub loopback: bool,
    /// The peers' addresses; empty for any (unless there are host names).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Host names whose addresses count as peers, resolved again while the fault lasts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_names: Vec<String>,
    /// The peers' ports; empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// The target's own ports; empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_ports: Vec<PortRange>,
    /// The protocol, or any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Whose packets.
    pub owner: PacketOwner,
}

impl Direction {
    /// Whether packets that leave the target are meant.
    pub fn has_egress(self) -> bool {
        self != Self::Ingress
    }

    /// Whether packets that arrive at the target are meant.
    pub fn has_ingress(self) -> bool {
        self != Self::Egress
    }
}

/// In words: `packets to 10.0.0.0/8 port 5432 of everyone in network namespace /run/netns/a`.
impl fmt::Display for PacketSelection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
        formatter.write_str(match self.protocol {
            Some(Protocol::Tcp) => "TCP packets",
            Some(Protocol::Udp) => "UDP packets",
            Some(Protocol::Icmp) => "ICMP packets",
            None => "packets",
        })?;
        formatter.write_str(match self.direction {
            Direction::Egress => " to",
            Direction::Ingress => " from",
            Direction::Both => " to and from",
        })?;
        let mut peers = self.networks.iter().map(ToString::to_string).chain(self.host_names.iter().cloned()).peekable();
        match peers.peek() {
            Some(_) => write!(formatter, " {}", list(&mut peers))?,
            None => formatter.write_str(" anybody")?,
        }
        if !self.ports.is_empty() {
            write!(formatter, " at port {}", list(&mut self.ports.iter().map(ToString::to_string)))?;
        }
        if !self.local_ports.is_empty() {
            write!(formatter, ", own port {}", list(&mut self.local_ports.iter().map(ToString::to_string)))?;
        }
        if let Some(interface) = &self.interface {
            write!(formatter, " through {interface}")?;
        }
        match &self.owner {
            PacketOwner::Everyone => {}
            PacketOwner::Cgroups(paths) => {
                write!(formatter, ", of cgroup {}", list(&mut paths.iter().map(|path| path.display().to_string())))?;
            }
            PacketOwner::Processes(processes) => {
                write!(formatter, ", of process {}", list(&mut processes.iter().map(ToString::to_string)))?;
            }
        }
        write!(formatter, ", in {}", self.namespace)?;
        if self.loopback { Ok(()) } else { formatter.write_str(", loopback left alone") }
    }
}
