use faultline_agent::units::TimeSpan;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::said::{Finding, Note};
use crate::experiment::document::Experiment;
use crate::game_day::alerts::Reading;
use crate::game_day::document::GameDay;
use crate::game_day::hash::PlanHash;
use crate::hypothesis::verdict::RunVerdict;

/// What can happen on a game day. Each is a line of its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GameDayEvent")]
pub enum Event {
    /// The game day was drafted: the first event of every journal.
    Opened(Box<Opened>),
    /// Somebody asks for the approvals; with it the game day begins.
    Requested {
        /// Who.
        by: String,
    },
    /// The plan was made anew. If its hash is another one, every approval is void, and so is every go at a hold.
    Planned {
        /// The game day's hash.
        hash: PlanHash,
        /// The hash of each experiment's plan, in their order; each as it was if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        experiments: Vec<PlanHash>,
        /// Who had it made.
        by: String,
        /// What is different, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differences: Vec<String>,
    },
    /// An experiment is due, and the fleet is not the one of its plan any more; only of a fleet. Nothing was asked for.
    Drifted {
        /// Its number, counted from 0.
        experiment: usize,
        /// What is different.
        because: String,
    },
    /// Somebody approves.
    Approved {
        /// Who.
        by: String,
        /// The hash of what they approve.
        hash: PlanHash,
    },
    /// Somebody takes an approval back.
    Withdrawn {
        /// Who.
        by: String,
    },
    /// A question of the checklist was answered.
    Answered {
        /// Its number, counted from 0.
        item: usize,
        /// Who.
        by: String,
        /// How.
        answer: Answer,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
    },
    /// Somebody decided at a hold, or (with `go`) that alerts are waited for no longer.
    Decided {
        /// Who.
        by: String,
        /// What: `skip` leaves the experiment out.
        answer: Answer,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
    },
    /// An experiment's run was asked for, and waits until its hosts are free; only of a fleet.
    Queued {
        /// Its number, counted from 0.
        experiment: usize,
        /// The run's id.
        run: String,
    },
    /// An experiment's run began.
    Started {
        /// Its number, counted from 0.
        experiment: usize,
        /// The run's id.
        run: String,
    },
    /// Something happened in an experiment's run.
    Progress {
        /// Its number, counted from 0.
        experiment: usize,
        /// What.
        what: Milestone,
    },
    /// An experiment's run ended, or could not begin (`refused`).
    Ended {
        /// Its number, counted from 0.
        experiment: usize,
        /// Its verdict.
        verdict: RunVerdict,
        /// In one sentence, why.
        because: String,
    },
    /// Alertmanager was asked.
    Alerts(Reading),
    /// Somebody noted something.
    Noted(Note),
    /// Something was found that somebody must see to.
    Found(Finding),
    /// Somebody ends the game day.
    Aborted {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Everything was halted.
    Halted {
        /// Why.
        reason: String,
    },
    /// Time passed.
    Tick,
}

/// How a game day began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayOpened")]
pub struct Opened {
    /// Its id.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// Where it is run: a host's name, or the fleet's.
    pub place: String,
    /// The file that it came from.
    pub file: String,
    /// The document, after `--set`.
    pub game_day: GameDay,
    /// The experiments, in order.
    pub experiments: Vec<ResolvedExperiment>,
    /// The game day's hash.
    pub hash: PlanHash,
    /// How it is known who says something.
    pub identity: Identity,
}

/// An experiment as it was found for a game day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayExperiment")]
pub struct ResolvedExperiment {
    /// What it is called in the run sheet.
    pub name: String,
    /// The document.
    pub experiment: Experiment,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// The hash of its plan.
    pub hash: PlanHash,
}

/// How it is known who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GameDayIdentity")]
pub enum Identity {
    /// Names are as somebody typed them: nobody checked them.
    Typed,
    /// Each name is that of an API token.
    Token,
}

/// An answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GameDayAnswer")]
pub enum Answer {
    /// Yes.
    Go,
    /// No: of what is required, it ends the game day.
    NoGo,
    /// Left out.
    Skip,
}

/// Something that happens in a run and that the run sheet needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GameDayMilestone")]
pub enum Milestone {
    /// A fault is in place.
    Incited {
        /// Which, in words: `network-latency on the run's network`.
        fault: String,
    },
    /// A guardrail was breached.
    Breached {
        /// Which, and how.
        guardrail: String,
    },
    /// A fault was undone.
    Undone {
        /// Whether that is certain.
        verified: bool,
    },
    /// Everything was steady again.
    Recovered {
        /// Seconds after the undo.
        after: f64,
    },
}

/// Before or after an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldPoint {
    /// Before it.
    Before,
    /// After it.
    After,
}

/// One line of a game day's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameDayEntry")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// How long after a reading the next one must come, at the latest, so that nothing is missed between them.
pub(super) fn patience(interval: TimeSpan, timeout: TimeSpan) -> jiff::SignedDuration {
    let longest = (interval.duration() + timeout.duration()) * 2;
    jiff::SignedDuration::try_from(longest).unwrap_or(jiff::SignedDuration::MAX)
}
