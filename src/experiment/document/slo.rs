use std::path::PathBuf;

use faultline_agent::units::{Percent, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service level objective by which an experiment is judged: one of a file, or one that is written out here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloReference {
    /// The file that has it, from the folder of the document: OpenSLO v1, Sloth, Pyrra, or the Prometheus rules that
    /// Sloth and Pyrra generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Its name in the file; may be left out where the file has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which of several objectives of an OpenSLO, by `displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// The Prometheus server that has its counters; may be left out where the file names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    /// How often to ask (1 s unless told; a scrape interval is a good choice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeSpan>,
    /// The window of its budget, instead of the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeSpan>,
    /// A signal of this document that is judged by its target, instead of its own counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The objective itself, instead of a file. In the journal of a run, what was found in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub define: Option<SloDefinition>,
}

/// A service level objective: so large a share of a service's events is good, over a window of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloDefinition {
    /// The service whose budget it is.
    pub service: String,
    /// The share of events that are good, such as 99.9%.
    pub target: Percent,
    /// The time over which the budget is counted.
    pub window: TimeSpan,
    /// When the window is one of the calendar: its beginnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<SloCalendar>,
    /// A query of a raw counter of bad events.
    pub bad: String,
    /// A query of a raw counter of all events.
    pub total: String,
}

/// The windows of a calendar, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloCalendar {
    /// How long each is: `1w`, `1M` (month), `1Q` (quarter), `1Y`.
    pub every: String,
    /// When one of them began: `2026-01-01 00:00:00`.
    pub start: String,
    /// By which clock: `Europe/Berlin`.
    pub time_zone: String,
}

impl SloDefinition {
    /// The share of events that may be bad.
    pub fn allowed(&self) -> Percent {
        // The difference of two such numbers is theirs to nine digits and noise beyond.
        let allowed = ((100.0 - self.target.number()) * 1e9).round() / 1e9;
        Percent::new(allowed).unwrap_or(Percent::ZERO)
    }
}
