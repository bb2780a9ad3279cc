//! Forgetting old game days.

use jiff::Timestamp;

use crate::store::columns::{Columns, micros};
use crate::store::transaction::Under;
use crate::store::{Store, StoreError};

impl Store {
    /// The game days that are over and more than the `newest`, the oldest first, as far as it is this controller's to
    /// forget them: it carried them out last, or nobody did, or who did has not been seen since `gone_before`. Never one
    /// that is open.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_days_to_forget(
        &self,
        newest: u32,
        controller: &str,
        gone_before: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.done("look for old game days", || async {
            let rows = sqlx::query(
                "SELECT id FROM (
                    SELECT id, controller, opened_at, ROW_NUMBER() OVER (ORDER BY opened_at DESC, id DESC) AS place
                    FROM game_days WHERE ended_at IS NOT NULL) ended
                 WHERE place > $1 AND (controller IS NULL OR controller = $2 OR NOT EXISTS (
                        SELECT 1 FROM controllers seen WHERE seen.id = ended.controller AND seen.seen_at >= $3))
                 ORDER BY opened_at, id",
            )
            .bind(i64::from(newest))
            .bind(controller)
            .bind(micros(gone_before))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(|row| row.text("id")).collect()
        })
        .await
    }

    /// Forgets a game day that is over, with its document, its plans and its journal, if that has exactly so many entries:
    /// what somebody noted meanwhile is not lost. `false` if it is not so.
    ///
    /// # Errors
    /// The store's own.
    pub async fn forget_game_day(&self, id: &str, entries: u64) -> Result<bool, StoreError> {
        self.done("forget a game day", || async {
            let mut work = self.begin(Under::Rows).await?;
            // Plans and entries go with it: each of their rows refers to it.
            let gone = sqlx::query("DELETE FROM game_days WHERE id = $1 AND entries = $2 AND ended_at IS NOT NULL")
                .bind(id)
                .bind(entries.cast_signed())
                .execute(work.on())
                .await?;
            work.commit().await?;
            Ok(gone.rows_affected() == 1)
        })
        .await
    }
}
