use std::collections::BTreeMap;
use std::path::PathBuf;

use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that the run starts and takes down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// The program and its arguments; no shell is involved. `faultline` as the program means this very binary.
    pub run: Vec<String>,
    /// Variables added to its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The folder in which it runs; a scratch folder of the run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Files written into its scratch folder before it starts, by name: its configuration, say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The user whose rights it gets (root only), by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How to know that it is up; without it, it counts as up once it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Services that must be up first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether it is started again when it ends, and how soon; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// Starting a service again when it ends, as a supervisor would.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// How long to wait before each new start.
    pub after: TimeSpan,
}

/// How to know that a service is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// A URL that answers with a status below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// An address that accepts a TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// A command that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// How long it may take (30 s unless told).
    #[serde(default = "default_ready_within")]
    pub within: TimeSpan,
}

fn default_ready_within() -> TimeSpan {
    TimeSpan::from_secs(30)
}
