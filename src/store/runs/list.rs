//! Reading runs, and forgetting old ones.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::submit::required;
use super::{Run, RunDocument, RunState};
use crate::store::columns::{Columns, micros};
use crate::store::refusal::Refusal;
use crate::store::transaction::Under;
use crate::store::{Store, StoreError};

/// Which runs are listed: those for which everything that is given holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// In one of these states; any if empty.
    pub states: Vec<RunState>,
    /// Of this experiment.
    pub experiment: Option<String>,
    /// Asked for by this actor.
    pub requested_by: Option<String>,
    /// Made by this schedule.
    pub schedule: Option<String>,
    /// Made by this game day.
    pub game_day: Option<String>,
    /// Driven by this controller.
    pub controller: Option<String>,
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
}

/// Where a page ends. The next one begins after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last run of the page was asked for.
    pub submitted_at: Timestamp,
    /// Its id.
    pub id: String,
}

/// What [`Store::runs_to_forget`] keeps of the runs that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Of which schedule.
    pub schedule: String,
    /// So many of its runs, the newest.
    pub newest: u32,
}

impl Store {
    /// The run of this id.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn run(&self, run: &str) -> Result<Run, StoreError> {
        self.done("read a run", || async { required(&mut *self.readers.acquire().await?, run).await }).await
    }

    /// The document and the plan of a run, and its hosts.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn run_document(&self, run: &str) -> Result<RunDocument, StoreError> {
        self.done("read the document of a run", || async {
            let row = sqlx::query("SELECT document, plan FROM run_documents WHERE run = $1")
                .bind(run)
                .fetch_optional(&self.readers)
                .await?;
            let Some(row) = row else {
                return Err(Refusal::Unknown { kind: "run", name: run.to_owned() }.into());
            };
            let rows =
                sqlx::query("SELECT host FROM run_hosts WHERE run = $1").bind(run).fetch_all(&self.readers).await?;
            let mut hosts = rows.iter().map(|row| row.text("host")).collect::<Result<Vec<_>, _>>()?;
            hosts.sort();
            Ok(RunDocument { document: row.text("document")?, plan: row.text("plan")?, hosts })
        })
        .await
    }

    /// Runs, the newest first, at most `limit` of them, after `after` if it is given. The cursor is there if there may be
    /// more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(Vec<Run>, Option<Cursor>), StoreError> {
        self.done("list runs", || async {
            let states = match filter.states.as_slice() {
                [] => None,
                states => {
                    Some(format!(",{},", states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",")))
                }
            };
            let mut runs: Vec<Run> = Vec::new();
            let mut cursor = after.cloned();
            loop {
                // Labels are looked at here, so a page may need more rows than it has runs.
                let rows = sqlx::query(
                    "SELECT * FROM runs
                     WHERE ($1 IS NULL OR $1 LIKE '%,' || state || ',%')
                       AND ($2 IS NULL OR experiment = $2) AND ($3 IS NULL OR requested_by = $3)
                       AND ($4 IS NULL OR (origin = 'schedule' AND origin_name = $4))
                       AND ($5 IS NULL OR (origin = 'game-day' AND origin_name = $5))
                       AND ($6 IS NULL OR controller = $6)
                       AND ($7 IS NULL OR submitted_at < $7 OR (submitted_at = $7 AND id < $8))
                     ORDER BY submitted_at DESC, id DESC LIMIT $9",
                )
                .bind(states.as_deref())
                .bind(filter.experiment.as_deref())
                .bind(filter.requested_by.as_deref())
                .bind(filter.schedule.as_deref())
                .bind(filter.game_day.as_deref())
                .bind(filter.controller.as_deref())
                .bind(cursor.as_ref().map(|cursor| micros(cursor.submitted_at)))
                .bind(cursor.as_ref().map(|cursor| cursor.id.as_str()))
                .bind(i64::from(limit.max(1)))
                .fetch_all(&self.readers)
                .await?;
                for row in &rows {
                    let run = Run::read(row)?;
                    cursor = Some(Cursor { submitted_at: run.submitted_at, id: run.id.clone() });
                    if filter.labels.iter().all(|(key, value)| run.labels.get(key) == Some(value)) {
                        runs.push(run);
                        if runs.len() as u64 >= u64::from(limit) {
                            return Ok((runs, cursor));
                        }
                    }
                }
                if (rows.len() as u64) < u64::from(limit.max(1)) {
                    return Ok((runs, None));
                }
            }
        })
        .await
    }

    /// The runs of a schedule that are over and not to be kept, as far as it is this controller's to forget them: it
    /// drove them last, or nobody did, or who did has not been seen since `gone_before`. Never one that is open, or whose
    /// cleanup was not verified: what is known of what it left must not be lost.
    ///
    /// # Errors
    /// The store's own.
    pub async fn runs_to_forget(
        &self,
        keep: &Keep,
        controller: &str,
        gone_before: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.done("look for old runs", || async {
            let rows = sqlx::query(
                "SELECT id FROM (
                    SELECT id, controller, verdict, ROW_NUMBER() OVER (ORDER BY submitted_at DESC, id DESC) AS place
                    FROM runs
                    WHERE state IN ('finished', 'cancelled') AND origin = 'schedule' AND origin_name = $1) ended
                 WHERE place > $2 AND (verdict IS NULL OR verdict <> 'cleanup-unverified')
                   AND (controller IS NULL OR controller = $3 OR NOT EXISTS (
                        SELECT 1 FROM controllers seen WHERE seen.id = ended.controller AND seen.seen_at >= $4))
                 ORDER BY id",
            )
            .bind(keep.schedule.as_str())
            .bind(i64::from(keep.newest))
            .bind(controller)
            .bind(micros(gone_before))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(|row| row.text("id")).collect()
        })
        .await
    }

    /// Forgets a run that is over, with all that belongs to it. `false` if there is none, or it is not over. Slots
    /// remember that they fired.
    ///
    /// # Errors
    /// The store's own.
    pub async fn forget_run(&self, run: &str) -> Result<bool, StoreError> {
        self.done("forget a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            let gone = sqlx::query("DELETE FROM runs WHERE id = $1 AND state IN ('finished', 'cancelled')")
                .bind(run)
                .execute(work.on())
                .await?;
            work.commit().await?;
            Ok(gone.rows_affected() == 1)
        })
        .await
    }
}
