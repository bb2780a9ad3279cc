//! Schedules and game days as they were given.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::columns::{Columns, micros, words};
use super::error::{Fault, Nature, nature};
use super::refusal::Refusal;
use super::transaction::Under;
use super::{Store, StoreError};

words! {
    /// What is defined.
    DefinitionKind {
        /// A schedule.
        Schedule = "schedule",
        /// A game day.
        GameDay = "game-day",
    }
}

impl DefinitionKind {
    fn noun(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::GameDay => "game day",
        }
    }
}

/// A schedule or a game day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What it is.
    pub kind: DefinitionKind,
    /// Its name, of which there is one for each kind.
    pub name: String,
    /// The document, letter for letter.
    pub document: String,
    /// The scope of who gave this document: what it does on its own later is bounded by it.
    pub scope: String,
    /// Whether it rests.
    pub suspended: bool,
    /// Grows with each change. Whoever changes it names the one that he has read.
    pub version: i64,
    /// The newest slot that fired.
    pub last_fire: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
}

/// Who gives a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author<'a> {
    /// His name.
    pub name: &'a str,
    /// His scope: what the definition does on its own later is bounded by it.
    pub scope: &'a str,
}

impl Store {
    /// Keeps a new schedule or game day.
    ///
    /// # Errors
    /// [`Refusal::Exists`], or the store's own.
    pub async fn create_definition(
        &self,
        kind: DefinitionKind,
        name: &str,
        document: &str,
        by: Author<'_>,
        now: Timestamp,
    ) -> Result<Definition, StoreError> {
        self.done("keep a definition", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "INSERT INTO definitions (kind, name, document, suspended, version, created_by, created_at, changed_by,
                    changed_at, scope) VALUES ($1, $2, $3, 0, 1, $4, $5, $4, $5, $6) RETURNING *",
            )
            .bind(kind.as_str())
            .bind(name)
            .bind(document)
            .bind(by.name)
            .bind(micros(now))
            .bind(by.scope)
            .fetch_one(work.on())
            .await;
            let made = match row {
                Err(error) if nature(&error) == Nature::Duplicate => {
                    return Err(Refusal::Exists { kind: kind.noun(), name: name.to_owned() }.into());
                }
                row => Definition::read(&row?)?,
            };
            work.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Replaces the document of a definition that has this version.
    ///
    /// # Errors
    /// [`Refusal::Changed`], [`Refusal::Unknown`], or the store's own.
    pub async fn change_definition(
        &self,
        kind: DefinitionKind,
        name: &str,
        version: i64,
        document: &str,
        by: Author<'_>,
        now: Timestamp,
    ) -> Result<Definition, StoreError> {
        self.done("change a definition", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE definitions SET document = $4, version = version + 1, changed_by = $5, changed_at = $6,
                    scope = $7
                 WHERE kind = $1 AND name = $2 AND version = $3 RETURNING *",
            )
            .bind(kind.as_str())
            .bind(name)
            .bind(version)
            .bind(document)
            .bind(by.name)
            .bind(micros(now))
            .bind(by.scope)
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else { return Err(other_version(work.on(), kind, name, version).await) };
            let changed = Definition::read(&row)?;
            work.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Suspends a definition or wakes it up. A slot that was computed before cannot fire afterwards.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn suspend_definition(
        &self,
        kind: DefinitionKind,
        name: &str,
        suspended: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Definition, StoreError> {
        self.done("suspend a definition", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE definitions SET suspended = $3, version = version + 1, changed_by = $4, changed_at = $5
                 WHERE kind = $1 AND name = $2 RETURNING *",
            )
            .bind(kind.as_str())
            .bind(name)
            .bind(i64::from(suspended))
            .bind(by)
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let changed = Definition::read(&row.ok_or_else(|| unknown(kind, name))?)?;
            work.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Removes a definition that has this version. Its slots stay: one of the same name does not fire them again.
    ///
    /// # Errors
    /// [`Refusal::Changed`], [`Refusal::Unknown`], or the store's own.
    pub async fn remove_definition(&self, kind: DefinitionKind, name: &str, version: i64) -> Result<(), StoreError> {
        self.done("remove a definition", || async {
            let mut work = self.begin(Under::Rows).await?;
            let removed = sqlx::query("DELETE FROM definitions WHERE kind = $1 AND name = $2 AND version = $3")
                .bind(kind.as_str())
                .bind(name)
                .bind(version)
                .execute(work.on())
                .await?;
            if removed.rows_affected() == 0 {
                return Err(other_version(work.on(), kind, name, version).await);
            }
            work.commit().await
        })
        .await
    }

    /// The definition of this name.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn definition(&self, kind: DefinitionKind, name: &str) -> Result<Definition, StoreError> {
        self.done("read a definition", || async { read(&mut *self.readers.acquire().await?, kind, name).await }).await
    }

    /// All definitions of a kind, by name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn definitions(&self, kind: DefinitionKind) -> Result<Vec<Definition>, StoreError> {
        self.done("list definitions", || async {
            let rows = sqlx::query("SELECT * FROM definitions WHERE kind = $1")
                .bind(kind.as_str())
                .fetch_all(&self.readers)
                .await?;
            let mut all = rows.iter().map(Definition::read).collect::<Result<Vec<_>, _>>()?;
            all.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(all)
        })
        .await
    }
}

impl Definition {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            kind: row.word("kind")?,
            name: row.text("name")?,
            document: row.text("document")?,
            scope: row.text("scope")?,
            suspended: row.flag("suspended")?,
            version: row.number("version")?,
            last_fire: row.optional_time("last_fire")?,
            created_by: row.text("created_by")?,
            created_at: row.time("created_at")?,
            changed_by: row.text("changed_by")?,
            changed_at: row.time("changed_at")?,
        })
    }
}

fn unknown(kind: DefinitionKind, name: &str) -> Fault {
    Refusal::Unknown { kind: kind.noun(), name: name.to_owned() }.into()
}

async fn read(connection: &mut AnyConnection, kind: DefinitionKind, name: &str) -> Result<Definition, Fault> {
    let row = sqlx::query("SELECT * FROM definitions WHERE kind = $1 AND name = $2")
        .bind(kind.as_str())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Definition::read(&row.ok_or_else(|| unknown(kind, name))?)
}

async fn other_version(connection: &mut AnyConnection, kind: DefinitionKind, name: &str, given: i64) -> Fault {
    match read(connection, kind, name).await {
        Ok(Definition { version: current, .. }) => {
            Refusal::Changed { kind: kind.noun(), name: name.to_owned(), given, current }.into()
        }
        Err(fault) => fault,
    }
}
