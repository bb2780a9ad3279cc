//! Reading game days.

use super::{GameDay, GameDayCursor, GameDayPlan, required, unknown};
use crate::store::columns::{Columns, micros};
use crate::store::{Store, StoreError};

impl Store {
    /// The game day of this id.
    ///
    /// # Errors
    /// [`Refusal::Unknown`](crate::store::Refusal::Unknown), or the store's own.
    pub async fn game_day(&self, id: &str) -> Result<GameDay, StoreError> {
        self.done("read a game day", || async { required(&mut *self.readers.acquire().await?, id).await }).await
    }

    /// The document of a game day, letter for letter.
    ///
    /// # Errors
    /// [`Refusal::Unknown`](crate::store::Refusal::Unknown), or the store's own.
    pub async fn game_day_document(&self, id: &str) -> Result<String, StoreError> {
        self.done("read the document of a game day", || async {
            let row = sqlx::query("SELECT document FROM game_days WHERE id = $1").bind(id);
            row.fetch_optional(&self.readers).await?.ok_or_else(|| unknown(id))?.text("document")
        })
        .await
    }

    /// The plans of a game day's experiments, in their order.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_day_plans(&self, id: &str) -> Result<Vec<GameDayPlan>, StoreError> {
        self.done("read the plans of a game day", || async {
            let rows = sqlx::query("SELECT * FROM game_day_plans WHERE game_day = $1 ORDER BY number")
                .bind(id)
                .fetch_all(&self.readers)
                .await?;
            rows.iter()
                .map(|row| {
                    Ok(GameDayPlan {
                        document: row.text("document")?,
                        plan: row.text("plan")?,
                        hosts: row.json("hosts")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// The entries of a game day's journal from the one with this number on, in their order, at most `limit`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_day_entries(&self, id: &str, from: u64, limit: u32) -> Result<Vec<String>, StoreError> {
        self.done("read the journal of a game day", || async {
            let rows = sqlx::query(
                "SELECT entry FROM game_day_entries WHERE game_day = $1 AND number >= $2 ORDER BY number LIMIT $3",
            )
            .bind(id)
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(|row| row.text("entry")).collect()
        })
        .await
    }

    /// Game days, the newest first, at most `limit`, after the one that a page ended with; the cursor is of the last one if
    /// there may be more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_days(
        &self,
        after: Option<&GameDayCursor>,
        limit: u32,
    ) -> Result<(Vec<GameDay>, Option<GameDayCursor>), StoreError> {
        self.done("list game days", || async {
            let (time, id) = after.map_or((i64::MAX, ""), |cursor| (micros(cursor.opened_at), cursor.id.as_str()));
            let rows = sqlx::query(
                "SELECT * FROM game_days WHERE opened_at < $1 OR (opened_at = $1 AND id < $2)
                 ORDER BY opened_at DESC, id DESC LIMIT $3",
            )
            .bind(time)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            let days = rows.iter().map(GameDay::read).collect::<Result<Vec<_>, _>>()?;
            let last = days.last().filter(|_| days.len() == usize::try_from(limit).unwrap_or(usize::MAX));
            let cursor = last.map(|day| GameDayCursor { opened_at: day.opened_at, id: day.id.clone() });
            Ok((days, cursor))
        })
        .await
    }

    /// The game days that are not over, the oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn open_game_days(&self) -> Result<Vec<GameDay>, StoreError> {
        self.done("look for game days that are not over", || async {
            let query = "SELECT * FROM game_days WHERE ended_at IS NULL ORDER BY opened_at, id";
            sqlx::query(query).fetch_all(&self.readers).await?.iter().map(GameDay::read).collect()
        })
        .await
    }
}
