//! Approvals: each of one person, of one object, bound to the hash of its plan, for a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::{Columns, micros};
use super::error::Fault;
use super::transaction::{Under, Work};
use super::{Store, StoreError};

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What is approved: `run/ID` or `game-day/NAME`.
    pub object: String,
    /// The hash of the plan that was seen. A changed plan has another one and is not approved.
    pub plan_hash: String,
    /// Who approves.
    pub approver: String,
    /// When.
    pub approved_at: Timestamp,
    /// It does not count at this time and later.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps an approval. Approving again renews it; it counts once.
    ///
    /// # Errors
    /// The store's own.
    pub async fn approve(&self, approval: &Approval) -> Result<(), StoreError> {
        self.done("keep an approval", || async {
            let mut work = self.begin(Under::Rows).await?;
            keep(&mut work, approval).await?;
            work.commit().await
        })
        .await
    }

    /// Takes an approval back. `false` if there was none.
    ///
    /// # Errors
    /// The store's own.
    pub async fn withdraw_approval(&self, object: &str, plan_hash: &str, approver: &str) -> Result<bool, StoreError> {
        self.done("withdraw an approval", || async {
            let mut work = self.begin(Under::Rows).await?;
            let removed = sqlx::query("DELETE FROM approvals WHERE object = $1 AND plan_hash = $2 AND approver = $3")
                .bind(object)
                .bind(plan_hash)
                .bind(approver)
                .execute(work.on())
                .await?;
            work.commit().await?;
            Ok(removed.rows_affected() == 1)
        })
        .await
    }

    /// The approvals of this plan of an object that count now, by the approver's name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn approvals(&self, object: &str, plan_hash: &str, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        self.done("list approvals", || async {
            let rows = sqlx::query("SELECT * FROM approvals WHERE object = $1 AND plan_hash = $2 AND expires_at > $3")
                .bind(object)
                .bind(plan_hash)
                .bind(micros(now))
                .fetch_all(&self.readers)
                .await?;
            let mut approvals = rows.iter().map(Approval::read).collect::<Result<Vec<_>, _>>()?;
            approvals.sort_by(|one, other| one.approver.cmp(&other.approver));
            Ok(approvals)
        })
        .await
    }

    /// Forgets approvals that expired before this time.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune_approvals(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.forget("forget expired approvals", "DELETE FROM approvals WHERE expires_at < $1", before).await
    }
}

/// Writes an approval.
pub(super) async fn keep(work: &mut Work, approval: &Approval) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO approvals (object, plan_hash, approver, approved_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (object, plan_hash, approver) DO UPDATE SET approved_at = excluded.approved_at,
            expires_at = excluded.expires_at",
    )
    .bind(approval.object.as_str())
    .bind(approval.plan_hash.as_str())
    .bind(approval.approver.as_str())
    .bind(micros(approval.approved_at))
    .bind(micros(approval.expires_at))
    .execute(work.on())
    .await?;
    Ok(())
}

impl Approval {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            object: row.text("object")?,
            plan_hash: row.text("plan_hash")?,
            approver: row.text("approver")?,
            approved_at: row.time("approved_at")?,
            expires_at: row.time("expires_at")?,
        })
    }
}
