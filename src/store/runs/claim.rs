//! How a run gets a controller: claimed from the queue, or taken over from a controller that is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::choose::{Held, Hosts};
use super::submit::not_halted;
use super::{Run, RunState};
use crate::store::columns::{Columns, after, micros};
use crate::store::error::Fault;
use crate::store::refusal::Refusal;
use crate::store::transaction::{Under, Work};
use crate::store::{Store, StoreError};

/// How many queued runs are looked at together.
const PAGE: i64 = 50;

/// Which runs a controller takes from the queue.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Whether a host is connected to it.
    pub host: &'a (dyn Fn(&str) -> bool + Sync),
    /// Runs that it takes although not all of their hosts are.
    pub all_the_same: &'a BTreeSet<String>,
}

impl std::fmt::Debug for Reach<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reach").field("all_the_same", &self.all_the_same).finish_non_exhaustive()
    }
}

impl Reach<'_> {
    fn covers(&self, run: &str, hosts: &[String]) -> bool {
        hosts.iter().all(|host| (self.host)(host)) || self.all_the_same.contains(run)
    }
}

/// What the queue had for a controller.
#[derive(Debug, Default)]
pub struct Claim {
    /// The run that is its own now.
    pub run: Option<Run>,
    /// Runs that could start, and were left in the queue because it cannot reach all of their hosts; each with these.
    pub out_of_reach: Vec<(String, Vec<String>)>,
}

impl Store {
    /// Claims the oldest queued run that may start now, wherever its hosts are connected: see
    /// [`claim_within`](Self::claim_within).
    ///
    /// # Errors
    /// As [`claim_within`](Self::claim_within).
    pub async fn claim_next(
        &self,
        controller: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        let everything = Reach { host: &|_| true, all_the_same: &BTreeSet::new() };
        Ok(self.claim_within(controller, everything, lease, now).await?.run)
    }

    /// Claims the oldest queued run that may start now and whose hosts are within reach, for this controller until
    /// `now + lease`: marks it claimed, raises its epoch and locks its hosts, all in one transaction.
    ///
    /// A run waits for its time, for its hosts, and behind older ones that wait for one of its hosts, be it for a
    /// controller that reaches them.
    ///
    /// # Errors
    /// [`Refusal::Halted`], or the store's own. After [`StoreError::Unreachable`] a run may have been claimed:
    /// [`Store::reclaim`] finds it.
    pub async fn claim_within(
        &self,
        controller: &str,
        reach: Reach<'_>,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        self.done("claim a run", || async {
            let mut work = self.begin(Under::Runs).await?;
            not_halted(&mut work).await?;
            let mut out_of_reach = Vec::new();
            let chosen = choose(&mut work, reach, &mut out_of_reach, now).await?;
            let Some((id, hosts)) = chosen else { return Ok(Claim { run: None, out_of_reach }) };
            let row = sqlx::query(
                "UPDATE runs SET state = 'claimed', controller = $2, epoch = epoch + 1, lease_until = $3,
                    started_at = $4
                 WHERE id = $1 AND state = 'queued' RETURNING *",
            )
            .bind(id.as_str())
            .bind(controller)
            .bind(after(now, lease))
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            // Cancelled since it was chosen, which needs no lock: another is found at the next call.
            let Some(row) = row else { return Ok(Claim { run: None, out_of_reach }) };
            let run = Run::read(&row)?;
            for host in &hosts {
                lock(&mut work, &run, host, now).await?;
            }
            work.commit_transition(run.state.as_str()).await?;
            Ok(Claim { run: Some(run), out_of_reach })
        })
        .await
    }

    /// Runs whose controller's lease has run out, the longest first. Each may be taken over.
    ///
    /// # Errors
    /// The store's own.
    pub async fn orphaned(&self, now: Timestamp) -> Result<Vec<Run>, StoreError> {
        self.done("look for runs without a controller", || async {
            let rows = sqlx::query(
                "SELECT * FROM runs WHERE state IN ('claimed', 'running', 'closing') AND lease_until <= $1
                 ORDER BY lease_until, id",
            )
            .bind(micros(now))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(Run::read).collect()
        })
        .await
    }

    /// Takes over a run as it was found by [`Store::orphaned`]: this controller has it from now on, with a greater epoch.
    /// `None` if another was faster or its controller is back. Also while the fleet is halted, since its faults must be
    /// undone.
    ///
    /// # Errors
    /// The store's own.
    pub async fn take_over(
        &self,
        orphan: &Run,
        controller: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        self.done("take over a run", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE runs SET controller = $3, epoch = epoch + 1, lease_until = $4
                 WHERE id = $1 AND epoch = $2 AND state IN ('claimed', 'running', 'closing') AND lease_until <= $5
                 RETURNING *",
            )
            .bind(orphan.id.as_str())
            .bind(orphan.epoch)
            .bind(controller)
            .bind(after(now, lease))
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let run = row.as_ref().map(Run::read).transpose()?;
            work.commit_transition("taken-over").await?;
            Ok(run)
        })
        .await
    }

    /// Takes all runs again that a controller of this id had before it was restarted, without waiting for their leases.
    /// Their epochs grow: if the former process lives after all, it cannot write any more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn reclaim(&self, controller: &str, lease: Duration, now: Timestamp) -> Result<Vec<Run>, StoreError> {
        self.done("take up the runs from before the restart", || async {
            let mut work = self.begin(Under::Rows).await?;
            let rows = sqlx::query(
                "UPDATE runs SET epoch = epoch + 1, lease_until = $2
                 WHERE controller = $1 AND state IN ('claimed', 'running', 'closing') RETURNING *",
            )
            .bind(controller)
            .bind(after(now, lease))
            .fetch_all(work.on())
            .await?;
            let runs: Vec<Run> = rows.iter().map(Run::read).collect::<Result<_, _>>()?;
            if runs.is_empty() {
                work.commit().await?;
            } else {
                work.commit_transition("taken-up").await?;
            }
            Ok(runs)
        })
        .await
    }

    /// Locks further hosts for a run that is under way: all of them or none.
    ///
    /// # Errors
    /// [`Refusal::HostLocked`], [`Refusal::TakenOver`], [`Refusal::State`], [`Refusal::Unknown`], or the store's own.
    pub async fn lock_hosts(&self, run: &str, epoch: i64, hosts: &[String], now: Timestamp) -> Result<(), StoreError> {
        self.done("lock hosts", || async {
            let mut work = self.begin(Under::Runs).await?;
            let run = super::own::owned(&mut work, run, epoch, RunState::Running).await?;
            for host in hosts {
                lock(&mut work, &run, host, now).await?;
            }
            work.commit().await
        })
        .await
    }
}

/// The oldest run that may start and is within reach, with its hosts; notes those that are not.
async fn choose(
    work: &mut Work,
    reach: Reach<'_>,
    out_of_reach: &mut Vec<(String, Vec<String>)>,
    now: Timestamp,
) -> Result<Option<(String, Vec<String>)>, Fault> {
    let mut held = Hosts::default();
    for row in sqlx::query("SELECT host, shared FROM host_locks").fetch_all(work.on()).await? {
        held.hold(row.text("host")?, Held::by(row.flag("shared")?));
    }
    let (mut time, mut id) = (i64::MIN, String::new());
    loop {
        let rows = sqlx::query(
            "SELECT r.id, r.submitted_at, r.shared_hosts, h.host
             FROM (SELECT id, submitted_at, shared_hosts FROM runs
                   WHERE state = 'queued' AND (not_before IS NULL OR not_before <= $1)
                     AND (deadline IS NULL OR deadline > $1)
                     AND (submitted_at > $2 OR (submitted_at = $2 AND id > $3))
                   ORDER BY submitted_at, id LIMIT $4) r
             LEFT JOIN run_hosts h ON h.run = r.id
             ORDER BY r.submitted_at, r.id",
        )
        .bind(micros(now))
        .bind(time)
        .bind(id.as_str())
        .bind(PAGE)
        .fetch_all(work.on())
        .await?;
        let mut rows = rows.iter().peekable();
        if rows.peek().is_none() {
            return Ok(None);
        }
        while let Some(row) = rows.next() {
            (time, id) = (row.number("submitted_at")?, row.text("id")?);
            let how = Held::by(row.flag("shared_hosts")?);
            let mut hosts: Vec<String> = row.optional_text("host")?.into_iter().collect();
            while let Some(next) = rows.peek()
                && next.text("id")? == id
            {
                hosts.extend(next.optional_text("host")?);
                rows.next();
            }
            if !held.admit(&hosts, how) {
                continue;
            }
            if reach.covers(&id, &hosts) {
                return Ok(Some((id, hosts)));
            }
            hosts.iter().for_each(|host| held.hold(host.clone(), how));
            out_of_reach.push((id.clone(), hosts));
        }
    }
}

/// Locks a host for a run. The transaction must hold the lock of the runs.
async fn lock(work: &mut Work, run: &Run, host: &str, now: Timestamp) -> Result<(), Fault> {
    let other =
        sqlx::query("SELECT run FROM host_locks WHERE host = $1 AND run <> $2 AND (shared = 0 OR $3 = 0) LIMIT 1")
            .bind(host)
            .bind(run.id.as_str())
            .bind(i64::from(run.shared_hosts))
            .fetch_optional(work.on())
            .await?;
    if let Some(other) = other {
        return Err(Refusal::HostLocked { host: host.to_owned(), by: other.text("run")? }.into());
    }
    sqlx::query(
        "INSERT INTO host_locks (host, run, shared, since) VALUES ($1, $2, $3, $4) ON CONFLICT (host, run) DO NOTHING",
    )
    .bind(host)
    .bind(run.id.as_str())
    .bind(i64::from(run.shared_hosts))
    .bind(micros(now))
    .execute(work.on())
    .await?;
    Ok(())
}
