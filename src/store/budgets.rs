//! What runs spent of error budgets.

use jiff::Timestamp;

use super::columns::{Columns, micros};
use super::transaction::Under;
use super::{Store, StoreError};

impl Store {
    /// Keeps what a run spent, as JSON. Of a run of which it is known already nothing changes.
    ///
    /// # Errors
    /// The store's own.
    pub async fn keep_spending(&self, run: &str, began_at: Timestamp, spending: &str) -> Result<(), StoreError> {
        self.done("keep what a run spent of an error budget", || async {
            let mut work = self.begin(Under::Rows).await?;
            sqlx::query(
                "INSERT INTO budget_spendings (run, began_at, spending) VALUES ($1, $2, $3) ON CONFLICT (run) DO NOTHING",
            )
            .bind(run)
            .bind(micros(began_at))
            .bind(spending)
            .execute(work.on())
            .await?;
            work.commit().await
        })
        .await
    }

    /// What runs spent that began at that time or later, as JSON, the first run first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn spendings(&self, since: Timestamp) -> Result<Vec<String>, StoreError> {
        self.done("read what runs spent of error budgets", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query("SELECT spending FROM budget_spendings WHERE began_at >= $1 ORDER BY began_at, run")
                .bind(micros(since))
                .fetch_all(work.on())
                .await?;
            rows.iter().map(|row| row.text("spending")).collect()
        })
        .await
    }
}
