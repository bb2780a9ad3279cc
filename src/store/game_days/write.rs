//! Making game days, continuing their journals, and who carries them out.

use std::time::Duration;

use jiff::Timestamp;

use super::{GameDay, GameDayEntry, GameDayPlan, KIND, NewGameDay, required};
use crate::store::columns::{after, json, micros};
use crate::store::error::{Fault, Nature, nature};
use crate::store::refusal::Refusal;
use crate::store::runs::{NewRun, insert, not_halted};
use crate::store::transaction::{Under, Work};
use crate::store::{Store, StoreError};

impl Store {
    /// Keeps a new game day with its plans and first entries.
    ///
    /// # Errors
    /// [`Refusal::Halted`], [`Refusal::Exists`], or the store's own.
    pub async fn create_game_day(&self, day: &NewGameDay, now: Timestamp) -> Result<GameDay, StoreError> {
        self.done("keep a game day", || async {
            let mut work = self.begin(Under::RunsShared).await?;
            not_halted(&mut work).await?;
            let row = sqlx::query(
                "INSERT INTO game_days (id, name, title, labels, document, requested_by, opened_at, entries, stage)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *",
            )
            .bind(day.id.as_str())
            .bind(day.name.as_str())
            .bind(day.title.as_str())
            .bind(json(&day.labels)?)
            .bind(day.document.as_str())
            .bind(day.requested_by.as_str())
            .bind(micros(now))
            .bind(i64::try_from(day.entries.len()).unwrap_or(i64::MAX))
            .bind(day.stage.as_str())
            .fetch_one(work.on())
            .await;
            let made = match row {
                Err(error) if nature(&error) == Nature::Duplicate => {
                    return Err(Refusal::Exists { kind: KIND, name: day.id.clone() }.into());
                }
                row => GameDay::read(&row?)?,
            };
            for (number, entry) in (0_u64..).zip(&day.entries) {
                keep(&mut work, &day.id, number, entry).await?;
            }
            keep_plans(&mut work, &day.id, &day.plans).await?;
            work.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Appends the next entry of a game day's journal and, with `run`, makes the run that follows from it: both or
    /// neither.
    ///
    /// # Errors
    /// [`Refusal::Changed`] if the journal has other entries by now, [`Refusal::Unknown`]; with a run [`Refusal::Halted`] or
    /// [`Refusal::Exists`]; or the store's own.
    pub async fn append_to_game_day(
        &self,
        entry: &GameDayEntry<'_>,
        run: Option<&NewRun>,
        now: Timestamp,
    ) -> Result<GameDay, StoreError> {
        self.done("keep an entry of a game day", || async {
            let mut work = self.begin(if run.is_some() { Under::RunsShared } else { Under::Rows }).await?;
            if run.is_some() {
                not_halted(&mut work).await?;
            }
            let changed = advance(&mut work, entry, now).await?;
            if let Some(run) = run {
                insert(&mut work, run, now).await?;
            }
            work.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Appends the next entry of a game day's journal, with which its experiments get these plans: both or neither.
    ///
    /// # Errors
    /// [`Refusal::Changed`] if the journal has other entries by now, [`Refusal::Unknown`], or the store's own.
    pub async fn replan_game_day(
        &self,
        entry: &GameDayEntry<'_>,
        plans: &[GameDayPlan],
        now: Timestamp,
    ) -> Result<GameDay, StoreError> {
        self.done("keep new plans of a game day", || async {
            let mut work = self.begin(Under::Rows).await?;
            let changed = advance(&mut work, entry, now).await?;
            let old = sqlx::query("DELETE FROM game_day_plans WHERE game_day = $1").bind(entry.game_day);
            old.execute(work.on()).await?;
            keep_plans(&mut work, entry.game_day, plans).await?;
            work.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Whether this controller carries out a game day from now until `now + lease`: it did already, or nobody does. It
    /// keeps two from asking Alertmanager and the hosts at once; what may happen does not depend on it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn carry_game_day(
        &self,
        id: &str,
        controller: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.done("take a game day", || async {
            let mut work = self.begin(Under::Rows).await?;
            let taken = sqlx::query(
                "UPDATE game_days SET controller = $2, lease_until = $3
                 WHERE id = $1 AND ended_at IS NULL
                    AND (controller IS NULL OR controller = $2 OR lease_until <= $4)",
            )
            .bind(id)
            .bind(controller)
            .bind(after(now, lease))
            .bind(micros(now))
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }
}

async fn keep(work: &mut Work, game_day: &str, number: u64, entry: &str) -> Result<(), Fault> {
    sqlx::query("INSERT INTO game_day_entries (game_day, number, entry) VALUES ($1, $2, $3)")
        .bind(game_day)
        .bind(number.cast_signed())
        .bind(entry)
        .execute(work.on())
        .await?;
    Ok(())
}

async fn keep_plans(work: &mut Work, game_day: &str, plans: &[GameDayPlan]) -> Result<(), Fault> {
    for (number, plan) in (0_i64..).zip(plans) {
        sqlx::query("INSERT INTO game_day_plans (game_day, number, document, plan, hosts) VALUES ($1, $2, $3, $4, $5)")
            .bind(game_day)
            .bind(number)
            .bind(plan.document.as_str())
            .bind(plan.plan.as_str())
            .bind(json(&plan.hosts)?)
            .execute(work.on())
            .await?;
    }
    Ok(())
}

/// Keeps the next entry, if it is the next one still.
async fn advance(work: &mut Work, entry: &GameDayEntry<'_>, now: Timestamp) -> Result<GameDay, Fault> {
    let row = sqlx::query(
        "UPDATE game_days SET entries = entries + 1, stage = $3,
            ended_at = CASE WHEN $4 = 1 THEN COALESCE(ended_at, $5) ELSE ended_at END
         WHERE id = $1 AND entries = $2 RETURNING *",
    )
    .bind(entry.game_day)
    .bind(entry.number.cast_signed())
    .bind(entry.stage)
    .bind(i64::from(entry.over))
    .bind(micros(now))
    .fetch_optional(work.on())
    .await?;
    let Some(row) = row else {
        let found = required(work.on(), entry.game_day).await?;
        let (given, current) = (entry.number.cast_signed(), found.entries.cast_signed());
        return Err(Refusal::Changed { kind: KIND, name: found.id, given, current }.into());
    };
    keep(work, entry.game_day, entry.number, entry.entry).await?;
    GameDay::read(&row)
}
