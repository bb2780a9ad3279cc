//! What a schedule says, compiled: which slots there are, and when each is due.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::document::{Concurrency, CronPattern, MissedPolicy, Schedule};
use super::draw::{Drawn, Draws};
use super::local::first_instant;
use super::open_times::{Closed, OpenTimes};
use super::probabilistic::Chance;

/// The firing rule of a schedule, or of one group of a probabilistic schedule. Two controllers with the same document
/// have the same rule: the same slots, the same keys, the same draws.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The schedule's name, and for a group `name/group`: a unique name of this rule.
    pub id: String,
    /// The group, of a probabilistic schedule.
    pub group: Option<String>,
    /// What happens when a run is due and an earlier one has not ended.
    pub concurrency: Concurrency,
    /// Whether the document suspends the schedule.
    pub suspend: bool,
    pub(super) zone: TimeZone,
    pub(super) times: OpenTimes,
    pub(super) starting_deadline: SignedDuration,
    pub(super) make_up: Option<SignedDuration>,
    pub(super) trigger: Trigger,
    pub(super) draws: Draws,
}

#[derive(Debug, Clone)]
pub(super) enum Trigger {
    Cron { pattern: CronPattern, jitter: u32 },
    Chance(Chance),
}

/// A document that says of no time that a run is due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schedule {name} has not exactly one of `cron` and `probabilistic`, or no usable one")]
pub struct RuleError {
    /// The schedule.
    pub name: String,
}

/// One occasion at which a run may be due. Its key is the same on every controller: claiming it once, in one
/// transaction, is what makes a run start at most once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slot {
    /// `rule@instant`: `weekday-mornings@2026-11-23T09:00:00Z`.
    pub key: String,
    /// The time of the pattern, before jitter; of a probabilistic schedule, when the slot begins.
    pub start: Timestamp,
    /// The group, of a probabilistic schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key)
    }
}

/// When the last run of a rule started. It decides when the minimum gap of a probabilistic schedule has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastRun {
    /// Nobody knows. A probabilistic schedule does not fire until somebody does.
    Unknown,
    /// There was none; known for certain.
    Never,
    /// It started at this instant.
    At(Timestamp),
}

impl Rule {
    /// The rules of a schedule: one, or one for each group. Calendar files must have been read before
    /// ([`Schedule::with_calendars`]): one that was not closes the schedule.
    ///
    /// # Errors
    /// If the document has no usable trigger, which `check` refuses.
    pub fn compile(schedule: &Schedule) -> Result<Vec<Self>, RuleError> {
        let spec = &schedule.spec;
        let name = &schedule.metadata.name;
        let refuse = || RuleError { name: name.clone() };
        let zone = spec.time_zone.rules().clone();
        let times = OpenTimes::new(&zone, &spec.windows, &spec.blackouts);
        let rule = |id: String, group: Option<String>, trigger: Trigger| Self {
            draws: Draws::new(spec.seed.unwrap_or(0), &id),
            id,
            group,
            concurrency: spec.concurrency,
            suspend: spec.suspend,
            zone: zone.clone(),
            times: times.clone(),
            starting_deadline: seconds(spec.starting_deadline.duration()),
            make_up: match spec.missed.policy {
                MissedPolicy::Skip => None,
                MissedPolicy::RunOnce => Some(seconds(spec.missed.deadline.unwrap_or_default().duration())),
            },
            trigger,
        };
        match (&spec.cron, &spec.probabilistic) {
            (Some(pattern), None) => {
                let jitter = u32::try_from(spec.jitter.duration().as_secs()).map_err(|_| refuse())?;
                Ok(vec![rule(name.clone(), None, Trigger::Cron { pattern: pattern.clone(), jitter })])
            }
            (None, Some(probabilistic)) => {
                let chance = Chance::new(probabilistic).ok_or_else(refuse)?;
                let groups = probabilistic.groups.keys();
                let of = |group: &String| {
                    rule(format!("{name}/{group}"), Some(group.clone()), Trigger::Chance(chance.clone()))
                };
                let rules: Vec<Self> = groups.map(of).collect();
                if rules.is_empty() { Err(refuse()) } else { Ok(rules) }
            }
            _ => Err(refuse()),
        }
    }

    /// The time zone of the schedule.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What of the schedule's blackouts is not understood, so that it never fires.
    pub fn not_understood(&self) -> Option<&str> {
        self.times.not_understood()
    }

    /// The next slot that begins after an instant and before `limit`, in which a run is due, and when. Whether windows
    /// and blackouts allow it is another question ([`closed`](Self::closed)).
    pub fn next(&self, after: Timestamp, last_run: LastRun, limit: Timestamp) -> Option<(Slot, Timestamp)> {
        match &self.trigger {
            Trigger::Cron { pattern, jitter } => {
                let start = self.next_match(pattern, after).filter(|start| *start < limit)?;
                let late = SignedDuration::from_secs(i64::from(self.draws.below(Drawn::Jitter, start, *jitter)));
                Some((self.slot(start), start.checked_add(late).ok()?))
            }
            Trigger::Chance(chance) => chance.next(self, after, last_run, limit),
        }
    }

    /// Why no run may start in a slot although it is due: its time, or the time to which jitter moved it, is closed.
    pub fn closed(&self, slot: &Slot, at: Timestamp) -> Option<Closed> {
        let of_slot = match self.trigger {
            Trigger::Cron { .. } if slot.start != at => self.times.closed_at(slot.start),
            _ => None,
        };
        of_slot.or_else(|| self.times.closed_at(at))
    }

    /// The first instant after another whose local time the pattern matches. Each local time counts once
    /// ([`first_instant`]).
    pub(super) fn next_match(&self, pattern: &CronPattern, after: Timestamp) -> Option<Timestamp> {
        let mut local = self.zone.to_datetime(after);
        loop {
            local = pattern.next_after(local)?;
            let instant = first_instant(&self.zone, local)?;
            // In the hour that exists twice, and in a gap, local times lead back to instants that are past.
            if instant > after {
                return Some(instant);
            }
        }
    }

    pub(super) fn slot(&self, start: Timestamp) -> Slot {
        Slot { key: format!("{}@{start}", self.id), start, group: self.group.clone() }
    }
}

/// A length of time, which documents bound to 366 days.
fn seconds(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
