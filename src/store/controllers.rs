//! The controllers that share this store, and where each can be reached.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::columns::{Columns, micros};
use super::transaction::Under;
use super::{Store, StoreError};

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// Its id, which it keeps over restarts.
    pub id: String,
    /// Where people and programs reach it: the URL of its API.
    pub address: String,
    /// Where agents reach it: host:port of its port for agents; empty if it has not said.
    pub agents: String,
    /// Its version of Faultline.
    pub version: String,
    /// When its process started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

impl Store {
    /// Says that this controller lives. The same time is noted for the agents that are connected to it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn controller_seen(&self, controller: &Controller) -> Result<(), StoreError> {
        self.done("say that a controller lives", || async {
            let mut work = self.begin(Under::Rows).await?;
            sqlx::query(
                "INSERT INTO controllers (id, address, version, started_at, seen_at, agents)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO UPDATE SET address = excluded.address, agents = excluded.agents,
                    version = excluded.version, started_at = excluded.started_at, seen_at = excluded.seen_at",
            )
            .bind(controller.id.as_str())
            .bind(controller.address.as_str())
            .bind(controller.version.as_str())
            .bind(micros(controller.started_at))
            .bind(micros(controller.seen_at))
            .bind(controller.agents.as_str())
            .execute(work.on())
            .await?;
            sqlx::query(
                "UPDATE agents SET last_seen = $2
                 WHERE last_seen < $2 AND name IN (SELECT agent FROM agent_connections WHERE controller = $1)",
            )
            .bind(controller.id.as_str())
            .bind(micros(controller.seen_at))
            .execute(work.on())
            .await?;
            work.commit().await
        })
        .await
    }

    /// All controllers that were ever seen, the last seen first: whoever reads this compares the time.
    ///
    /// # Errors
    /// The store's own.
    pub async fn controllers(&self) -> Result<Vec<Controller>, StoreError> {
        self.done("list controllers", || async {
            let rows =
                sqlx::query("SELECT * FROM controllers ORDER BY seen_at DESC, id").fetch_all(&self.readers).await?;
            rows.iter()
                .map(|row| {
                    Ok(Controller {
                        id: row.text("id")?,
                        address: row.text("address")?,
                        agents: row.text("agents")?,
                        version: row.text("version")?,
                        started_at: row.time("started_at")?,
                        seen_at: row.time("seen_at")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// Forgets controllers that were not seen since then, with the connections that they left; how many they were.
    ///
    /// # Errors
    /// The store's own.
    pub async fn forget_controllers(&self, before: Timestamp) -> Result<u64, StoreError> {
        let left = "DELETE FROM agent_connections WHERE NOT EXISTS
            (SELECT 1 FROM controllers c WHERE c.id = agent_connections.controller AND c.seen_at >= $1)";
        self.forget("forget connections to controllers that are gone", left, before).await?;
        self.forget("forget controllers that are gone", "DELETE FROM controllers WHERE seen_at < $1", before).await
    }
}
