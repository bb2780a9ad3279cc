//! The run sheet of a game day, and the skeleton of its postmortem: made from the journal alone.

mod assemble;
mod exit;
mod files;
mod html;
mod markdown;
mod page;
mod postmortem;
mod run_sheet;
mod timeline;

pub use timeline::in_words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::alerts::{AlertVerdict, Gap, UnexpectedAlert};
use super::document::ZoneName;
use super::hash::PlanHash;
use super::machine::{Answer, Approval, Ending, Entry, Finding, Identity, Illegal, State, replay};
use crate::document::ApiVersion;
use crate::hypothesis::verdict::RunVerdict;

/// Everything that is known of a game day. The JSON run sheet is exactly this.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `RunSheet`.
    pub kind: SheetKind,
    /// The game day's id.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// The document's labels.
    pub labels: BTreeMap<String, String>,
    /// Its title.
    pub title: String,
    /// Why it was held.
    pub purpose: Option<String>,
    /// Where: a host's name, or the fleet's.
    pub place: String,
    /// The file that the document came from.
    pub file: String,
    /// The version of faultline that ran it.
    pub version: String,
    /// The time zone of times as printed.
    pub time_zone: ZoneName,
    /// The hash of the plan, as it was last.
    pub hash: PlanHash,
    /// Its window, if it had one.
    pub window: Option<(Timestamp, Timestamp)>,
    /// When it was drafted.
    pub begun: Timestamp,
    /// When it was over; nothing if the journal ends before.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// The exit code of such a game day.
    pub exit_code: u8,
    /// How it is known who said what.
    pub identity: Identity,
    /// Who took part: roles, each with its people.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Who asked for the approvals.
    pub requested_by: Option<String>,
    /// How many approvals were required.
    pub required_approvals: u32,
    /// All approvals that were given.
    pub approvals: Vec<Approval>,
    /// The checklist with its answers.
    pub checklist: Vec<ChecklistRow>,
    /// What ends it early, as people were told.
    pub abort_conditions: Vec<String>,
    /// Each experiment, in order.
    pub experiments: Vec<ExperimentRow>,
    /// What observers noted.
    pub notes: Vec<NoteRow>,
    /// What somebody must see to, the worst first.
    pub findings: Vec<Finding>,
    /// Where what was done is not what was planned.
    pub deviations: Vec<String>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
}

/// What this document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SheetKind {
    /// The run sheet of one game day.
    RunSheet,
}

/// How a game day ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All was gone through.
    Finished,
    /// It was ended early.
    Aborted(Ending),
    /// The journal ends before the game day did.
    Unfinished,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChecklistRow {
    /// The question.
    pub ask: String,
    /// Who was to answer it.
    pub of: Option<String>,
    /// Whether nothing runs without a go.
    pub required: bool,
    /// The answer; nothing if nobody gave one.
    pub answer: Option<Answer>,
    /// Who answered.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// What they said.
    pub remark: Option<String>,
}

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentRow {
    /// What it is called.
    pub name: String,
    /// The sentence that it tests.
    pub hypothesis: String,
    /// The hash of its plan.
    pub hash: PlanHash,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// The id of its run, if it began.
    pub run: Option<String>,
    /// When its run began.
    pub started: Option<Timestamp>,
    /// When its run ended; nothing if it was not run, or the journal ends before.
    pub ended: Option<Timestamp>,
    /// Its verdict, if it ended.
    pub verdict: Option<RunVerdict>,
    /// Why, or why it was not run.
    pub because: String,
    /// The fault was in place.
    pub incited: Option<Mark>,
    /// Somebody or something noticed.
    pub detected: Option<Mark>,
    /// The harm was ended.
    pub mitigated: Option<Mark>,
    /// Everything was steady again.
    pub recovered: Option<Mark>,
    /// What became of the alerts that were expected.
    pub alerts: Vec<AlertVerdict>,
    /// Alerts that fired and that nobody expected.
    pub unexpected: Vec<UnexpectedAlert>,
    /// Times of which nothing is known of alerts.
    pub gaps: Vec<Gap>,
    /// What else was expected.
    pub expected_notes: Option<String>,
}

/// A moment of an experiment, and how it is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// Seconds after the fault was in place.
    pub after: Option<f64>,
    /// By what.
    pub by: String,
}

/// What somebody noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoteRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Of what kind.
    pub kind: crate::report::MomentKind,
    /// In words.
    pub text: String,
}

/// Why no sheet can be made of a journal.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// There is nothing in it.
    #[error("the journal is empty")]
    Empty,
    /// Its entries contradict each other.
    #[error("entry {number} of the journal makes no sense: {source}", number = number + 1)]
    Illegal {
        /// The first entry that does, counted from 0.
        number: usize,
        /// Why.
        source: Illegal,
    },
    /// It could not be written as JSON.
    #[error("cannot write the sheet as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of it could not be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: std::path::PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}

/// A form in which a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The run sheet as Markdown.
    Markdown,
    /// The run sheet as one HTML file.
    Html,
    /// The run sheet as JSON.
    Json,
    /// The postmortem's skeleton as Markdown.
    PostmortemMarkdown,
    /// The postmortem's skeleton as one HTML file.
    PostmortemHtml,
}

/// The checklist of a game day as it stands.
pub fn checklist(state: &State) -> Vec<ChecklistRow> {
    assemble::checklist(state)
}

impl Sheet {
    /// The sheet of a game day, from its journal.
    ///
    /// # Errors
    /// If the journal is empty or contradicts itself.
    pub fn from_entries(entries: &[Entry]) -> Result<Self, SheetError> {
        if entries.is_empty() {
            return Err(SheetError::Empty);
        }
        let state = replay(entries).map_err(|(number, source)| SheetError::Illegal { number, source })?;
        Ok(Self::of(&state, entries.iter()))
    }

    /// The sheet of a game day whose journal led to this state.
    pub fn of<'a>(state: &State, entries: impl Iterator<Item = &'a Entry>) -> Self {
        assemble::assemble(state, entries)
    }

    /// The sheet, written.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn render(&self, format: Format) -> Result<String, SheetError> {
        Ok(match format {
            Format::Markdown => markdown::render(&run_sheet::page(self)),
            Format::Html => html::render(&run_sheet::page(self)),
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::PostmortemMarkdown => markdown::render(&postmortem::page(self)),
            Format::PostmortemHtml => html::render(&postmortem::page(self)),
        })
    }
}

#[cfg(test)]
mod tests;
