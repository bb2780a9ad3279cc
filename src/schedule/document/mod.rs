//! The types of a schedule document. `deny_unknown_fields` throughout: a misspelt key is an error, never ignored.

mod cron;
mod experiment;
mod hours;
mod moment;
mod notation;
mod slot_count;
mod weekdays;
mod zone;

pub use cron::CronPattern;
pub use experiment::ExperimentSource;
pub use hours::Hours;
pub use moment::Moment;
pub use slot_count::{SlotCount, SlotLength};
pub use weekdays::Weekdays;
pub(crate) use weekdays::number as weekday_number;
pub use zone::ZoneName;

use std::collections::BTreeMap;
use std::path::PathBuf;

use faultline_agent::units::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::findings::Findings;
use crate::document::{ApiVersion, DocumentKind, Metadata};

/// A whole schedule: which experiment runs, when, and when never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `Schedule`.
    pub kind: ScheduleKind,
    /// Its name and labels.
    pub metadata: Metadata,
    /// What it is.
    pub spec: ScheduleSpec,
}

/// The one value of a schedule's `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScheduleKind {
    /// A schedule.
    Schedule,
}

/// The schedule itself. Exactly one of `cron` and `probabilistic` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["cron"] }, { "required": ["probabilistic"] }]))]
pub struct ScheduleSpec {
    /// The experiment: the name of one in the same file or known to the controller, or the `spec` of one.
    pub experiment: ExperimentSource,
    /// Runs at the local times that a cron pattern of five fields matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<CronPattern>,
    /// Runs now and then, by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilistic: Option<Probabilistic>,
    /// The time zone of everything here (UTC unless told).
    #[serde(default)]
    pub time_zone: ZoneName,
    /// When a run may start; at any time if there is none. Several add up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// When no run starts, whatever the windows say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
    /// Each run of `cron` starts later than the pattern says by up to this, drawn by the seed (0 unless told).
    #[serde(default)]
    pub jitter: TimeSpan,
    /// What happens when a run is due and an earlier one of this schedule has not ended (`forbid` unless told).
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How late a run may start and still be on time (1m unless told). Of several that are due, the last one starts.
    #[serde(default = "one_minute")]
    pub starting_deadline: TimeSpan,
    /// What happens to runs that could not start on time.
    #[serde(default)]
    pub missed: Missed,
    /// Whether nothing runs for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Which runs are kept.
    #[serde(default)]
    pub history: History,
    /// The seed of jitter and of probabilistic draws (0 unless told); the schedule's name is part of every draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

const fn one_minute() -> TimeSpan {
    TimeSpan::from_secs(60)
}

/// Runs by chance: in each eligible slot (a day or an hour in which a window is open) at most once for each group, with
/// the probability 1 / (mean − minimum + 1) once the minimum gap has passed, at a time drawn evenly from the slot's open
/// time. What is hit is chosen when the run starts, from the hosts that are there then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probabilistic {
    /// Who takes part, by name; nobody else is ever met. Each group has its own draws, mean and gap.
    #[schemars(extend("minProperties" = 1))]
    pub groups: BTreeMap<String, Group>,
    /// The mean time between runs of a group, in eligible days or hours.
    pub mean_time_between_runs: SlotCount,
    /// The least time between runs of a group, in the same unit (`1d`, `1h` unless told): 1 is one slot to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_gap: Option<SlotCount>,
}

/// One group of a probabilistic schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Labels that a host must have, besides those that the experiment asks for, to be chosen for this group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// When a run may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// On which days (all unless told).
    #[serde(default)]
    pub days: Weekdays,
    /// In which hours (all unless told). Those past midnight belong to the day on which they begin.
    #[serde(default)]
    pub hours: Hours,
}

/// When no run starts: a `date`, a range `from` and `to`, or the events of an iCalendar file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    extend("dependentRequired" = { "from": ["to"], "to": ["from"] }),
    extend("oneOf" = [
        { "required": ["date"] }, { "required": ["from", "to"] }, { "required": ["calendar"] },
        { "required": ["calendarText"] }
    ])
)]
pub struct Blackout {
    /// One day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Moment>,
    /// The first day, or the time with which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The last day, which is included, or the time with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Moment>,
    /// An iCalendar file (RFC 5545), from the folder of the document: during its events no run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<PathBuf>,
    /// The text of such a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar_text: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens when a run is due and an earlier one of the schedule has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Concurrency {
    /// The one that is due is left out.
    #[default]
    Forbid,
    /// Both run.
    Allow,
    /// The earlier one is aborted and undone, then the one that is due starts.
    Replace,
}

/// What happens to runs that could not start on time, because no controller was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Missed {
    /// What happens (`skip` unless told).
    #[serde(default)]
    pub policy: MissedPolicy,
    /// With `run-once`: how late the last of them may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<TimeSpan>,
}

/// What happens to missed runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissedPolicy {
    /// They are recorded as missed.
    #[default]
    Skip,
    /// The last of them runs, if its deadline has not passed; the others are recorded as missed.
    RunOnce,
}

/// Which runs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// How many ended runs are kept, 1 or more (20 unless told).
    #[schemars(range(min = 1))]
    pub keep: u32,
}

impl Default for History {
    fn default() -> Self {
        Self { keep: 20 }
    }
}

impl DocumentKind for Schedule {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self, findings: &mut Findings<'_>) {
        super::check::check(self, jiff::Timestamp::now(), findings);
    }
}
