//! Agents as they last reported themselves.
//!
//! An agent has a connection with each controller that it knows, and is connected while any of them, of a controller that
//! lives ([`ALIVE`]), is there. With one controller the newest counts: each connection has an epoch, and what an older one
//! still says is refused ([`Refusal::Reconnected`]).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use super::columns::{Columns, json, micros, words};
use super::error::{Fault, Refusal};
use super::transaction::Under;
use super::{Store, StoreError};

/// A controller of which nothing was seen for longer ([`Store::controller_seen`]) does not live, and nobody is connected to
/// it. It says that it lives every few seconds.
pub const ALIVE: Duration = Duration::from_secs(15);

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

impl Store {
    /// An agent has connected to a controller: the epoch of this connection, which from now on is the one with this
    /// controller that counts.
    ///
    /// # Errors
    /// The store's own.
    pub async fn agent_connected(&self, agent: &Connection, now: Timestamp) -> Result<i64, StoreError> {
        self.done("note that an agent has connected", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "INSERT INTO agents (name, labels, bound, capabilities, certificate, version, first_seen, last_seen, epoch,
                    health, active, stuck)
                 VALUES ($1, $2, $7, $3, $4, $5, $6, $6, 1, 'unknown', '[]', '[]')
                 ON CONFLICT (name) DO UPDATE SET labels = excluded.labels, bound = excluded.bound,
                    capabilities = excluded.capabilities,
                    certificate = excluded.certificate, version = excluded.version, last_seen = excluded.last_seen,
                    epoch = agents.epoch + 1
                 RETURNING epoch",
            )
            .bind(agent.name.as_str())
            .bind(json(&agent.labels)?)
            .bind(json(&agent.capabilities)?)
            .bind(agent.certificate.as_str())
            .bind(agent.version.as_str())
            .bind(micros(now))
            .bind(json(&agent.bound)?)
            .fetch_one(work.on())
            .await?;
            let epoch = row.number("epoch")?;
            sqlx::query(
                "INSERT INTO agent_connections (agent, controller, epoch) VALUES ($1, $2, $3)
                 ON CONFLICT (agent, controller) DO UPDATE SET epoch = excluded.epoch",
            )
            .bind(agent.name.as_str())
            .bind(agent.controller.as_str())
            .bind(epoch)
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(epoch)
        })
        .await
    }

    /// What an agent says of itself, over the connection of this epoch.
    ///
    /// # Errors
    /// [`Refusal::Reconnected`], [`Refusal::Unknown`], or the store's own.
    pub async fn agent_reported(
        &self,
        agent: &str,
        epoch: i64,
        report: &Report,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.done("keep what an agent reports", || async {
            let mut work = self.begin(Under::Rows).await?;
            let changed = sqlx::query(
                "UPDATE agents SET health = $3, active = $4, stuck = $5, last_seen = $6
                 WHERE name = $1 AND EXISTS (SELECT 1 FROM agent_connections WHERE agent = $1 AND epoch = $2)",
            )
            .bind(agent)
            .bind(epoch)
            .bind(report.health.as_str())
            .bind(json(&report.active)?)
            .bind(json(&report.stuck)?)
            .bind(micros(now))
            .execute(work.on())
            .await?;
            if changed.rows_affected() == 0 {
                let row = sqlx::query("SELECT epoch FROM agents WHERE name = $1")
                    .bind(agent)
                    .fetch_optional(work.on())
                    .await?;
                let agent = agent.to_owned();
                return Err(match row {
                    Some(row) => Refusal::Reconnected { agent, given: epoch, current: row.number("epoch")? }.into(),
                    None => Refusal::Unknown { kind: "agent", name: agent }.into(),
                });
            }
            work.commit().await
        })
        .await
    }

    /// The connection of this epoch has ended. `false` if the agent has a newer one with the same controller, which stays.
    ///
    /// # Errors
    /// The store's own.
    pub async fn agent_disconnected(&self, agent: &str, epoch: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.done("note that an agent has disconnected", || async {
            let mut work = self.begin(Under::Rows).await?;
            let ended = sqlx::query("DELETE FROM agent_connections WHERE agent = $1 AND epoch = $2")
                .bind(agent)
                .bind(epoch)
                .execute(work.on())
                .await?;
            let ended = ended.rows_affected() == 1;
            if ended {
                sqlx::query("UPDATE agents SET last_seen = $2 WHERE name = $1")
                    .bind(agent)
                    .bind(micros(now))
                    .execute(work.on())
                    .await?;
            }
            work.commit().await?;
            Ok(ended)
        })
        .await
    }

    /// A controller starts anew or is gone: none of the connections that it had exists any more. The agents' names.
    ///
    /// # Errors
    /// The store's own.
    pub async fn agents_lost(&self, controller: &str) -> Result<Vec<String>, StoreError> {
        self.done("note that a controller's agents are gone", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query("DELETE FROM agent_connections WHERE controller = $1 RETURNING agent")
                .bind(controller)
                .fetch_all(work.on())
                .await?;
            let mut names = rows.iter().map(|row| row.text("agent")).collect::<Result<Vec<_>, _>>()?;
            work.commit().await?;
            names.sort();
            Ok(names)
        })
        .await
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn agent(&self, name: &str, now: Timestamp) -> Result<Agent, StoreError> {
        self.done("read an agent", || async {
            let row =
                sqlx::query("SELECT * FROM agents WHERE name = $1").bind(name).fetch_optional(&self.readers).await?;
            let row = row.ok_or_else(|| Refusal::Unknown { kind: "agent", name: name.to_owned() })?;
            Ok(Agent { connected: self.connections(now).await?.remove(name).unwrap_or_default(), ..Agent::read(&row)? })
        })
        .await
    }

    /// All agents, by name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn agents(&self, now: Timestamp) -> Result<Vec<Agent>, StoreError> {
        self.done("list agents", || async {
            let rows = sqlx::query("SELECT * FROM agents").fetch_all(&self.readers).await?;
            let mut agents = rows.iter().map(Agent::read).collect::<Result<Vec<_>, _>>()?;
            let mut connections = self.connections(now).await?;
            for agent in &mut agents {
                agent.connected = connections.remove(&agent.name).unwrap_or_default();
            }
            agents.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(agents)
        })
        .await
    }

    /// The connections of each agent to controllers that live.
    async fn connections(&self, now: Timestamp) -> Result<BTreeMap<String, Vec<Connected>>, Fault> {
        let rows = sqlx::query(
            "SELECT a.agent, a.controller, a.epoch FROM agent_connections a JOIN controllers c ON c.id = a.controller
             WHERE c.seen_at > $1 ORDER BY a.controller",
        )
        .bind(micros(now - ALIVE))
        .fetch_all(&self.readers)
        .await?;
        let mut connections: BTreeMap<String, Vec<Connected>> = BTreeMap::new();
        for row in rows {
            let connected = Connected { controller: row.text("controller")?, epoch: row.number("epoch")? };
            connections.entry(row.text("agent")?).or_default().push(connected);
        }
        Ok(connections)
    }

    /// How many of the hosts of a run are connected to each controller that lives; those with none are left out.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reach_of_run(&self, run: &str, now: Timestamp) -> Result<BTreeMap<String, usize>, StoreError> {
        self.done("ask who can reach the hosts of a run", || async {
            let rows = sqlx::query(
                "SELECT a.controller, COUNT(*) AS hosts FROM run_hosts h JOIN agent_connections a ON a.agent = h.host
                    JOIN controllers c ON c.id = a.controller
                 WHERE h.run = $1 AND c.seen_at > $2 GROUP BY a.controller",
            )
            .bind(run)
            .bind(micros(now - ALIVE))
            .fetch_all(&self.readers)
            .await?;
            rows.iter()
                .map(|row| Ok((row.text("controller")?, usize::try_from(row.number("hosts")?).unwrap_or_default())))
                .collect()
        })
        .await
    }

    /// Forgets an agent that is not connected. `false` if it is connected or unknown.
    ///
    /// # Errors
    /// The store's own.
    pub async fn forget_agent(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.done("forget an agent", || async {
            let mut work = self.begin(Under::Rows).await?;
            let removed = sqlx::query(
                "DELETE FROM agents WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM agent_connections a
                    JOIN controllers c ON c.id = a.controller WHERE a.agent = $1 AND c.seen_at > $2)",
            )
            .bind(name)
            .bind(micros(now - ALIVE))
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(removed.rows_affected() == 1)
        })
        .await
    }
}

impl Agent {
    /// What its own row says; its connections are told by others.
    fn read(row: &AnyRow) -> Result<Self, Fault> {
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
