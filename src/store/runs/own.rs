//! What the driver of a run writes. Everything here names the run's epoch and is refused if it has grown.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::submit::{required, wrong_state};
use super::{Run, RunState};
use crate::store::columns::{Columns, after, micros};
use crate::store::error::Fault;
use crate::store::refusal::Refusal;
use crate::store::transaction::{Under, Work};
use crate::store::unclean::leave;
use crate::store::{Leftovers, Store, StoreError};

/// A run that a controller has, as its renewal left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which run.
    pub run: String,
    /// Its epoch. If it is not the one that its driver knows, the run was taken over and taken back by a restart: the
    /// driver must end.
    pub epoch: i64,
    /// That it is to be ended, and why.
    pub stop_requested: Option<String>,
}

impl Store {
    /// Prolongs the leases of all runs that this controller has, to `now + lease`, and says which these are. A run that is
    /// missing from the answer has been taken over: its driver must stop at once, without undoing.
    ///
    /// # Errors
    /// The store's own. A driver whose lease could not be renewed stops before it runs out.
    pub async fn renew_runs(
        &self,
        controller: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Lease>, StoreError> {
        self.done("renew the leases of runs", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query(
                "UPDATE runs SET lease_until = $2
                 WHERE controller = $1 AND state IN ('claimed', 'running', 'closing')
                 RETURNING id, epoch, stop_requested",
            )
            .bind(controller)
            .bind(after(now, lease))
            .fetch_all(work.on())
            .await?;
            let mut leases = Vec::with_capacity(rows.len());
            for row in &rows {
                let stop_requested = row.optional_text("stop_requested")?;
                leases.push(Lease { run: row.text("id")?, epoch: row.number("epoch")?, stop_requested });
            }
            work.commit().await?;
            leases.sort_by(|one, other| one.run.cmp(&other.run));
            Ok(leases)
        })
        .await
    }

    /// Records that a run has become `running` or `closing`. Recording the same twice does nothing.
    ///
    /// # Errors
    /// [`Refusal::TakenOver`], [`Refusal::State`] for a step back or any other state, [`Refusal::Unknown`], or the
    /// store's own.
    pub async fn record_state(&self, run: &str, epoch: i64, state: RunState) -> Result<Run, StoreError> {
        self.done("record the state of a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            let found = owned(&mut work, run, epoch, state).await?;
            if !state.comes_from().contains(&found.state) {
                return Err(wrong_state(&found, state));
            }
            let row = sqlx::query("UPDATE runs SET state = $2 WHERE id = $1 RETURNING *")
                .bind(run)
                .bind(state.as_str())
                .fetch_one(work.on())
                .await?;
            let changed = Run::read(&row)?;
            work.commit_transition(state.as_str()).await?;
            Ok(changed)
        })
        .await
    }

    /// Finishes a run that left nothing on its hosts: see [`finish_leaving`](Self::finish_leaving).
    ///
    /// # Errors
    /// As [`finish_leaving`](Self::finish_leaving).
    pub async fn finish(
        &self,
        run: &str,
        epoch: i64,
        verdict: &str,
        because: &str,
        now: Timestamp,
    ) -> Result<Run, StoreError> {
        self.finish_leaving(run, epoch, verdict, because, &Leftovers::NOTHING, now).await
    }

    /// Finishes a run with its verdict, gives back its hosts, and names those on which it may have left something, in one
    /// transaction.
    ///
    /// # Errors
    /// [`Refusal::TakenOver`], [`Refusal::State`] if it is over already, [`Refusal::Unknown`], or the store's own.
    pub async fn finish_leaving(
        &self,
        run: &str,
        epoch: i64,
        verdict: &str,
        because: &str,
        left: &Leftovers,
        now: Timestamp,
    ) -> Result<Run, StoreError> {
        self.done("finish a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            owned(&mut work, run, epoch, RunState::Finished).await?;
            let row = sqlx::query(
                "UPDATE runs SET state = 'finished', verdict = $2, because = $3, finished_at = $4, lease_until = NULL
                 WHERE id = $1 RETURNING *",
            )
            .bind(run)
            .bind(verdict)
            .bind(because)
            .bind(micros(now))
            .fetch_one(work.on())
            .await?;
            leave(&mut work, run, left, now).await?;
            unlock(&mut work, run).await?;
            let finished = Run::read(&row)?;
            work.commit_transition(finished.state.as_str()).await?;
            Ok(finished)
        })
        .await
    }

    /// Gives back the hosts of a run before it is finished: its faults are undone, and what is left is the verdict.
    ///
    /// # Errors
    /// [`Refusal::TakenOver`], [`Refusal::State`] if it is over, [`Refusal::Unknown`], or the store's own.
    pub async fn release_locks(&self, run: &str, epoch: i64) -> Result<(), StoreError> {
        self.done("release the hosts of a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            owned(&mut work, run, epoch, RunState::Closing).await?;
            unlock(&mut work, run).await?;
            work.commit().await
        })
        .await
    }

    /// Asks the controller of a run to end it. It learns that at its next renewal. The first reason stays.
    ///
    /// # Errors
    /// [`Refusal::State`] if no controller has the run, [`Refusal::Unknown`], or the store's own.
    pub async fn request_stop(&self, run: &str, because: &str) -> Result<Run, StoreError> {
        self.done("ask for the end of a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE runs SET stop_requested = COALESCE(stop_requested, $2)
                 WHERE id = $1 AND state IN ('claimed', 'running', 'closing') RETURNING *",
            )
            .bind(run)
            .bind(because)
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else {
                return Err(wrong_state(&required(work.on(), run).await?, RunState::Closing));
            };
            let run = Run::read(&row)?;
            work.commit_transition("stop-requested").await?;
            Ok(run)
        })
        .await
    }
}

/// The run, if this epoch is still its own and a controller has it. On PostgreSQL its row is locked until the transaction
/// ends, so that nobody takes it over in between.
pub(super) async fn owned(work: &mut Work, run: &str, epoch: i64, wanted: RunState) -> Result<Run, Fault> {
    // An UPDATE locks the row in both stores; SELECT … FOR UPDATE is not known to SQLite.
    let row = sqlx::query("UPDATE runs SET epoch = epoch WHERE id = $1 RETURNING *")
        .bind(run)
        .fetch_optional(work.on())
        .await?;
    let Some(row) = row else {
        return Err(Refusal::Unknown { kind: "run", name: run.to_owned() }.into());
    };
    let found = Run::read(&row)?;
    if found.epoch != epoch {
        let (run, current, by) = (found.id, found.epoch, found.controller.unwrap_or_default());
        return Err(Refusal::TakenOver { run, given: epoch, current, by }.into());
    }
    if !found.state.is_owned() {
        return Err(wrong_state(&found, wanted));
    }
    Ok(found)
}

async fn unlock(work: &mut Work, run: &str) -> Result<(), Fault> {
    sqlx::query("DELETE FROM host_locks WHERE run = $1").bind(run).execute(work.on()).await?;
    Ok(())
}
