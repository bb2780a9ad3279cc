//! Which agents are connected to which controllers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ALIVE, Connected, Connection};
use crate::store::columns::{Columns, json, micros};
use crate::store::error::Fault;
use crate::store::transaction::Under;
use crate::store::{Store, StoreError};

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

    /// The connections of each agent to controllers that live.
    pub(super) async fn connections(&self, now: Timestamp) -> Result<BTreeMap<String, Vec<Connected>>, Fault> {
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
}
