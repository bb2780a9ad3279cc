use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hypothesis::verdict::Phase;

/// One signal over the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalSeries {
    /// Its name.
    pub name: String,
    /// Where it comes from, in a few words.
    pub source: String,
    /// The width of a bin in seconds.
    pub bin: f64,
    /// The latency quantiles of each point, in the order of its `latency`: 0.5, 0.99 and those of the objectives.
    pub quantiles: Vec<f64>,
    /// The bins that hold anything, in order.
    pub points: Vec<Point>,
    /// The signal in each phase.
    pub phases: Vec<PhaseSummary>,
    /// Why events failed, the most frequent first.
    pub failures: Vec<Failure>,
    /// Why readings are missing, the most frequent first.
    pub missing: Vec<Failure>,
    /// The bounds of objectives and guardrails on it.
    pub bounds: Vec<Bound>,
}

/// What was read in one bin.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Point {
    /// The start of the bin.
    pub at: f64,
    /// Events in it.
    pub events: f64,
    /// Bad ones among them.
    pub bad: f64,
    /// Good events a second; nothing where the bin is hardly covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Latency quantiles of the good answers in seconds; empty without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<f64>,
    /// The mean of the values read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The use of each resource, 0 to 1, and further numbers, by name; means of the readings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub host: BTreeMap<String, f64>,
    /// Readings that could not be had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A signal in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseSummary {
    /// The phase.
    pub phase: Phase,
    /// Events in it.
    pub events: f64,
    /// Bad ones among them.
    pub bad: f64,
    /// Good events a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Latency of the good answers, from an HDR histogram of three digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<PhaseLatency>,
    /// The mean of the values read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The mean use of each resource, 0 to 1, and of further numbers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub host: BTreeMap<String, f64>,
    /// Readings that could not be had.
    pub missing: u64,
}

/// Latency in one phase, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseLatency {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// A reason and how often it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// The reason.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// The golden signal that a bound is on, and so the plot in which it is drawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Panel {
    /// Latency in seconds.
    Latency,
    /// Share of bad events, 0 to 1.
    Errors,
    /// Good events a second.
    Traffic,
    /// Use of resources, 0 to 1.
    Saturation,
    /// A value.
    Value,
    /// A further number that the host reading bears, by name.
    Number(String),
}

/// A bound as drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bound {
    /// On what.
    pub panel: Panel,
    /// The limit, in the panel's unit.
    pub limit: f64,
    /// On which side of it is good.
    pub side: BoundSide,
    /// Whose bound it is.
    pub role: BoundRole,
    /// As printed: `p99 below 300ms`.
    pub text: String,
}

/// On which side of a bound is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundSide {
    /// Below it.
    Below,
    /// At it or above.
    AtLeast,
}

/// Whose bound it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundRole {
    /// An objective of the steady state.
    Objective,
    /// A guardrail.
    Guardrail,
}
