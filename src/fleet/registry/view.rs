use std::collections::BTreeMap;

use faultline_agent::node::{NodeStatus, Undone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who an agent is, by its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// The host's name.
    pub name: String,
    /// The certificate's serial number, as hexadecimal digits.
    pub serial: String,
    /// Until when the certificate is valid; its sessions end then.
    pub valid_until: Timestamp,
    /// The labels that the certificate binds: those of the token by which the host was enrolled.
    pub labels: BTreeMap<String, String>,
}

/// One host, as it is known now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostView {
    /// Its name, from its certificate.
    pub name: String,
    /// All its labels: the bound ones, those that its owner gave, and those that the agent found out (below
    /// `faultline.dev/`).
    pub labels: BTreeMap<String, String>,
    /// Those that its certificate binds. Only by these is decided who may act on it.
    pub bound: BTreeMap<String, String>,
    /// What its owner gave against what is bound. It does not count.
    pub contradicted: BTreeMap<String, String>,
    /// The agent program's version.
    pub program: String,
    /// From where it dialled.
    pub address: String,
    /// The serial number of the certificate with which it did.
    pub serial: String,
    /// Until when that certificate is valid.
    pub valid_until: Timestamp,
    /// The kernel's name for the boot in which the agent runs.
    pub boot_id: String,
    /// Whether it is connected.
    pub connected: bool,
    /// When it was heard last.
    pub last_heard: Timestamp,
    /// Faults in place, stuck undos, halt, as last told.
    pub status: NodeStatus,
}

/// A connection of a host, and how much it has said of its status over it. Whoever has seen a host with this mark knows its
/// view, but for when it was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Tells the connection from all others of this controller.
    pub line: u64,
    /// How many statuses were said over it after the first.
    pub statuses: u64,
}

/// What happened to a host.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetEvent {
    /// It is connected for the first time in the life of this controller.
    Joined {
        /// Its name.
        host: String,
    },
    /// The same process is connected again.
    Rejoined {
        /// Its name.
        host: String,
    },
    /// Another process of it is connected: the agent or the whole host was started anew. Whatever was in place before was
    /// undone by the guard or at the boot, and is stuck if it was not.
    Restarted {
        /// Its name.
        host: String,
    },
    /// It is not heard any more. What it has in place it undoes by itself at the end of its lease.
    Vanished {
        /// Its name.
        host: String,
        /// How that was noticed.
        because: String,
    },
    /// It said goodbye, with everything undone that could be.
    Left {
        /// Its name.
        host: String,
        /// Why, in its words.
        because: String,
    },
    /// It undid a fault without being asked.
    UndoneAlone {
        /// Its name.
        host: String,
        /// The fault.
        fault: String,
        /// Why.
        because: String,
        /// What was found and done.
        undone: Undone,
    },
}

impl FleetEvent {
    /// The host that it is about.
    pub fn host(&self) -> &str {
        match self {
            Self::Joined { host }
            | Self::Rejoined { host }
            | Self::Restarted { host }
            | Self::Vanished { host, .. }
            | Self::Left { host, .. }
            | Self::UndoneAlone { host, .. } => host,
        }
    }
}
