//! Which of several controllers schedules: a lease in one row.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::columns::{Columns, after, micros};
use super::error::Fault;
use super::refusal::Refusal;
use super::transaction::Under;
use super::{Store, StoreError};

/// Who leads, or led last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The controller; empty if none ever led.
    pub controller: String,
    /// Grows with each new lead, also of the same controller.
    pub epoch: i64,
    /// Until when.
    pub until: Timestamp,
}

impl Store {
    /// Tries to lead until `now + lease`. The epoch of the new lead, or `None` while another controller's lease lasts. A
    /// controller that leads already begins a new lead, and what it or its former process does with the old epoch is
    /// refused.
    ///
    /// `now` is the store's (see [`Store::now`]). The lease is over for its holder when that much time has passed on its
    /// own monotonic clock since before it asked for `now`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn try_lead(&self, controller: &str, lease: Duration, now: Timestamp) -> Result<Option<i64>, StoreError> {
        self.done("try to lead", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE leader SET controller = $1, epoch = epoch + 1, lease_until = $2
                 WHERE lease_until <= $3 OR controller = $1 RETURNING epoch",
            )
            .bind(controller)
            .bind(after(now, lease))
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let epoch = row.map(|row| row.number("epoch")).transpose()?;
            work.commit().await?;
            Ok(epoch)
        })
        .await
    }

    /// Prolongs a lead to `now + lease`, also one that ran out, if nobody else has taken it.
    ///
    /// # Errors
    /// [`Refusal::NotLeading`], or the store's own.
    pub async fn renew_lead(
        &self,
        controller: &str,
        epoch: i64,
        lease: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.lead_until(controller, epoch, after(now, lease), "renew the lead").await
    }

    /// Gives up a lead, so that another controller need not wait for the end of its lease.
    ///
    /// # Errors
    /// [`Refusal::NotLeading`], or the store's own.
    pub async fn resign(&self, controller: &str, epoch: i64) -> Result<(), StoreError> {
        self.lead_until(controller, epoch, 0, "give up the lead").await
    }

    /// Who leads, or led last: whoever reads this compares the time.
    ///
    /// # Errors
    /// The store's own.
    pub async fn leader(&self) -> Result<Lead, StoreError> {
        self.done("ask who leads", || async {
            lead(&sqlx::query("SELECT * FROM leader").fetch_one(&self.readers).await?)
        })
        .await
    }

    async fn lead_until(
        &self,
        controller: &str,
        epoch: i64,
        until: i64,
        doing: &'static str,
    ) -> Result<(), StoreError> {
        self.done(doing, || async {
            let mut work = self.begin(Under::Rows).await?;
            let changed = sqlx::query("UPDATE leader SET lease_until = $1 WHERE controller = $2 AND epoch = $3")
                .bind(until)
                .bind(controller)
                .bind(epoch)
                .execute(work.on())
                .await?;
            if changed.rows_affected() == 0 {
                let lead = lead(&sqlx::query("SELECT * FROM leader").fetch_one(work.on()).await?)?;
                return Err(Refusal::NotLeading {
                    controller: controller.to_owned(),
                    given: epoch,
                    current: lead.epoch,
                    by: lead.controller,
                    until: lead.until,
                }
                .into());
            }
            work.commit().await
        })
        .await
    }
}

fn lead(row: &sqlx::any::AnyRow) -> Result<Lead, Fault> {
    Ok(Lead { controller: row.text("controller")?, epoch: row.number("epoch")?, until: row.time("lease_until")? })
}
