use faultline_agent::units::{Percent, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrafficFloor;

/// One bound on one golden signal. Exactly one of `latency`, `errors`, `traffic`, `saturation` and `value` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["latency"] },
    { "required": ["errors"] },
    { "required": ["traffic"] },
    { "required": ["saturation"] },
    { "required": ["value"] },
]))]
pub struct Objective {
    /// The signal that it bounds.
    pub signal: String,
    /// A quantile of the latency stays below a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyBound>,
    /// The share of bad events stays below a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorBound>,
    /// As much is served as before, or as a rate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficBound>,
    /// A resource is used less than a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<SaturationBound>,
    /// A value stays within bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueBound>,
}

/// A bound on a latency quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyBound {
    /// Which quantile, above 0 and below 1: 0.99 is the 99th percentile.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub quantile: f64,
    /// The time below which it stays. A failed request counts as slower than any bound.
    pub below: TimeSpan,
}

/// A bound on the share of bad events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErrorBound {
    /// The percentage below which it stays.
    pub below: Percent,
}

/// A bound on how much is served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficBound {
    /// At least this: a rate, or a percentage with `of: baseline`.
    pub at_least: TrafficFloor,
    /// What a percentage is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reference>,
}

/// What a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// The same signal before the fault.
    Baseline,
}

/// A bound on the use of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaturationBound {
    /// Which resource.
    pub resource: Resource,
    /// The percentage below which its use stays.
    pub below: Percent,
}

/// A resource whose use the agent reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Time in which the processors worked.
    Cpu,
    /// Memory that is not available.
    Memory,
    /// Space of the file system, as `df` counts it.
    Disk,
    /// Time in which some task waited for a processor (pressure, PSI `some`).
    CpuPressure,
    /// Time in which some task waited for memory.
    MemoryPressure,
    /// Time in which some task waited for input or output.
    IoPressure,
}

/// Bounds on a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueBound {
    /// It stays below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}
