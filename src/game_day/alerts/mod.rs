//! Alerts: reading them from Alertmanager, and judging which of those expected fired.
//!
//! That Alertmanager could not be read is never taken for an alert that did not fire, and an alert that was firing
//! before the fault is no evidence that it is raised by it.

mod answer;
mod judge;
mod reader;
mod sampler;
mod watch;

pub use judge::{AlertVerdict, Fired, Life, Resolved, UnexpectedAlert, judge, unexpected};
pub use reader::Reader;
pub use sampler::Sampler;
pub use watch::{Episode, Gap, Watch};

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alert {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Since when, by the clock of who raised it.
    pub starts_at: Timestamp,
    /// Whether nobody is told of it: it is silenced or inhibited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suppressed: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// These alerts fire.
    Firing(Vec<Alert>),
    /// The same alerts fire as in the reading before.
    Unchanged,
    /// Nothing is known, for this reason.
    Unknown(String),
}

/// An alert in a line: its name, and its other labels.
pub fn in_words(labels: &BTreeMap<String, String>) -> String {
    let others: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "alertname")
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    let name = labels.get("alertname").map_or("", String::as_str);
    if others.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", others.join(", ")) }
}
