//! What can happen to a host while a run has faults on it.

use std::fmt;

use faultline_agent::identity::FaultId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which boot of a host, and which process of its agent, one speaks to. Another of either has nothing in place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLife {
    /// The kernel's id of the boot (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// When the agent's process began, in nanoseconds on that boot's clock.
    pub process: u64,
}

/// What happened to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HostEvent {
    /// Its lease can no longer be renewed in time: no agent, no network, no host. (A stream that broke and came back
    /// before that is no event.)
    Vanished {
        /// For how many seconds nothing had been heard of it.
        silent: u64,
    },
    /// Its agent is heard again, on a host that was booted anew.
    Rebooted {
        /// The id of the new boot.
        boot: String,
    },
    /// Its agent was started anew on the same boot.
    AgentRestarted,
    /// The same process of its agent is heard again after the host had vanished.
    Returned,
    /// Its agent undid a fault before its time without being asked.
    UndoneAlone {
        /// Which.
        fault: FaultId,
        /// Why, in the agent's words.
        because: String,
        /// Whether the agent saw it to be gone.
        verified: bool,
    },
    /// It can be had, is meant by these targets, and was not there when their hosts were chosen.
    Joined {
        /// The targets, by name.
        targets: Vec<String>,
    },
}

impl fmt::Display for HostEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Vanished { .. } => "vanished",
            Self::Rebooted { .. } => "was booted anew",
            Self::AgentRestarted => "has a new agent process",
            Self::Returned => "is back",
            Self::UndoneAlone { .. } => "undid a fault by itself",
            Self::Joined { .. } => "joined",
        })
    }
}
