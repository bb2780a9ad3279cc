//! The audit log in the store: the chain of [`crate::audit`], and beside it one row that holds its head.
//!
//! What [`Store::verify_audit`] finds: a record that was changed, removed, inserted, moved, or added behind the head; and
//! records that were removed from the end, because the head's row says that there were more. What it cannot find by
//! itself: that somebody who can write the store has cut off the end *and* set the head back, or has made the whole
//! chain anew. For that, keep [`Store::audit_head`] elsewhere from time to time, and have it verified with that.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::columns::{Columns, micros};
use super::error::Fault;
use super::refusal::Refusal;
use super::transaction::{Under, Work};
use super::{Store, StoreError};
use crate::audit::{Broken, Deed, Fault as BrokenHow, Head, Record, Verifier};

/// How many records are read together.
const PAGE: i64 = 1_000;

/// Which records are listed: those for which everything that is given holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// On this object.
    pub object: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this record: the smallest number of the page before.
    pub before: Option<u64>,
}

impl Store {
    /// Appends a record. What must not go unrecorded is appended before it is done, and its outcome after.
    ///
    /// # Errors
    /// The store's own.
    pub async fn append_audit(&self, deed: &Deed, now: Timestamp) -> Result<Record, StoreError> {
        self.done("write the audit log", || async {
            let mut work = self.begin(Under::Audit).await?;
            let record = append(&mut work, deed, now).await?;
            work.commit().await?;
            Ok(record)
        })
        .await
    }

    /// Where the log ends: to be printed and kept elsewhere.
    ///
    /// # Errors
    /// The store's own.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        self.done("read the head of the audit log", || async { head(&mut *self.readers.acquire().await?).await }).await
    }

    /// Records, the newest first, at most `limit`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.done("list the audit log", || async {
            let rows = sqlx::query(
                "SELECT * FROM audit
                 WHERE ($1 IS NULL OR actor = $1) AND ($2 IS NULL OR action = $2) AND ($3 IS NULL OR object = $3)
                   AND ($4 IS NULL OR recorded_at >= $4) AND ($5 IS NULL OR sequence < $5)
                   AND ($6 IS NULL OR outcome = $6)
                 ORDER BY sequence DESC LIMIT $7",
            )
            .bind(filter.actor.as_deref())
            .bind(filter.action.as_deref())
            .bind(filter.object.as_deref())
            .bind(filter.since.map(micros))
            .bind(filter.before.map(stored))
            .bind(filter.outcome.as_deref())
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(record).collect()
        })
        .await
    }

    /// Follows the whole chain up to its head. With `kept`, a head that was kept elsewhere, also that it contains that.
    ///
    /// # Errors
    /// [`Refusal::Audit`] where it was tampered with, or the store's own.
    pub async fn verify_audit(&self, kept: Option<Head>) -> Result<Head, StoreError> {
        self.done("verify the audit log", || async {
            // Read first: what is appended meanwhile lies behind it, and is followed too.
            let head = head(&mut *self.readers.acquire().await?).await?;
            let mut verifier = Verifier::default().must_contain(head);
            if let Some(kept) = kept {
                verifier = verifier.must_contain(kept);
            }
            let mut from = i64::MIN;
            loop {
                let rows = sqlx::query("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                    .bind(from)
                    .bind(PAGE)
                    .fetch_all(&self.readers)
                    .await?;
                let Some(last) = rows.last() else { break };
                from = last.number("sequence")?;
                for row in &rows {
                    verifier.push(&record(row)?).map_err(Refusal::Audit)?;
                }
            }
            let end = verifier.finish().map_err(Refusal::Audit)?;
            // Read again: a record and the head that names it become visible together, so none lies behind this one.
            if end.sequence > self::head(&mut *self.readers.acquire().await?).await?.sequence {
                return Err(Refusal::Audit(Broken { sequence: end.sequence, why: BrokenHow::Added }).into());
            }
            Ok(end)
        })
        .await
    }
}

/// Appends a record. The transaction must hold the lock of the audit log.
pub(super) async fn append(work: &mut Work, deed: &Deed, now: Timestamp) -> Result<Record, Fault> {
    let head = head(work.on()).await?;
    let record = Record::following(&head, now, storable(deed));
    let Deed { actor, action, object, outcome, details } = &record.deed;
    sqlx::query(
        "INSERT INTO audit (sequence, recorded_at, actor, action, object, outcome, details, previous, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(stored(record.sequence))
    .bind(micros(record.at))
    .bind(actor.as_str())
    .bind(action.as_str())
    .bind(object.as_str())
    .bind(outcome.as_str())
    .bind(details.as_str())
    .bind(record.previous.to_string())
    .bind(record.hash.to_string())
    .execute(work.on())
    .await?;
    sqlx::query("UPDATE audit_head SET sequence = $1, hash = $2")
        .bind(stored(record.sequence))
        .bind(record.hash.to_string())
        .execute(work.on())
        .await?;
    Ok(record)
}

async fn head(connection: &mut AnyConnection) -> Result<Head, Fault> {
    let row = sqlx::query("SELECT * FROM audit_head").fetch_optional(connection).await?;
    // Without its row nothing could be appended and nothing be said of the end.
    let row = row.ok_or(Refusal::Audit(Broken { sequence: 0, why: BrokenHow::CutOff }))?;
    Ok(Head { sequence: number(&row, "sequence")?, hash: row.word("hash")? })
}

fn record(row: &AnyRow) -> Result<Record, Fault> {
    Ok(Record {
        sequence: number(row, "sequence")?,
        at: row.time("recorded_at")?,
        deed: Deed {
            actor: row.text("actor")?,
            action: row.text("action")?,
            object: row.text("object")?,
            outcome: row.text("outcome")?,
            details: row.text("details")?,
        },
        previous: row.word("previous")?,
        hash: row.word("hash")?,
    })
}

fn number(row: &AnyRow, column: &'static str) -> Result<u64, Fault> {
    let number = row.number(column)?;
    u64::try_from(number).map_err(|_| Fault::Foreign { column, value: number.to_string() })
}

fn stored(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// PostgreSQL keeps no NUL in a text. Nobody must be able to stay out of the log by putting one into his name.
fn storable(deed: &Deed) -> Deed {
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    Deed {
        actor: clean(&deed.actor),
        action: clean(&deed.action),
        object: clean(&deed.object),
        outcome: clean(&deed.outcome),
        details: clean(&deed.details),
    }
}
