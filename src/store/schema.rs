//! The tables, as numbered steps that are never changed once released: a change is a new step.
//!
//! One text serves both stores: only TEXT and BIGINT, no defaults that a store computes, no times but as numbers.

use super::columns::{Columns, micros};
use super::error::Fault;
use super::transaction::Under;
use super::{Kind, Store, StoreError};
use jiff::Timestamp;

/// The steps in their order; the first makes version 1.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
];

/// The version of the tables that this Faultline works with.
pub const VERSION: i64 = STEPS.len() as i64;

impl Store {
    /// Brings the tables to the present version. Several controllers may do this at once: the first does it, the others
    /// wait and find it done.
    pub(super) async fn migrate(&self, now: Timestamp) -> Result<(), StoreError> {
        let found = self.done("make the tables", || self.migrate_once(STEPS, now)).await?;
        if found > VERSION {
            return Err(StoreError::Newer { store: self.address.to_string(), found, known: VERSION });
        }
        Ok(())
    }

    /// The version that the tables have after it, which is newer than `steps` if a newer Faultline made them.
    pub(super) async fn migrate_once(&self, steps: &'static [&'static str], now: Timestamp) -> Result<i64, Fault> {
        let mut work = self.begin(Under::Schema).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS faultline_schema (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)",
        )
        .execute(work.on())
        .await?;
        let row = sqlx::query("SELECT MAX(version) AS version FROM faultline_schema").fetch_one(work.on()).await?;
        let mut version = row.optional_number("version")?.unwrap_or(0);
        for step in steps.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
            sqlx::raw_sql(*step).execute(work.on()).await?;
            version += 1;
            sqlx::query("INSERT INTO faultline_schema (version, applied_at) VALUES ($1, $2)")
                .bind(version)
                .bind(micros(now))
                .execute(work.on())
                .await?;
        }
        work.commit().await?;
        Ok(version)
    }

    /// The time by which controllers that share a store compare leases: the database's own clock, read now. For SQLite
    /// it is this host's, which all of its controllers share anyway.
    ///
    /// Every `now` of this room must come from here as soon as several controllers share a PostgreSQL: leases would
    /// otherwise end early or late by the difference of their hosts' clocks. It is taken before the operation that it is
    /// passed to, so it lags by the way there: for whoever holds a lease, that ends it early; for whoever wants it, it
    /// seems to end late. Both are safe. A holder measures the rest of its lease on its own monotonic clock, from before
    /// this was called.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.kind == Kind::Sqlite {
            return Ok(Timestamp::now());
        }
        self.done("read the clock", || async {
            let text = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT AS now";
            sqlx::query(text).fetch_one(&self.readers).await?.time("now")
        })
        .await
    }

    /// The database, its version, and what is set there that decides whether a commit survives a power cut: for
    /// `faultline doctor` and the log.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn describe(&self) -> Result<String, StoreError> {
        let text = match self.kind {
            Kind::Sqlite => "SELECT 'SQLite ' || sqlite_version() AS words",
            Kind::Postgres => {
                "SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
                    || ', synchronous_commit ' || current_setting('synchronous_commit') AS words"
            }
        };
        self.done("ask for its version", || async { sqlx::query(text).fetch_one(&self.readers).await?.text("words") })
            .await
    }
}
