//! How schedules are shown.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scheduled::Scheduled;
use crate::store::{Definition, Slot};

/// How many of the times to come are shown with a schedule.
const COMING: usize = 10;

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// Whether it rests: by a call, or by `suspend` in its document.
    pub suspended: bool,
    /// Grows with each change.
    pub version: i64,
    /// The newest slot that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fire: Option<Timestamp>,
    /// When it fires next, if nothing stands in its way then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fire: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
}

/// A time at which a schedule was to fire, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotView {
    /// When it was to fire.
    pub slot: Timestamp,
    /// `fired` or `missed`.
    pub outcome: String,
    /// The run that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl From<Slot> for SlotView {
    fn from(slot: Slot) -> Self {
        let Slot { slot, outcome, run, because, .. } = slot;
        Self { slot, outcome: outcome.to_string(), run, because }
    }
}

/// A schedule with its document, what it did and what it will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleDetails {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: ScheduleView,
    /// The document, letter for letter.
    pub document: String,
    /// What became of the last times at which it was to fire, the newest first.
    pub past: Vec<SlotView>,
    /// The next times at which it fires, if nothing stands in its way then.
    pub coming: Vec<Timestamp>,
}

/// All schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchedulesList {
    /// By name.
    pub schedules: Vec<ScheduleView>,
}

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiresList {
    /// In order, if nothing stands in its way then.
    pub fires: Vec<Timestamp>,
}

/// A schedule, its document, and when it fires next.
pub(super) fn view(definition: Definition, now: Timestamp) -> (ScheduleView, String, Vec<Timestamp>) {
    // One that this version cannot read any more is shown all the same, without a future.
    let compiled = Scheduled::read(&definition.document).ok();
    let rests = compiled.as_ref().is_some_and(|compiled| compiled.schedule.spec.suspend);
    let suspended = definition.suspended || rests;
    let coming = compiled.filter(|_| !suspended).map(|compiled| compiled.coming(now, COMING)).unwrap_or_default();
    let view = ScheduleView {
        name: definition.name,
        suspended,
        version: definition.version,
        last_fire: definition.last_fire,
        next_fire: coming.first().copied(),
        created_by: definition.created_by,
        created_at: definition.created_at,
        changed_by: definition.changed_by,
        changed_at: definition.changed_at,
    };
    (view, definition.document, coming)
}
