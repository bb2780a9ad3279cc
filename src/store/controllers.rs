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
    /// Where the others and its agents reach it.
    pub address: String,
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
                "INSERT INTO controllers (id, address, version, started_at, seen_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (id) DO UPDATE SET address = excluded.address, version = excluded.version,
                    started_at = excluded.started_at, seen_at = excluded.seen_at",
            )
            .bind(controller.id.as_str())
            .bind(controller.address.as_str())
            .bind(controller.version.as_str())
            .bind(micros(controller.started_at))
            .bind(micros(controller.seen_at))
            .execute(work.on())
            .await?;
            sqlx::query("UPDATE agents SET last_seen = $2 WHERE controller = $1 AND last_seen < $2")
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
                        version: row.text("version")?,
                        started_at: row.time("started_at")?,
                        seen_at: row.time("seen_at")?,
                    })
                })
                .collect()
        })
        .await
    }
}
