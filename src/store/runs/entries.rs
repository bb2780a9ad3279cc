//! What decided a run so far, entry by entry: enough for another controller to end it.

use super::RunState;
use super::own::owned;
use crate::store::columns::Columns;
use crate::store::transaction::Under;
use crate::store::{Store, StoreError};

impl Store {
    /// Keeps an entry of a run's journal under its number, counted from 0. On disk when this returns. The same again does
    /// nothing.
    ///
    /// # Errors
    /// [`Refusal::TakenOver`](crate::store::Refusal::TakenOver), [`Refusal::State`](crate::store::Refusal::State) if the run
    /// is over, or the store's own.
    pub async fn keep_entry(&self, run: &str, epoch: i64, number: u64, entry: &str) -> Result<(), StoreError> {
        self.done("keep an entry of a run's journal", || async {
            let mut work = self.begin(Under::Rows).await?;
            owned(&mut work, run, epoch, RunState::Running).await?;
            sqlx::query(
                "INSERT INTO run_entries (run, number, entry) VALUES ($1, $2, $3) ON CONFLICT (run, number) DO NOTHING",
            )
            .bind(run)
            .bind(number.cast_signed())
            .bind(entry)
            .execute(work.on())
            .await?;
            work.commit().await
        })
        .await
    }

    /// The entries of a run's journal that were kept, from the one with this number on, in their order.
    ///
    /// # Errors
    /// The store's own.
    pub async fn entries(&self, run: &str, from: u64) -> Result<Vec<String>, StoreError> {
        self.done("read the kept journal of a run", || async {
            let rows = sqlx::query("SELECT entry FROM run_entries WHERE run = $1 AND number >= $2 ORDER BY number")
                .bind(run)
                .bind(from.cast_signed())
                .fetch_all(&self.readers)
                .await?;
            rows.iter().map(|row| row.text("entry")).collect()
        })
        .await
    }
}
