//! The fleet's halt.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::columns::{Columns, micros};
use super::error::Fault;
use super::runs::Run;
use super::transaction::Under;
use super::{Store, StoreError};

/// That the fleet is halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a halt did in the store. What runs must still be undone on the hosts: that is up to the controllers and agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halted {
    /// The halt that holds now: the first one's, if the fleet was halted already.
    pub halt: Halt,
    /// What was queued or waited for approval, and is cancelled.
    pub cancelled: Vec<Run>,
    /// What a controller has; each was asked to end.
    pub stopping: Vec<Run>,
}

impl Store {
    /// Halts the fleet: in one transaction no new run is taken or claimed any more, everything queued is cancelled, and
    /// everything under way is asked to end.
    ///
    /// # Errors
    /// The store's own.
    pub async fn halt(&self, reason: &str, by: &str, now: Timestamp) -> Result<Halted, StoreError> {
        self.done("halt the fleet", || async {
            let mut work = self.begin(Under::Runs).await?;
            sqlx::query(
                "INSERT INTO halt (id, reason, halted_by, since) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING",
            )
            .bind(reason)
            .bind(by)
            .bind(micros(now))
            .execute(work.on())
            .await?;
            let because = format!("halted by {by}: {reason}");
            let cancelled = sqlx::query(
                "UPDATE runs SET state = 'cancelled', because = $1, finished_at = $2
                 WHERE state IN ('queued', 'waiting-for-approval') RETURNING *",
            )
            .bind(because.as_str())
            .bind(micros(now))
            .fetch_all(work.on())
            .await?;
            let stopping = sqlx::query(
                "UPDATE runs SET stop_requested = COALESCE(stop_requested, $1)
                 WHERE state IN ('claimed', 'running', 'closing') RETURNING *",
            )
            .bind(because.as_str())
            .fetch_all(work.on())
            .await?;
            let row = sqlx::query("SELECT * FROM halt").fetch_one(work.on()).await?;
            let halted = Halted {
                halt: halt(&row)?,
                cancelled: cancelled.iter().map(Run::read).collect::<Result<_, _>>()?,
                stopping: stopping.iter().map(Run::read).collect::<Result<_, _>>()?,
            };
            work.commit().await?;
            Ok(halted)
        })
        .await
    }

    /// Lets new runs in again; what was cancelled stays so. The halt that was released, if there was one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn release_halt(&self) -> Result<Option<Halt>, StoreError> {
        self.done("release the halt", || async {
            let mut work = self.begin(Under::Runs).await?;
            let row = sqlx::query("DELETE FROM halt RETURNING *").fetch_optional(work.on()).await?;
            let released = row.as_ref().map(halt).transpose()?;
            work.commit().await?;
            Ok(released)
        })
        .await
    }

    /// Whether the fleet is halted.
    ///
    /// # Errors
    /// The store's own.
    pub async fn halted(&self) -> Result<Option<Halt>, StoreError> {
        self.done("read the halt", || async { read(&mut *self.readers.acquire().await?).await }).await
    }
}

pub(super) async fn read(connection: &mut AnyConnection) -> Result<Option<Halt>, Fault> {
    sqlx::query("SELECT * FROM halt").fetch_optional(connection).await?.as_ref().map(halt).transpose()
}

fn halt(row: &sqlx::any::AnyRow) -> Result<Halt, Fault> {
    Ok(Halt { reason: row.text("reason")?, by: row.text("halted_by")?, since: row.time("since")? })
}
