use faultline_agent::units::{Percent, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run may spend of an error budget. It does not start when that is not there, and is aborted when it is spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// The SLO whose budget it is, one of `slos`.
    pub slo: String,
    /// The share of the budget of the whole window that this run may spend.
    pub allowance: Percent,
    /// The share that must be left beside the allowance for the run to start (none unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Percent>,
}

/// A guardrail on how fast an error budget burns: breached when the allowance would be spent before its time, over a
/// long window and over a short one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BurnRate {
    /// The share of the budget that may be spent (that of `budget` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Percent>,
    /// The time in which it may be spent (the length of the method unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<TimeSpan>,
    /// Below so many events in the long window it is not breached (20 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_events: Option<u32>,
}
