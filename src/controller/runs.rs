//! Runs, as far as the store knows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Object;
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::store::Approval;
use crate::store::runs::{Cursor, Origin, Run, RunFilter, RunState};

/// What asked for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunOrigin {
    /// A person or a program, by the API.
    Api,
    /// A schedule.
    Schedule {
        /// Its name.
        name: String,
        /// The time at which it was to fire.
        slot: Timestamp,
    },
    /// A game day.
    GameDay {
        /// Its name.
        name: String,
        /// Its step.
        step: String,
    },
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunStanding {
    /// It waits until a controller claims it.
    Queued,
    /// It waits for approvals of its plan.
    WaitingForApproval,
    /// A controller has it and prepares it; nothing is injected yet.
    Claimed,
    /// It is under way.
    Running,
    /// Its faults are being undone and its verdict found.
    Closing,
    /// It has a verdict.
    Finished,
    /// It never started.
    Cancelled,
}

impl RunStanding {
    /// Whether nothing will happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// As it is written in JSON.
    pub fn word(self) -> &'static str {
        RunState::from(self).as_str()
    }
}

impl From<RunState> for RunStanding {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Queued => Self::Queued,
            RunState::WaitingForApproval => Self::WaitingForApproval,
            RunState::Claimed => Self::Claimed,
            RunState::Running => Self::Running,
            RunState::Closing => Self::Closing,
            RunState::Finished => Self::Finished,
            RunState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<RunStanding> for RunState {
    fn from(standing: RunStanding) -> Self {
        match standing {
            RunStanding::Queued => Self::Queued,
            RunStanding::WaitingForApproval => Self::WaitingForApproval,
            RunStanding::Claimed => Self::Claimed,
            RunStanding::Running => Self::Running,
            RunStanding::Closing => Self::Closing,
            RunStanding::Finished => Self::Finished,
            RunStanding::Cancelled => Self::Cancelled,
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// Where it stands.
    pub state: RunStanding,
    /// Its verdict, once it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// That it is to be ended, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_requested: Option<String>,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// The hash of its plan: what is approved.
    pub plan_hash: String,
    /// Who asked for it.
    pub requested_by: String,
    /// What asked for it.
    pub origin: RunOrigin,
    /// How many approvals it needs before it is queued.
    pub approvals_needed: u32,
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// It does not start before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It does not start at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The controller that has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// When it was first claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it finished or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            experiment: run.experiment,
            labels: run.labels,
            state: run.state.into(),
            verdict: run.verdict,
            because: run.because,
            stop_requested: run.stop_requested,
            seed: run.seed,
            plan_hash: run.plan_hash,
            requested_by: run.requested_by,
            origin: match run.origin {
                Origin::Api => RunOrigin::Api,
                Origin::Schedule { name, slot } => RunOrigin::Schedule { name, slot },
                Origin::GameDay { name, step } => RunOrigin::GameDay { name, step },
            },
            approvals_needed: run.approvals_needed,
            submitted_at: run.submitted_at,
            not_before: run.not_before,
            deadline: run.deadline,
            controller: run.controller,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

/// An approval of a run that counts now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalView {
    /// Who approves.
    pub approver: String,
    /// When he did.
    pub approved_at: Timestamp,
    /// It does not count at this time and later.
    pub expires_at: Timestamp,
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        let Approval { approver, approved_at, expires_at, .. } = approval;
        Self { approver, approved_at, expires_at }
    }
}

/// A run with what it does to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// The hosts that it may touch, and keeps from other runs.
    pub hosts: Vec<String>,
    /// The approvals of its plan that count now.
    pub approvals: Vec<ApprovalView>,
    /// What it waits for, one reason each; none once it has begun, or is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// The document, letter for letter.
    pub document: String,
    /// The plan that was made when it was asked for.
    pub plan: serde_json::Value,
}

/// Which runs are wanted: those for which everything that is given holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunsWanted {
    /// Which.
    pub filter: RunFilter,
    /// The page before ended with this run.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// One page of runs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunView>,
    /// Give this as `after` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Controller {
    /// Lists runs, the newest first.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn runs(&self, who: &Principal, wanted: &RunsWanted) -> Result<RunsPage, ControllerError> {
        self.admit(who, Action::See).await?;
        let after = match &wanted.after {
            Some(id) => {
                let run = self.store.run(id).await?;
                Some(Cursor { submitted_at: run.submitted_at, id: run.id })
            }
            None => None,
        };
        let (runs, cursor) = self.store.runs(&wanted.filter, after.as_ref(), wanted.limit).await?;
        // A page may hold fewer than it could: what is out of the scope of who asks is left out of it.
        let seen = runs.into_iter().filter(|run| self.may_see(who, &Object::new("run").experiment(run.labels.clone())));
        Ok(RunsPage { runs: seen.map(RunView::from).collect(), next: cursor.map(|cursor| cursor.id) })
    }

    /// One run with its hosts, approvals, document and plan.
    ///
    /// # Errors
    /// If `who` may not, there is no such run, or by the store.
    pub async fn run(&self, who: &Principal, id: &str) -> Result<RunDetails, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_run(id).await?).await?;
        let run = self.store.run(id).await?;
        let texts = self.store.run_document(id).await?;
        let approvals = self.store.approvals(&format!("run/{id}"), &run.plan_hash, self.now().await?).await?;
        let waiting_for = self.waiting_for(&run, &texts.hosts, approvals.len()).await?;
        let plan = serde_json::from_str(&texts.plan)
            .map_err(|error| ControllerError::Broken(format!("the plan of run {id} cannot be read: {error}")))?;
        Ok(RunDetails {
            run: run.into(),
            hosts: texts.hosts,
            approvals: approvals.into_iter().map(ApprovalView::from).collect(),
            waiting_for,
            document: texts.document,
            plan,
        })
    }
}
