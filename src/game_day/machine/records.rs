//! What is kept of a game day: what people said, and how its experiments went.

use jiff::Timestamp;
use serde::Serialize;

use super::asked::Asked;
use super::event::{Answer, Milestone};
use crate::game_day::alerts::{Life, Watch};
use crate::game_day::hash::PlanHash;
use crate::hypothesis::verdict::RunVerdict;

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they approved.
    pub hash: PlanHash,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Why it does not count any more, if so: a change, or that it was taken back.
    pub void: Option<String>,
}

/// A plan that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replan {
    /// Who had it made.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Its hash.
    pub hash: PlanHash,
    /// What is different, a sentence each.
    pub differences: Vec<String>,
}

/// An answer to a question of the checklist; the last one to each counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The question, counted from 0.
    pub item: usize,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How.
    pub answer: Answer,
    /// What they said.
    pub remark: Option<String>,
}

/// A decision at a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The experiment, counted from 0.
    pub experiment: usize,
    /// What was asked.
    pub asked: Asked,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Since when it was waited for.
    pub since: Timestamp,
    /// How.
    pub answer: Answer,
    /// What they said.
    pub remark: Option<String>,
}

/// How an experiment went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// Whether somebody said go at the hold before it.
    pub(super) may_start: bool,
    /// Whether it was left out.
    pub skipped: bool,
    /// When its run was asked for.
    pub asked: Option<Timestamp>,
    /// The id of the run that waits for its hosts, and since when; only of a fleet.
    pub queued: Option<(Timestamp, String)>,
    /// The run's id, and when it began.
    pub started: Option<(Timestamp, String)>,
    /// What happened in its run.
    pub milestones: Vec<(Timestamp, Milestone)>,
    /// Its end: when, its verdict, and why.
    pub ended: Option<(Timestamp, RunVerdict, String)>,
    /// What was seen of alerts.
    pub watch: Option<Watch>,
    /// When alerts were watched no longer.
    pub unwatched: Option<Timestamp>,
}

impl Course {
    /// Whether it was asked for or left out: its plan stays as it is.
    pub(super) fn has_begun(&self) -> bool {
        self.asked.is_some() || self.skipped
    }

    /// When things happened to it.
    pub fn life(&self) -> Life {
        let incited = |(at, what): &(Timestamp, Milestone)| matches!(what, Milestone::Incited { .. }).then_some(*at);
        let undone = |(at, what): &(Timestamp, Milestone)| matches!(what, Milestone::Undone { .. }).then_some(*at);
        Life {
            incited: self.milestones.iter().find_map(incited),
            undone: self.milestones.iter().rev().find_map(undone),
            unwatched: self.unwatched,
        }
    }
}

/// Why a game day ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// What kind of reason.
    pub kind: EndingKind,
    /// In one sentence.
    pub because: String,
}

/// What kind of reason ended a game day early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndingKind {
    /// A no to a question, or at a hold.
    NoGo,
    /// The window is over.
    WindowOver,
    /// Somebody ended it.
    Person,
    /// Everything was halted.
    Halt,
    /// An experiment ended in a way after which nothing more runs.
    Experiment,
    /// An alert that aborts fired.
    Alert,
}
