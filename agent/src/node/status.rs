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
        let found = journal.read_all().unwrap_or_default();
        Self { active, stuck: found.into_iter().filter_map(stuck).collect(), must_stop }
    }

    /// Whether nothing of Faultline is on this host.
    pub fn is_clean(&self) -> bool {
        self.active.is_empty() && self.stuck.is_empty()
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
