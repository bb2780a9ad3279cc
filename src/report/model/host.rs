use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::targets::hosts::HostEvent;

/// A host of the fleet to which something happened in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostReport {
    /// Its name.
    pub host: String,
    /// From when on its faults can no longer be taken to have been in place, if it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<f64>,
    /// When it was heard again after that, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_at: Option<f64>,
    /// What happened, in order.
    pub events: Vec<HostMoment>,
    /// What it said of each fault that was lost with it, or that it said nothing.
    pub said: Vec<String>,
    /// Whether every fault that was lost with it was seen to be undone.
    pub clean: bool,
}

/// Something that happened to a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostMoment {
    /// When.
    pub at: f64,
    /// What.
    pub what: HostEvent,
    /// In words, with what followed from it.
    pub note: String,
}
