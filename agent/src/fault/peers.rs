use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::plan::step::{Network, PortRange, Protocol};

/// The other side of the traffic meant: every given field must match, an absent one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peers {
    /// Addresses of peers, as ranges: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cidrs: Vec<Network>,
    /// Names of peers, resolved by this host's resolver and again every few seconds while the fault lasts. They add to
    /// `cidrs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Ports on the peer's side: what a client connects to, as `5432` or `"8000-8010"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// Ports on the target's own side: what a server listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_ports: Vec<PortRange>,
    /// One protocol only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

/// As many ranges as one rule set is meant to hold.
const MOST_ITEMS: usize = 1000;

impl Peers {
    /// Whether nothing is said, and every peer is meant.
    pub fn is_anybody(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what can be checked without a host.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        let has_ports = !self.ports.is_empty() || !self.local_ports.is_empty();
        if has_ports && self.protocol == Some(Protocol::Icmp) {
            return Err(PlanError::Parameter {
                message: "peers: ICMP has no ports".into(),
                hint: "leave out `ports` and `localPorts`, or choose protocol tcp or udp".into(),
            });
        }
        for host in &self.hosts {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if host.is_empty() || host.len() > 253 || !host.bytes().all(legal) {
                return Err(PlanError::Parameter {
                    message: format!("peers: `{host}` is not a host name"),
                    hint: "write a name such as db.example.com without scheme and port; addresses go under `cidrs`, \
                           ports under `ports`"
                        .into(),
                });
            }
        }
        let counts = [self.cidrs.len(), self.hosts.len(), self.ports.len(), self.local_ports.len()];
        if counts.into_iter().any(|count| count > MOST_ITEMS) {
            return Err(PlanError::Parameter {
                message: format!("peers: more than {MOST_ITEMS} items in one list"),
                hint: "write ranges of addresses and ports instead of single ones".into(),
            });
        }
        Ok(())
    }

    /// Whether addresses are named, so that loopback ones count only where they are among them.
    pub(super) fn names_addresses(&self) -> bool {
        !self.hosts.is_empty() || self.cidrs.iter().any(|network| network.prefix_length > 0)
    }
}
