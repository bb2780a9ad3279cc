//! Game days of a fleet: each a journal of which every entry has its number, and the plans that are approved with it.
//!
//! What a game day is and may do is decided from its journal alone ([`crate::game_day::machine`]). Whoever has read
//! `entries` of them appends the next under exactly that number; if somebody else was faster, he is refused, reads what
//! came, and decides again.

mod forget;
mod read;
mod write;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::columns::Columns;
use super::error::Fault;
use super::refusal::Refusal;

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

fn unknown(id: &str) -> Fault {
    Refusal::Unknown { kind: KIND, name: id.to_owned() }.into()
}

async fn required(connection: &mut AnyConnection, id: &str) -> Result<GameDay, Fault> {
    let row = sqlx::query("SELECT * FROM game_days WHERE id = $1").bind(id).fetch_optional(connection).await?;
    GameDay::read(&row.ok_or_else(|| unknown(id))?)
}
