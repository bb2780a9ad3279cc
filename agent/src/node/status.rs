use serde::{Deserialize, Serialize};

use super::MustStop;
use crate::engine::Active;
use crate::identity::FaultId;
use crate::journal::{FaultState, Found, Journal};
use crate::plan::Step;

/// How an agent's host stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The faults of this agent that are in place.
    pub active: Vec<ActiveFault>,
    /// The faults on record that could not be undone.
    pub stuck: Vec<StuckFault>,
    /// How many faults the journal of this host has on record, whoever's they are and however they stand; one is on record
    /// from before its first step until it was seen to be gone. Nothing if the journal cannot be read, or an older agent
    /// says this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_record: Option<usize>,
    /// Why everything here must end, if it must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_stop: Option<MustStop>,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Its id.
    pub id: FaultId,
    /// Its name in the catalogue.
    pub fault: String,
    /// What it touches, one line a target.
    pub targets: Vec<String>,
    /// In how many milliseconds it must be gone.
    pub left_ms: u64,
}

/// A fault that could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckFault {
    /// Its id.
    pub id: FaultId,
    /// Its name in the catalogue, or why its record cannot be read.
    pub fault: String,
    /// The commands with which a person undoes it, one a step.
    pub by_hand: Vec<String>,
}

impl NodeStatus {
    /// From what the engine has, and what the journal says.
    pub(super) fn of(active: Vec<Active>, journal: &Journal, must_stop: Option<MustStop>) -> Self {
        let active = active
            .into_iter()
            .map(|active| ActiveFault {
                id: active.id,
                fault: active.fault,
                targets: active.targets,
                left_ms: u64::try_from(active.left.as_millis()).unwrap_or(u64::MAX),
            })
            .collect();
        let found = journal.read_all().ok();
        let on_record = found.as_ref().map(Vec::len);
        let stuck = found.into_iter().flatten().filter_map(stuck).collect();
        Self { active, stuck, on_record, must_stop }
    }

    /// Whether nothing of Faultline that is known of is on this host.
    pub fn is_clean(&self) -> bool {
        self.active.is_empty() && self.stuck.is_empty()
    }

    /// Whether it was seen that nothing of Faultline is on this host: its journal was read, and has nothing on record.
    pub fn is_seen_clean(&self) -> bool {
        self.is_clean() && self.on_record == Some(0)
    }
}

fn stuck(found: Found) -> Option<StuckFault> {
    match found {
        Found::Record(record) if record.state == FaultState::Stuck => Some(StuckFault {
            id: record.plan.id.clone(),
            fault: record.plan.fault.clone(),
            by_hand: record.plan.steps.iter().rev().map(Step::manual_undo).collect(),
        }),
        Found::Record(_) => None,
        Found::Unreadable { path, id, reason } => Some(StuckFault {
            id: id.unwrap_or_else(|| FaultId::from_number(0)),
            fault: format!("unreadable record {}: {reason}", path.display()),
            by_hand: vec!["faultline recover".into()],
        }),
    }
}
