//! What is known of an agent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use crate::store::columns::{Columns, words};
use crate::store::error::Fault;

words! {
    /// How an agent is.
    AgentHealth {
        /// It can inject and undo.
        Healthy = "healthy",
        /// It works, but something is wrong that a person should see: an undo that is stuck, a full disk.
        Degraded = "degraded",
        /// It has not said anything yet.
        Unknown = "unknown",
    }
}

/// An agent that has connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The agent's name, from its certificate.
    pub name: String,
    /// Its labels: bound, given and discovered.
    pub labels: BTreeMap<String, String>,
    /// Those that its certificate binds.
    pub bound: BTreeMap<String, String>,
    /// What its host can do.
    pub capabilities: Value,
    /// The serial number of its certificate.
    pub certificate: String,
    /// Its version of Faultline.
    pub version: String,
    /// The controller that it is connected to.
    pub controller: String,
}

/// To whom and by which connection an agent is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The controller.
    pub controller: String,
    /// The connection's epoch.
    pub epoch: i64,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it is.
    pub health: AgentHealth,
    /// Its active faults, a list.
    pub active: Value,
    /// Its undos that are stuck, a list.
    pub stuck: Value,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its labels: bound, given and discovered.
    pub labels: BTreeMap<String, String>,
    /// Those that its certificate binds.
    pub bound: BTreeMap<String, String>,
    /// What its host can do.
    pub capabilities: Value,
    /// The serial number of its certificate.
    pub certificate: String,
    /// Its version of Faultline.
    pub version: String,
    /// When it first connected.
    pub first_seen: Timestamp,
    /// When it was last heard of, or a controller was while it was connected to it.
    pub last_seen: Timestamp,
    /// Its connections to controllers that live, by the controller's id; none if it is not connected.
    pub connected: Vec<Connected>,
    /// How it is.
    pub health: AgentHealth,
    /// Its active faults.
    pub active: Value,
    /// Its undos that are stuck.
    pub stuck: Value,
}

impl Agent {
    /// What its own row says; its connections are told by others.
    pub(super) fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            name: row.text("name")?,
            labels: row.json("labels")?,
            bound: row.json("bound")?,
            capabilities: row.json("capabilities")?,
            certificate: row.text("certificate")?,
            version: row.text("version")?,
            first_seen: row.time("first_seen")?,
            last_seen: row.time("last_seen")?,
            connected: Vec::new(),
            health: row.word("health")?,
            active: row.json("active")?,
            stuck: row.json("stuck")?,
        })
    }
}
