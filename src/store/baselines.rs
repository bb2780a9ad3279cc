//! Baselines of the gate, by name.

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::columns::{Columns, micros};
use super::error::Fault;
use super::refusal::Refusal;
use super::transaction::Under;
use super::{Store, StoreError};

/// A baseline as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBaseline {
    /// Grows with each change. Whoever changes it names the one that he has read; 0 where there is none.
    pub version: i64,
    /// The document, letter for letter.
    pub document: String,
}

impl Store {
    /// The baseline of this name, if there is one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn baseline(&self, name: &str) -> Result<Option<KeptBaseline>, StoreError> {
        self.done("read a baseline", || async { read(&mut *self.readers.acquire().await?, name).await }).await
    }

    /// Keeps a baseline in place of the version that was read, 0 of which is none. Its version from now on.
    ///
    /// # Errors
    /// [`Refusal::Changed`], or the store's own.
    pub async fn keep_baseline(
        &self,
        name: &str,
        version: i64,
        document: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        self.done("keep a baseline", || async {
            let mut work = self.begin(Under::Rows).await?;
            let text = if version == 0 {
                "INSERT INTO gate_baselines (name, version, document, changed_by, changed_at)
                 VALUES ($1, $2 + 1, $3, $4, $5) ON CONFLICT (name) DO NOTHING"
            } else {
                "UPDATE gate_baselines SET version = version + 1, document = $3, changed_by = $4, changed_at = $5
                 WHERE name = $1 AND version = $2"
            };
            let kept = sqlx::query(text)
                .bind(name)
                .bind(version)
                .bind(document)
                .bind(by)
                .bind(micros(now))
                .execute(work.on())
                .await?;
            if kept.rows_affected() == 0 {
                let current = read(work.on(), name).await?.map_or(0, |kept| kept.version);
                return Err(
                    Refusal::Changed { kind: "baseline", name: name.to_owned(), given: version, current }.into()
                );
            }
            work.commit().await?;
            Ok(version + 1)
        })
        .await
    }
}

async fn read(connection: &mut AnyConnection, name: &str) -> Result<Option<KeptBaseline>, Fault> {
    let row = sqlx::query("SELECT * FROM gate_baselines WHERE name = $1").bind(name).fetch_optional(connection).await?;
    row.map(|row| Ok(KeptBaseline { version: row.number("version")?, document: row.text("document")? })).transpose()
}
