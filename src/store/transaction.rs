//! How the store is read and written.
//!
//! Everything that decides happens in one transaction that first takes the lock under which it is decided:
//!
//! - SQLite: `BEGIN IMMEDIATE`, so there is one writer at a time in the whole file, and none ever waits for another
//!   while it holds something (which `BEGIN` and a later write would do). Inside a process the writers queue for the one
//!   connection that writes, in the order in which they came; between processes SQLite's busy handler waits.
//! - PostgreSQL: READ COMMITTED and an advisory lock that ends with the transaction. Each statement sees what was
//!   committed before it began, so whatever follows the lock sees all that earlier holders did. Locks are taken in the
//!   order of [`Under`]'s values and a transaction takes one only, so two never wait for each other by them.
//!
//! A transaction that others got in the way of is done again, from its start, at most [`ATTEMPTS`] times with a growing
//! and jittered pause. One whose connection was lost is not: it may have been done.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use faultline_agent::crash_point;
use jiff::Timestamp;
use sqlx::{Any, AnyConnection, Transaction};

use super::columns::micros;
use super::error::{Fault, Nature, nature};
use super::{Kind, Store, StoreError};

/// How often an operation is tried that others get in the way of.
pub const ATTEMPTS: u32 = 8;

/// The lock under which a transaction decides. On SQLite all of them are the one lock of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    /// The rows that it writes; for what one conditional statement decides.
    Rows,
    /// What runs there are, shared with others that only add to them.
    RunsShared,
    /// What runs there are, whether they may start and on which hosts: one at a time.
    Runs,
    /// Whose certificates are good: who has which name.
    Names,
    /// The head of the audit log.
    Audit,
    /// The tables themselves.
    Schema,
}

impl Under {
    /// `0x464c` is `FL`; both numbers together are Faultline's lock in this database.
    fn postgres(self) -> Option<&'static str> {
        match self {
            Self::Rows => None,
            Self::RunsShared => Some("SELECT pg_advisory_xact_lock_shared(17996, 1)"),
            Self::Runs => Some("SELECT pg_advisory_xact_lock(17996, 1)"),
            Self::Names => Some("SELECT pg_advisory_xact_lock(17996, 4)"),
            Self::Audit => Some("SELECT pg_advisory_xact_lock(17996, 2)"),
            Self::Schema => Some("SELECT pg_advisory_xact_lock(17996, 3)"),
        }
    }
}

/// An open transaction. Dropped without [`Work::commit`], it is undone.
pub(super) struct Work {
    transaction: Transaction<'static, Any>,
}

impl Work {
    pub(super) fn on(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    pub(super) async fn commit(self) -> Result<(), Fault> {
        Ok(self.transaction.commit().await?)
    }

    /// Commits what becomes of a run, in one word: its new state, as a rule.
    pub(super) async fn commit_transition(self, to: &str) -> Result<(), Fault> {
        crash_point!("store/{to}/uncommitted");
        self.commit().await?;
        crash_point!("store/{to}/committed");
        Ok(())
    }
}

impl Store {
    pub(super) async fn begin(&self, under: Under) -> Result<Work, Fault> {
        let transaction = match self.kind {
            Kind::Sqlite => self.writers.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => {
                let mut transaction = self.writers.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
                if let Some(lock) = under.postgres() {
                    sqlx::query(lock).execute(&mut *transaction).await?;
                }
                transaction
            }
        };
        Ok(Work { transaction })
    }

    /// Deletes the rows that a statement names by a time before which they are of no use; how many they were.
    pub(super) async fn forget(
        &self,
        doing: &'static str,
        statement: &'static str,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        self.done(doing, || async {
            let mut work = self.begin(Under::Rows).await?;
            let removed = sqlx::query(statement).bind(micros(before)).execute(work.on()).await?;
            work.commit().await?;
            Ok(removed.rows_affected())
        })
        .await
    }

    /// Does an operation, again if others got in its way.
    pub(super) async fn done<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        doing: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let mut attempts = 1;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(Fault::Sql(error)) if nature(&error) == Nature::Contended && attempts < ATTEMPTS => {
                    tokio::time::sleep(pause(attempts)).await;
                    attempts += 1;
                }
                Err(fault) => return Err(self.explained(doing, attempts, fault)),
            }
        }
    }

    fn explained(&self, doing: &'static str, attempts: u32, fault: Fault) -> StoreError {
        let store = self.address.to_string();
        match fault {
            Fault::Refused(refusal) => StoreError::Refused(refusal),
            Fault::Foreign { column, value } => StoreError::Foreign { store, doing, column, value },
            Fault::Sql(source) => match nature(&source) {
                Nature::Contended => StoreError::Busy { store, doing, attempts, source },
                Nature::Lost => StoreError::Unreachable { store, doing, source },
                Nature::Duplicate | Nature::Other => StoreError::Failed { store, doing, source },
            },
        }
    }
}

/// From 5 ms, doubling up to 320 ms; of that a random half to whole, so that those who met do not meet again.
fn pause(attempts: u32) -> Duration {
    let whole = 5_000_u64 << attempts.min(6);
    let random = RandomState::new().hash_one(attempts);
    Duration::from_micros(whole / 2 + random % (whole / 2))
}
