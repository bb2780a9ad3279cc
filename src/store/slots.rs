//! Slots: the times at which a schedule was to fire. Each is decided once, for ever.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::{Columns, micros, words};
use super::error::Fault;
use super::runs::{self, NewRun, Run};
use super::transaction::{Under, Work};
use super::{Store, StoreError};

words! {
    /// What became of a slot.
    SlotOutcome {
        /// It made a run.
        Fired = "fired",
        /// It did not, and never will.
        Missed = "missed",
    }
}

/// A slot that is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The rule's name: the schedule's own, or that of one of its groups.
    pub schedule: String,
    /// When it was to fire.
    pub slot: Timestamp,
    /// What became of it.
    pub outcome: SlotOutcome,
    /// The run that it made. It may have been pruned since.
    pub run: Option<String>,
    /// Why it was missed.
    pub because: Option<String>,
    /// When that was decided.
    pub recorded_at: Timestamp,
}

/// The occasion of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// The schedule's name.
    pub schedule: &'a str,
    /// Its version, as it was when the slot was computed.
    pub version: i64,
    /// Whose slot it is: the schedule's own, by its name, or that of one of its groups.
    pub rule: &'a str,
    /// When it was to fire.
    pub slot: Timestamp,
}

/// What came of claiming a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotClaim {
    /// The run is made.
    Fired(Box<Run>),
    /// The slot was decided before, by this or another controller.
    Taken,
    /// The schedule is suspended, was removed, or has been changed since the version that was named. The slot stays open.
    Stale,
    /// A run of the schedule is not over yet, and there must be one at a time. The slot stays open.
    Overlaps(String),
}

impl Store {
    /// Fires a slot of a schedule: in one transaction the slot is taken, the run is made, and the schedule's last fire is
    /// recorded; or nothing at all. With `alone`, only if no other run of the schedule is queued or under way.
    ///
    /// # Errors
    /// [`super::Refusal::Halted`], [`super::Refusal::Exists`] if there is a run of this id, or the store's own.
    pub async fn claim_slot(
        &self,
        occasion: &Occasion<'_>,
        alone: bool,
        run: &NewRun,
        now: Timestamp,
    ) -> Result<SlotClaim, StoreError> {
        let Occasion { schedule, version, rule, slot } = *occasion;
        self.done("fire a schedule", || async {
            let mut work = self.begin(Under::RunsShared).await?;
            runs::not_halted(&mut work).await?;
            // Locks the schedule's row: two that fire the same schedule follow each other.
            let changed = sqlx::query(
                "UPDATE definitions SET last_fire = CASE WHEN last_fire > $3 THEN last_fire ELSE $3 END
                 WHERE kind = 'schedule' AND name = $1 AND version = $2 AND suspended = 0",
            )
            .bind(schedule)
            .bind(version)
            .bind(micros(slot))
            .execute(work.on())
            .await?;
            if changed.rows_affected() == 0 {
                return Ok(SlotClaim::Stale);
            }
            if !take(&mut work, rule, slot, Some(&run.id), None, now).await? {
                return Ok(SlotClaim::Taken);
            }
            if alone {
                let other = sqlx::query(
                    "SELECT id FROM runs WHERE origin = 'schedule' AND origin_name = $1
                        AND state NOT IN ('finished', 'cancelled') LIMIT 1",
                )
                .bind(schedule)
                .fetch_optional(work.on())
                .await?;
                if let Some(other) = other {
                    return Ok(SlotClaim::Overlaps(other.text("id")?));
                }
            }
            let made = runs::insert(&mut work, run, now).await?;
            work.commit().await?;
            Ok(SlotClaim::Fired(Box::new(made)))
        })
        .await
    }

    /// Records that a slot of a rule was missed and why; it will never fire. `false` if it was decided before.
    ///
    /// # Errors
    /// The store's own.
    pub async fn record_missed(
        &self,
        schedule: &str,
        slot: Timestamp,
        because: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.done("record a missed slot", || async {
            let mut work = self.begin(Under::Rows).await?;
            let taken = take(&mut work, schedule, slot, None, Some(because), now).await?;
            work.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// The slots of a rule that are decided, the newest first, at most `limit`, before `before` if it is given.
    ///
    /// # Errors
    /// The store's own.
    pub async fn slots(&self, schedule: &str, before: Option<Timestamp>, limit: u32) -> Result<Vec<Slot>, StoreError> {
        self.done("list the slots of a schedule", || async {
            let rows = sqlx::query(
                "SELECT * FROM slots WHERE schedule = $1 AND ($2 IS NULL OR slot < $2) ORDER BY slot DESC LIMIT $3",
            )
            .bind(schedule)
            .bind(before.map(micros))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(Slot::read).collect()
        })
        .await
    }

    /// Forgets slots before this time. They could then fire again: only for times that no schedule looks back to.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune_slots(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.forget("forget old slots", "DELETE FROM slots WHERE slot < $1", before).await
    }
}

impl Slot {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            schedule: row.text("schedule")?,
            slot: row.time("slot")?,
            outcome: row.word("outcome")?,
            run: row.optional_text("run")?,
            because: row.optional_text("because")?,
            recorded_at: row.time("recorded_at")?,
        })
    }
}

/// Decides a slot, if nobody has: the primary key sees to that.
async fn take(
    work: &mut Work,
    schedule: &str,
    slot: Timestamp,
    run: Option<&str>,
    because: Option<&str>,
    now: Timestamp,
) -> Result<bool, Fault> {
    let outcome = if run.is_some() { SlotOutcome::Fired } else { SlotOutcome::Missed };
    let inserted = sqlx::query(
        "INSERT INTO slots (schedule, slot, outcome, run, because, recorded_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (schedule, slot) DO NOTHING",
    )
    .bind(schedule)
    .bind(micros(slot))
    .bind(outcome.as_str())
    .bind(run)
    .bind(because)
    .bind(micros(now))
    .execute(work.on())
    .await?;
    Ok(inserted.rows_affected() == 1)
}
