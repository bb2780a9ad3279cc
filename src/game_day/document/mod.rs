//! The types of a game day document. `deny_unknown_fields` throughout: a misspelt key is an error, never ignored.

mod alert;
mod window;

pub use alert::{AlertSelector, Alertmanager, Comparison, ExpectedAlert, Matcher};
pub use window::{Time, Window};

use std::collections::BTreeMap;

use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::findings::Findings;
use crate::document::{ApiVersion, DocumentKind, Metadata};
use crate::hypothesis::verdict::RunVerdict;
pub use crate::schedule::document::{ExperimentSource, ZoneName};

/// A whole game day: who meets when, what is asked before, which experiments run in which order, and what should be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GameDay {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `GameDay`.
    pub kind: GameDayKind,
    /// Its name and labels.
    pub metadata: Metadata,
    /// What it is.
    pub spec: GameDaySpec,
}

/// The one value of a game day's `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GameDayKind {
    /// A game day.
    GameDay,
}

/// The game day itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GameDaySpec {
    /// Its title, for people.
    pub title: String,
    /// Why it is held, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When it may be held; at any time if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The time zone of times without an offset, and of the run sheet (UTC unless told).
    #[serde(default)]
    pub time_zone: ZoneName,
    /// Who takes part: roles, each with its people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// Who must have agreed before anything runs; nobody if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// What is asked before the first experiment, in order. A no to a required question ends the game day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<ChecklistItem>,
    /// Where alerts are read; needed where alerts are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// What is run, in order.
    #[schemars(length(min = 1))]
    pub experiments: Vec<PlannedExperiment>,
    /// What ends the game day early.
    #[serde(default)]
    pub abort: AbortConditions,
}

/// Who must have agreed. An approval is bound to the hash of the plan: any change makes all of them void.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approvals {
    /// How many people, none of them the one who asks.
    #[schemars(range(min = 1))]
    pub required: u32,
    /// Roles and people who may approve.
    #[schemars(length(min = 1))]
    pub of: Vec<String>,
    /// How long an approval is good for (24 h unless told).
    #[serde(default = "one_day")]
    pub expire_after: TimeSpan,
}

const fn one_day() -> TimeSpan {
    TimeSpan::from_secs(24 * 3600)
}

/// A question that is answered by go or no-go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChecklistItem {
    /// The question.
    pub ask: String,
    /// The role that answers it; anybody of a role if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Whether nothing runs without a go (true unless told).
    #[serde(default = "yes")]
    pub required: bool,
}

const fn yes() -> bool {
    true
}

/// One experiment of the game day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedExperiment {
    /// The experiment: the name of one in the same file or known to the controller, or the `spec` of one.
    pub experiment: ExperimentSource,
    /// What it is called in the run sheet: the experiment's name unless told; an inline one needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where a person must say go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// What should be seen.
    #[serde(default, skip_serializing_if = "Expectation::is_empty")]
    pub expect: Expectation,
}

impl PlannedExperiment {
    /// What it is called in the run sheet. A checked document always has a name here.
    pub fn name(&self) -> &str {
        match (&self.name, &self.experiment) {
            (Some(name), _) | (None, ExperimentSource::Named(name)) => name,
            (None, ExperimentSource::Inline(_)) => "experiment",
        }
    }
}

/// Where a person must say go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Before the experiment.
    Before,
    /// After it.
    After,
    /// Before and after it.
    Both,
}

/// What should be seen of an experiment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Alerts that should fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<ExpectedAlert>,
    /// Anything else, for the observers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Expectation {
    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.notes.is_none()
    }
}

/// What ends the game day early. An interrupted run and one whose cleanup could not be verified always do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbortConditions {
    /// Verdicts of an experiment after which nothing more runs (`aborted` unless told).
    #[serde(default = "aborted")]
    pub verdicts: Vec<RunVerdict>,
    /// Alerts that undo what runs and end the game day when they begin to fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertSelector>,
    /// What people watch for; anybody of a role may abort.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
}

fn aborted() -> Vec<RunVerdict> {
    vec![RunVerdict::Aborted]
}

impl Default for AbortConditions {
    fn default() -> Self {
        Self { verdicts: aborted(), alerts: Vec::new(), conditions: Vec::new() }
    }
}

impl AbortConditions {
    /// Whether nothing more runs after an experiment with this verdict.
    pub fn ends_on(&self, verdict: RunVerdict) -> bool {
        matches!(verdict, RunVerdict::CleanupUnverified | RunVerdict::Interrupted) || self.verdicts.contains(&verdict)
    }
}

impl GameDaySpec {
    /// The people of a role, or the person of this name.
    pub fn people<'a>(&'a self, role_or_person: &'a str) -> Vec<&'a str> {
        match self.roles.get(role_or_person) {
            Some(people) => people.iter().map(String::as_str).collect(),
            None => vec![role_or_person],
        }
    }

    /// Whether somebody has a role, any of them.
    pub fn takes_part(&self, person: &str) -> bool {
        self.roles.values().flatten().any(|member| member == person)
    }

    /// Whether somebody has a certain role.
    pub fn has_role(&self, person: &str, role: &str) -> bool {
        self.roles.get(role).is_some_and(|people| people.iter().any(|member| member == person))
    }

    /// Whether somebody may approve.
    pub fn may_approve(&self, person: &str) -> bool {
        self.approvals.as_ref().is_some_and(|approvals| approvals.of.iter().any(|of| self.people(of).contains(&person)))
    }

    /// Whether alerts are read.
    pub fn watches_alerts(&self) -> bool {
        self.alertmanager.is_some()
    }
}

impl DocumentKind for GameDay {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self, findings: &mut Findings<'_>) {
        super::check::check(self, findings);
    }
}
