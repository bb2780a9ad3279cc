//! Agents as they last reported themselves.
//!
//! An agent has a connection with each controller that it knows, and is connected while any of them, of a controller that
//! lives ([`ALIVE`]), is there. With one controller the newest counts: each connection has an epoch, and what an older one
//! still says is refused ([`Refusal::Reconnected`]).

mod connections;
mod known;

use std::time::Duration;

use jiff::Timestamp;

pub use self::known::{Agent, AgentHealth, Connected, Connection, Report};
use super::columns::{Columns, json, micros};
use super::refusal::Refusal;
use super::transaction::Under;
use super::{Store, StoreError};

/// A controller of which nothing was seen for longer ([`Store::controller_seen`]) does not live, and nobody is connected to
/// it. It says that it lives every few seconds.
pub const ALIVE: Duration = Duration::from_secs(15);

impl Store {
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
