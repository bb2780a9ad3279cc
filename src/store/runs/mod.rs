//! Runs: from the moment they are asked for until they are pruned.
//!
//! ```text
//! waiting-for-approval → queued → claimed → running → closing → finished
//!            ↘ cancelled ↙            (taken over: the same state, a greater epoch)
//! ```
//!
//! `claimed`, `running` and `closing` are the states in which a run has a controller, a lease, an epoch, and the locks of
//! its hosts. A lease that ran out changes nothing by itself: it only allows another controller to take the run over.

mod choose;
mod claim;
mod entries;
mod list;
mod once;
mod own;
mod submit;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

pub use self::claim::{Claim, Reach};
pub use self::list::{Cursor, Keep, RunFilter};
pub use self::once::RequestKey;
pub use self::own::Lease;
pub(in crate::store) use self::submit::{insert, not_halted};
use super::columns::{Columns, words};
use super::error::Fault;

words! {
    /// Where a run stands.
    RunState {
        /// It waits until a controller claims it.
        Queued = "queued",
        /// It waits for approvals of its plan.
        WaitingForApproval = "waiting-for-approval",
        /// A controller has it and prepares it; nothing is injected yet.
        Claimed = "claimed",
        /// It is under way.
        Running = "running",
        /// Its faults are being undone and its verdict found.
        Closing = "closing",
        /// It has a verdict.
        Finished = "finished",
        /// It never started.
        Cancelled = "cancelled",
    }
}

impl RunState {
    /// Whether a controller has the run, and its hosts are locked.
    pub fn is_owned(self) -> bool {
        matches!(self, Self::Claimed | Self::Running | Self::Closing)
    }

    /// Whether nothing will happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// The states from which its driver may record this one.
    fn comes_from(self) -> &'static [Self] {
        match self {
            Self::Running => &[Self::Claimed, Self::Running],
            Self::Closing => &[Self::Claimed, Self::Running, Self::Closing],
            Self::Queued | Self::WaitingForApproval | Self::Claimed | Self::Finished | Self::Cancelled => &[],
        }
    }
}

/// What asked for a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
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

/// A run to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its id: unique for ever, also the name of its folder.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// The document, letter for letter.
    pub document: String,
    /// The seed.
    pub seed: u64,
    /// The fleet's plan, a JSON text, letter for letter.
    pub plan: String,
    /// The hash of the plan: what approvals are bound to.
    pub plan_hash: String,
    /// The hosts that it locks.
    pub hosts: Vec<String>,
    /// Whether it bears other runs on its hosts that bear it.
    pub shared_hosts: bool,
    /// Who asked for it.
    pub requested_by: String,
    /// What asked for it.
    pub origin: Origin,
    /// Approvals that it needs before it is queued; 0 queues it at once.
    pub approvals_needed: u32,
    /// It is not claimed before this time.
    pub not_before: Option<Timestamp>,
    /// It is not claimed at this time or later; [`super::Store::expire_runs`] cancels it.
    pub deadline: Option<Timestamp>,
}

/// A run as the store knows it. What happened in it is in its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's labels.
    pub labels: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// The hash of the fleet's plan.
    pub plan_hash: String,
    /// Who asked for it.
    pub requested_by: String,
    /// What asked for it.
    pub origin: Origin,
    /// Whether it bears other runs on its hosts that bear it.
    pub shared_hosts: bool,
    /// Approvals that it needs before it is queued.
    pub approvals_needed: u32,
    /// Where it stands.
    pub state: RunState,
    /// When it was asked for.
    pub submitted_at: Timestamp,
    /// It is not claimed before this time.
    pub not_before: Option<Timestamp>,
    /// It is not claimed at this time or later.
    pub deadline: Option<Timestamp>,
    /// The controller that has it, or had it last.
    pub controller: Option<String>,
    /// How often it was claimed or taken over. Every write by its driver names it.
    pub epoch: i64,
    /// Until when its controller has it for certain.
    pub lease_until: Option<Timestamp>,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it finished or was cancelled.
    pub finished_at: Option<Timestamp>,
    /// Its verdict, once it is finished.
    pub verdict: Option<String>,
    /// Why it ended so.
    pub because: Option<String>,
    /// That it is to be ended, and why; its controller learns it with [`super::Store::renew_runs`].
    pub stop_requested: Option<String>,
}

/// The texts of a run, letter for letter as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDocument {
    /// The document.
    pub document: String,
    /// The fleet's plan, a JSON text.
    pub plan: String,
    /// The hosts that it locks, in alphabetical order.
    pub hosts: Vec<String>,
}

impl Run {
    pub(super) fn read(row: &AnyRow) -> Result<Self, Fault> {
        let origin: String = row.text("origin")?;
        let name = row.optional_text("origin_name")?.unwrap_or_default();
        let part = row.optional_text("origin_part")?.unwrap_or_default();
        let foreign = |value: &str| Fault::Foreign { column: "origin", value: value.to_owned() };
        Ok(Self {
            id: row.text("id")?,
            experiment: row.text("experiment")?,
            labels: row.json("labels")?,
            seed: row.number("seed")?.cast_unsigned(),
            plan_hash: row.text("plan_hash")?,
            requested_by: row.text("requested_by")?,
            origin: match origin.as_str() {
                "api" => Origin::Api,
                "schedule" => {
                    let slot = part.parse().ok().and_then(|slot| Timestamp::from_microsecond(slot).ok());
                    Origin::Schedule { name, slot: slot.ok_or_else(|| foreign(&part))? }
                }
                "game-day" => Origin::GameDay { name, step: part },
                other => return Err(foreign(other)),
            },
            shared_hosts: row.flag("shared_hosts")?,
            approvals_needed: row.count("approvals_needed")?,
            state: row.word("state")?,
            submitted_at: row.time("submitted_at")?,
            not_before: row.optional_time("not_before")?,
            deadline: row.optional_time("deadline")?,
            controller: row.optional_text("controller")?,
            epoch: row.number("epoch")?,
            lease_until: row.optional_time("lease_until")?,
            started_at: row.optional_time("started_at")?,
            finished_at: row.optional_time("finished_at")?,
            verdict: row.optional_text("verdict")?,
            because: row.optional_text("because")?,
            stop_requested: row.optional_text("stop_requested")?,
        })
    }
}
