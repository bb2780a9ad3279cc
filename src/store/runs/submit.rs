//! Asking for a run, approving it, cancelling it before it starts.

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::{NewRun, Origin, Run, RunState};
use crate::store::columns::{Columns, json, micros};
use crate::store::error::{Fault, Nature, nature};
use crate::store::refusal::Refusal;
use crate::store::transaction::{Under, Work};
use crate::store::{Approval, Store, StoreError};
use crate::store::{approvals, halt};

impl Store {
    /// Takes a run: queued, or waiting for approvals if it needs any.
    ///
    /// # Errors
    /// [`Refusal::Halted`]; [`Refusal::Exists`] if there is a run of this id, so after [`StoreError::Unreachable`] the same
    /// can be asked again; or the store's own.
    pub async fn submit(&self, run: &NewRun, now: Timestamp) -> Result<Run, StoreError> {
        self.done("submit a run", || async {
            let mut work = self.begin(Under::RunsShared).await?;
            not_halted(&mut work).await?;
            let made = insert(&mut work, run, now).await?;
            work.commit_transition(made.state.as_str()).await?;
            Ok(made)
        })
        .await
    }

    /// Keeps an approval of a run that waits for approvals, and queues the run if it has enough by then: of the hash of its
    /// plan, not expired, by different people who are not the one who asked for it. Approving again renews the approval; it
    /// counts once.
    ///
    /// # Errors
    /// [`Refusal::Halted`], [`Refusal::State`], [`Refusal::Unknown`], or the store's own; nothing is kept then.
    pub async fn approve_run(&self, run: &str, given: &Approval, now: Timestamp) -> Result<Run, StoreError> {
        self.done("approve a run", || async {
            let mut work = self.begin(Under::Runs).await?;
            not_halted(&mut work).await?;
            let found = required(work.on(), run).await?;
            if found.state != RunState::WaitingForApproval {
                return Err(wrong_state(&found, RunState::Queued));
            }
            approvals::keep(&mut work, given).await?;
            let row = sqlx::query(
                "SELECT COUNT(*) AS given FROM approvals
                 WHERE object = $1 AND plan_hash = $2 AND expires_at > $3 AND approver <> $4",
            )
            .bind(given.object.as_str())
            .bind(found.plan_hash.as_str())
            .bind(micros(now))
            .bind(found.requested_by.as_str())
            .fetch_one(work.on())
            .await?;
            if row.count("given")? < found.approvals_needed {
                work.commit_transition("approved").await?;
                return Ok(found);
            }
            let row = sqlx::query(
                "UPDATE runs SET state = 'queued' WHERE id = $1 AND state = 'waiting-for-approval' RETURNING *",
            )
            .bind(run)
            .fetch_optional(work.on())
            .await?;
            // Cancelled meanwhile, which needs no lock.
            let Some(row) = row else { return Err(wrong_state(&required(work.on(), run).await?, RunState::Queued)) };
            let queued = Run::read(&row)?;
            work.commit_transition("approved").await?;
            Ok(queued)
        })
        .await
    }

    /// Cancels a run that has not been claimed.
    ///
    /// # Errors
    /// [`Refusal::State`] if it was claimed or is over: [`Store::request_stop`] is for the former. [`Refusal::Unknown`], or
    /// the store's own.
    pub async fn cancel(&self, run: &str, because: &str, now: Timestamp) -> Result<Run, StoreError> {
        self.done("cancel a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE runs SET state = 'cancelled', because = $2, finished_at = $3
                 WHERE id = $1 AND state IN ('queued', 'waiting-for-approval') RETURNING *",
            )
            .bind(run)
            .bind(because)
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else {
                return Err(wrong_state(&required(work.on(), run).await?, RunState::Cancelled));
            };
            let cancelled = Run::read(&row)?;
            work.commit_transition(cancelled.state.as_str()).await?;
            Ok(cancelled)
        })
        .await
    }

    /// Cancels all runs that nobody claimed before their deadline, and says which.
    ///
    /// # Errors
    /// The store's own.
    pub async fn expire_runs(&self, now: Timestamp) -> Result<Vec<Run>, StoreError> {
        self.done("cancel runs past their deadline", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query(
                "UPDATE runs SET state = 'cancelled', because = 'its deadline passed before it could start',
                    finished_at = $1
                 WHERE state IN ('queued', 'waiting-for-approval') AND deadline <= $1 RETURNING *",
            )
            .bind(micros(now))
            .fetch_all(work.on())
            .await?;
            let cancelled = rows.iter().map(Run::read).collect::<Result<_, _>>()?;
            work.commit().await?;
            Ok(cancelled)
        })
        .await
    }
}

/// Refuses while the fleet is halted. The transaction must hold the lock of the runs, at least shared.
pub(in crate::store) async fn not_halted(work: &mut Work) -> Result<(), Fault> {
    match halt::read(work.on()).await? {
        Some(halt) => Err(Refusal::Halted(halt).into()),
        None => Ok(()),
    }
}

/// The run, which must exist.
pub(super) async fn required(connection: &mut AnyConnection, run: &str) -> Result<Run, Fault> {
    let row = sqlx::query("SELECT * FROM runs WHERE id = $1").bind(run).fetch_optional(connection).await?;
    match row {
        Some(row) => Run::read(&row),
        None => Err(Refusal::Unknown { kind: "run", name: run.to_owned() }.into()),
    }
}

pub(super) fn wrong_state(run: &Run, wanted: RunState) -> Fault {
    Refusal::State { run: run.id.clone(), is: run.state, wanted }.into()
}

/// Writes the run with its documents and hosts.
pub(in crate::store) async fn insert(work: &mut Work, run: &NewRun, now: Timestamp) -> Result<Run, Fault> {
    let (origin, name, part) = match &run.origin {
        Origin::Api => ("api", None, None),
        Origin::Schedule { name, slot } => ("schedule", Some(name.as_str()), Some(micros(*slot).to_string())),
        Origin::GameDay { name, step } => ("game-day", Some(name.as_str()), Some(step.clone())),
    };
    let state = if run.approvals_needed > 0 { RunState::WaitingForApproval } else { RunState::Queued };
    let row = sqlx::query(
        "INSERT INTO runs (id, experiment, labels, seed, plan_hash, requested_by, origin, origin_name, origin_part,
            shared_hosts, approvals_needed, state, submitted_at, not_before, deadline, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0) RETURNING *",
    )
    .bind(run.id.as_str())
    .bind(run.experiment.as_str())
    .bind(json(&run.labels)?)
    .bind(run.seed.cast_signed())
    .bind(run.plan_hash.as_str())
    .bind(run.requested_by.as_str())
    .bind(origin)
    .bind(name)
    .bind(part)
    .bind(i64::from(run.shared_hosts))
    .bind(i64::from(run.approvals_needed))
    .bind(state.as_str())
    .bind(micros(now))
    .bind(run.not_before.map(micros))
    .bind(run.deadline.map(micros))
    .fetch_one(work.on())
    .await;
    let row = match row {
        Err(error) if nature(&error) == Nature::Duplicate => {
            return Err(Refusal::Exists { kind: "run", name: run.id.clone() }.into());
        }
        row => row?,
    };
    sqlx::query("INSERT INTO run_documents (run, document, plan) VALUES ($1, $2, $3)")
        .bind(run.id.as_str())
        .bind(run.document.as_str())
        .bind(run.plan.as_str())
        .execute(work.on())
        .await?;
    for host in &run.hosts {
        sqlx::query("INSERT INTO run_hosts (run, host) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(run.id.as_str())
            .bind(host.as_str())
            .execute(work.on())
            .await?;
    }
    Run::read(&row)
}
