use std::collections::BTreeMap;

use super::desk::Alone;
use super::limits::{MESSAGE, PROTOCOL};
use super::wire;
use crate::lease::BootTime;
use crate::node::NodeStatus;

/// What an agent says of itself whenever it meets the controller.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    /// The name that it believes to have: that of its certificate.
    pub name: String,
    /// The version of the program, for people.
    pub program: String,
    /// Labels that the host's owner gave.
    pub labels: BTreeMap<String, String>,
    /// Labels that it found out.
    pub discovered: BTreeMap<String, String>,
    /// The kernel's name for this boot.
    pub boot_id: String,
    /// When this process began, on `CLOCK_BOOTTIME`.
    pub process_began: u64,
}

impl Greeting {
    pub(super) fn hello(&self, session: u64, now: BootTime, status: &NodeStatus, alone: &[Alone]) -> wire::Hello {
        wire::Hello {
            protocol: PROTOCOL,
            program: self.program.clone(),
            name: self.name.clone(),
            labels: self.labels.clone().into_iter().collect(),
            discovered: self.discovered.clone().into_iter().collect(),
            boot_id: self.boot_id.clone(),
            process_began_ns: self.process_began,
            session,
            clock_ns: now.nanoseconds(),
            status: json(status),
            undone_alone: alone.iter().map(told).collect(),
        }
    }
}

pub(super) fn told(alone: &Alone) -> wire::UndoneAlone {
    wire::UndoneAlone { fault: alone.fault.to_string(), because: alone.because.clone(), undone: json(&alone.undone) }
}

/// A value as JSON text. Ours all can be written; should one not, the peer gets an empty text, which it refuses.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    if text.len() + 1024 > MESSAGE { String::new() } else { text }
}
