use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Read;
use crate::game_day::machine::{Answer, Asked, Entry, Stage, State};
use crate::game_day::sheet::{ChecklistRow, checklist};
use crate::hypothesis::verdict::RunVerdict;
use crate::store::{GameDay, GameDayPlan};
use crate::targets::fleet_plan::FleetPlan;

/// A game day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayView {
    /// Its id.
    pub id: String,
    /// The document's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The document's labels.
    pub labels: BTreeMap<String, String>,
    /// Where it stands: `awaiting-approvals`, `checklist`, `hold`, `awaiting-plan`, `awaiting-window`, `running`,
    /// `stopping`, `settling` (waiting for alerts), `finished`, `aborted`.
    pub stage: String,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub opened_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The controller that carries it out, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
}

impl From<GameDay> for GameDayView {
    fn from(day: GameDay) -> Self {
        let GameDay { id, name, title, labels, requested_by, opened_at, stage, ended_at, controller, .. } = day;
        Self { id, name, title, labels, stage, requested_by, opened_at, ended_at, controller }
    }
}

/// One page of game days, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDaysPage {
    /// The game days.
    pub game_days: Vec<GameDayView>,
    /// Give this as `after` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An approval of a game day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayApproval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// It does not count at this time and later.
    pub expires_at: Timestamp,
    /// Whether it counts now.
    pub counts: bool,
    /// Why not, where that is not the time: `taken back`, `the plan was changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// A question of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayQuestion {
    /// The question.
    pub ask: String,
    /// The role that answers it; anybody of a role if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Whether nothing runs without a go.
    pub required: bool,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl From<ChecklistRow> for GameDayQuestion {
    fn from(row: ChecklistRow) -> Self {
        let ChecklistRow { ask, of, required, answer, by, .. } = row;
        Self { ask, of, required, answer, by }
    }
}

/// An experiment of a game day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayStep {
    /// What it is called.
    pub name: String,
    /// The sentence that it tests.
    pub hypothesis: String,
    /// The hash of its plan.
    pub plan_hash: String,
    /// Each fault with its hosts: `network-latency for 2m on db-1, db-2`.
    pub faults: Vec<String>,
    /// The id of its run, once it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its verdict, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<RunVerdict>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Whether somebody left it out.
    pub skipped: bool,
}

/// A game day with its plan, what is asked, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayDetails {
    /// The game day.
    #[serde(flatten)]
    pub game_day: GameDayView,
    /// The hash that is approved: of the document and of every experiment's plan.
    pub plan_hash: String,
    /// What people are asked now: an answer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Asked>,
    /// Why it ended early, or waits for a new plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The exit code of such a game day, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// When its window begins and ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<(Timestamp, Timestamp)>,
    /// How many approvals are required.
    pub approvals_required: u32,
    /// How many are missing now.
    pub approvals_missing: usize,
    /// Roles and people who may approve.
    pub may_approve: Vec<String>,
    /// All approvals that were given.
    pub approvals: Vec<GameDayApproval>,
    /// Who takes part: roles, each with its people, by the names of their tokens.
    pub roles: BTreeMap<String, Vec<String>>,
    /// The checklist.
    pub checklist: Vec<GameDayQuestion>,
    /// The experiments, in order.
    pub experiments: Vec<GameDayStep>,
    /// The document, letter for letter, with the experiments that came with it.
    pub document: String,
}

/// A part of a game day's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GameDayJournal {
    /// The entries, in their order.
    pub entries: Vec<Entry>,
    /// Give this as `from` for those that come after.
    pub next: u64,
    /// Whether the game day is over and this is the end of its journal.
    pub over: bool,
}

impl GameDayDetails {
    pub(super) fn new(day: GameDay, document: String, plans: &[GameDayPlan], read: &Read, now: Timestamp) -> Self {
        let state = &read.state;
        let spec = state.spec();
        let approvals = state.approvals().iter().map(|approval| GameDayApproval {
            by: approval.by.clone(),
            at: approval.at,
            expires_at: approval.expires,
            counts: approval.void.is_none() && approval.expires > now,
            void: approval.void.clone(),
        });
        let because = match state.stage() {
            Stage::Aborted(ending) | Stage::Stopping { because: ending, .. } => Some(ending.because.clone()),
            Stage::AwaitingPlan { because, .. } => Some(because.clone()),
            _ => None,
        };
        Self {
            plan_hash: state.hash().to_string(),
            asks: state.asked(),
            because,
            exit_code: state.is_over().then(|| read.sheet().exit_code),
            window: state.window(),
            approvals_required: spec.approvals.as_ref().map_or(0, |approvals| approvals.required),
            approvals_missing: if state.is_over() { 0 } else { state.missing_approvals(now) },
            may_approve: spec.approvals.as_ref().map(|approvals| approvals.of.clone()).unwrap_or_default(),
            approvals: approvals.collect(),
            roles: spec.roles.clone(),
            checklist: checklist(state).into_iter().map(GameDayQuestion::from).collect(),
            experiments: plans.iter().enumerate().map(|(number, plan)| one(state, number, plan)).collect(),
            game_day: day.into(),
            document,
        }
    }
}

fn one(state: &State, number: usize, plan: &GameDayPlan) -> GameDayStep {
    let (resolved, course) = (&state.opening().experiments[number], &state.experiments()[number]);
    // A plan of another version of Faultline may not be understood: its hosts are known all the same.
    let faults = match serde_json::from_str::<FleetPlan>(&plan.plan) {
        Ok(plan) => plan
            .injections
            .iter()
            .map(|one| {
                let hosts: Vec<&str> = one.hosts.iter().map(String::as_str).collect();
                format!("{} for {} on {}", one.fault, one.lasts, hosts.join(", "))
            })
            .collect(),
        Err(_) => vec![format!("on {}", plan.hosts.join(", "))],
    };
    let run = course.started.as_ref().or(course.queued.as_ref()).map(|(_, run)| run.clone());
    GameDayStep {
        name: resolved.name.clone(),
        hypothesis: resolved.experiment.spec.hypothesis.clone(),
        plan_hash: state.plan_of(number).to_string(),
        faults,
        run,
        verdict: course.ended.as_ref().map(|(_, verdict, _)| *verdict),
        because: course.ended.as_ref().map(|(_, _, because)| because.clone()),
        skipped: course.skipped,
    }
}
