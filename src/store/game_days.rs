//! Game days of a fleet: each a journal of which every entry has its number, and the plans that are approved with it.
//!
//! What a game day is and may do is decided from its journal alone ([`crate::game_day::machine`]). Whoever has read
//! `entries` of them appends the next under exactly that number; if somebody else was faster, he is refused, reads what
//! came, and decides again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::columns::{Columns, after, json, micros};
use super::error::{Fault, Nature, Refusal, nature};
use super::runs::{NewRun, insert, not_halted};
use super::transaction::{Under, Work};
use super::{Store, StoreError};

const KIND: &str = "game day";

/// A game day to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGameDay {
    /// Its id: unique for ever.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The document's labels.
    pub labels: BTreeMap<String, String>,
    /// The document, letter for letter, with the experiments that came with it.
    pub document: String,
    /// Who asks for the approvals.
    pub requested_by: String,
    /// The plan of each experiment, in their order.
    pub plans: Vec<GameDayPlan>,
    /// The first entries of its journal.
    pub entries: Vec<String>,
    /// Where it stands after them, in a word.
    pub stage: String,
}

/// What one experiment of a game day will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameDayPlan {
    /// The experiment's document, as it will be run.
    pub document: String,
    /// The fleet's plan, a JSON text, letter for letter.
    pub plan: String,
    /// The hosts that it meets.
    pub hosts: Vec<String>,
}

/// A game day as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GameDay {
    /// Its id.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The document's labels.
    pub labels: BTreeMap<String, String>,
    /// Who asks for the approvals.
    pub requested_by: String,
    /// When it was submitted.
    pub opened_at: Timestamp,
    /// How many entries its journal has.
    pub entries: u64,
    /// Where it stands, in a word.
    pub stage: String,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The controller that carries it out, or did last.
    pub controller: Option<String>,
}

/// The next entry of a game day's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GameDayEntry<'a> {
    /// The game day.
    pub game_day: &'a str,
    /// How many entries it has before this one, as whoever appends it has read them.
    pub number: u64,
    /// The entry, a JSON text.
    pub entry: &'a str,
    /// Where the game day stands after it, in a word.
    pub stage: &'a str,
    /// Whether it is over then.
    pub over: bool,
}

/// A page of game days ended with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameDayCursor {
    /// When it was submitted.
    pub opened_at: Timestamp,
    /// Its id.
    pub id: String,
}

impl Store {
    /// Keeps a new game day with its plans and first entries.
    ///
    /// # Errors
    /// [`Refusal::Halted`], [`Refusal::Exists`], or the store's own.
    pub async fn create_game_day(&self, day: &NewGameDay, now: Timestamp) -> Result<GameDay, StoreError> {
        self.done("keep a game day", || async {
            let mut work = self.begin(Under::RunsShared).await?;
            not_halted(&mut work).await?;
            let row = sqlx::query(
                "INSERT INTO game_days (id, name, title, labels, document, requested_by, opened_at, entries, stage)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *",
            )
            .bind(day.id.as_str())
            .bind(day.name.as_str())
            .bind(day.title.as_str())
            .bind(json(&day.labels)?)
            .bind(day.document.as_str())
            .bind(day.requested_by.as_str())
            .bind(micros(now))
            .bind(i64::try_from(day.entries.len()).unwrap_or(i64::MAX))
            .bind(day.stage.as_str())
            .fetch_one(work.on())
            .await;
            let made = match row {
                Err(error) if nature(&error) == Nature::Duplicate => {
                    return Err(Refusal::Exists { kind: KIND, name: day.id.clone() }.into());
                }
                row => GameDay::read(&row?)?,
            };
            for (number, entry) in (0_u64..).zip(&day.entries) {
                keep(&mut work, &day.id, number, entry).await?;
            }
            for (number, plan) in (0_i64..).zip(&day.plans) {
                sqlx::query(
                    "INSERT INTO game_day_plans (game_day, number, document, plan, hosts) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(day.id.as_str())
                .bind(number)
                .bind(plan.document.as_str())
                .bind(plan.plan.as_str())
                .bind(json(&plan.hosts)?)
                .execute(work.on())
                .await?;
            }
            work.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Appends the next entry of a game day's journal and, with `run`, makes the run that follows from it: both or
    /// neither.
    ///
    /// # Errors
    /// [`Refusal::Changed`] if the journal has other entries by now, [`Refusal::Unknown`]; with a run [`Refusal::Halted`] or
    /// [`Refusal::Exists`]; or the store's own.
    pub async fn append_to_game_day(
        &self,
        entry: &GameDayEntry<'_>,
        run: Option<&NewRun>,
        now: Timestamp,
    ) -> Result<GameDay, StoreError> {
        self.done("keep an entry of a game day", || async {
            let mut work = self.begin(if run.is_some() { Under::RunsShared } else { Under::Rows }).await?;
            if run.is_some() {
                not_halted(&mut work).await?;
            }
            let row = sqlx::query(
                "UPDATE game_days SET entries = entries + 1, stage = $3,
                    ended_at = CASE WHEN $4 = 1 THEN COALESCE(ended_at, $5) ELSE ended_at END
                 WHERE id = $1 AND entries = $2 RETURNING *",
            )
            .bind(entry.game_day)
            .bind(entry.number.cast_signed())
            .bind(entry.stage)
            .bind(i64::from(entry.over))
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else {
                let found = required(work.on(), entry.game_day).await?;
                let (given, current) = (entry.number.cast_signed(), found.entries.cast_signed());
                return Err(Refusal::Changed { kind: KIND, name: found.id, given, current }.into());
            };
            keep(&mut work, entry.game_day, entry.number, entry.entry).await?;
            if let Some(run) = run {
                insert(&mut work, run, now).await?;
            }
            let changed = GameDay::read(&row)?;
            work.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Whether this controller carries out a game day from now until `now + lease`: it did already, or nobody does. It
    /// keeps two from asking Alertmanager and the hosts at once; what may happen does not depend on it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn carry_game_day(
        &self,
        id: &str,
        controller: &str,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.done("take a game day", || async {
            let mut work = self.begin(Under::Rows).await?;
            let taken = sqlx::query(
                "UPDATE game_days SET controller = $2, lease_until = $3
                 WHERE id = $1 AND ended_at IS NULL
                    AND (controller IS NULL OR controller = $2 OR lease_until <= $4)",
            )
            .bind(id)
            .bind(controller)
            .bind(after(now, lease))
            .bind(micros(now))
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }

    /// The game day of this id.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn game_day(&self, id: &str) -> Result<GameDay, StoreError> {
        self.done("read a game day", || async { required(&mut *self.readers.acquire().await?, id).await }).await
    }

    /// The document of a game day, letter for letter.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn game_day_document(&self, id: &str) -> Result<String, StoreError> {
        self.done("read the document of a game day", || async {
            let row = sqlx::query("SELECT document FROM game_days WHERE id = $1").bind(id);
            row.fetch_optional(&self.readers).await?.ok_or_else(|| unknown(id))?.text("document")
        })
        .await
    }

    /// The plans of a game day's experiments, in their order.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_day_plans(&self, id: &str) -> Result<Vec<GameDayPlan>, StoreError> {
        self.done("read the plans of a game day", || async {
            let rows = sqlx::query("SELECT * FROM game_day_plans WHERE game_day = $1 ORDER BY number")
                .bind(id)
                .fetch_all(&self.readers)
                .await?;
            rows.iter()
                .map(|row| {
                    Ok(GameDayPlan {
                        document: row.text("document")?,
                        plan: row.text("plan")?,
                        hosts: row.json("hosts")?,
                    })
                })
                .collect()
        })
        .await
    }

    /// The entries of a game day's journal from the one with this number on, in their order, at most `limit`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_day_entries(&self, id: &str, from: u64, limit: u32) -> Result<Vec<String>, StoreError> {
        self.done("read the journal of a game day", || async {
            let rows = sqlx::query(
                "SELECT entry FROM game_day_entries WHERE game_day = $1 AND number >= $2 ORDER BY number LIMIT $3",
            )
            .bind(id)
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(|row| row.text("entry")).collect()
        })
        .await
    }

    /// Game days, the newest first, at most `limit`, after the one that a page ended with; the cursor is of the last one if
    /// there may be more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn game_days(
        &self,
        after: Option<&GameDayCursor>,
        limit: u32,
    ) -> Result<(Vec<GameDay>, Option<GameDayCursor>), StoreError> {
        self.done("list game days", || async {
            let (time, id) = after.map_or((i64::MAX, ""), |cursor| (micros(cursor.opened_at), cursor.id.as_str()));
            let rows = sqlx::query(
                "SELECT * FROM game_days WHERE opened_at < $1 OR (opened_at = $1 AND id < $2)
                 ORDER BY opened_at DESC, id DESC LIMIT $3",
            )
            .bind(time)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            let days = rows.iter().map(GameDay::read).collect::<Result<Vec<_>, _>>()?;
            let last = days.last().filter(|_| days.len() == usize::try_from(limit).unwrap_or(usize::MAX));
            let cursor = last.map(|day| GameDayCursor { opened_at: day.opened_at, id: day.id.clone() });
            Ok((days, cursor))
        })
        .await
    }

    /// The game days that are not over, the oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn open_game_days(&self) -> Result<Vec<GameDay>, StoreError> {
        self.done("look for game days that are not over", || async {
            let query = "SELECT * FROM game_days WHERE ended_at IS NULL ORDER BY opened_at, id";
            sqlx::query(query).fetch_all(&self.readers).await?.iter().map(GameDay::read).collect()
        })
        .await
    }
}

impl GameDay {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            title: row.text("title")?,
            labels: row.json("labels")?,
            requested_by: row.text("requested_by")?,
            opened_at: row.time("opened_at")?,
            entries: row.number("entries")?.cast_unsigned(),
            stage: row.text("stage")?,
            ended_at: row.optional_time("ended_at")?,
            controller: row.optional_text("controller")?,
        })
    }
}

async fn keep(work: &mut Work, game_day: &str, number: u64, entry: &str) -> Result<(), Fault> {
    sqlx::query("INSERT INTO game_day_entries (game_day, number, entry) VALUES ($1, $2, $3)")
        .bind(game_day)
        .bind(number.cast_signed())
        .bind(entry)
        .execute(work.on())
        .await?;
    Ok(())
}

fn unknown(id: &str) -> Fault {
    Refusal::Unknown { kind: KIND, name: id.to_owned() }.into()
}

async fn required(connection: &mut AnyConnection, id: &str) -> Result<GameDay, Fault> {
    let row = sqlx::query("SELECT * FROM game_days WHERE id = $1").bind(id).fetch_optional(connection).await?;
    GameDay::read(&row.ok_or_else(|| unknown(id))?)
}
