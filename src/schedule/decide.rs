//! The firing rule: from a schedule, what is known of it, and the time, to what is to be done. Pure: no clock, no store,
//! no waiting.
//!
//! Slots are settled one after the other, each exactly once: fired, skipped with a reason, or missed. Whoever carries
//! this out records the settlement and the claim of the slot's key in one transaction, before anything starts; the
//! claim fails if another controller has it. Without a state that was read there is no decision: a store that cannot be
//! read fires nothing.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::document::Concurrency;
use super::open_times::Closed;
use super::rule::{LastRun, Rule, Slot};

/// What is known of a rule from its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Slots that begin at or before this instant are settled. At first, and when the schedule is resumed or changed:
    /// the time of that, so that what was before is nobody's.
    pub settled: Timestamp,
    /// The last run of this rule.
    pub last_run: LastRun,
    /// How many runs of the schedule, of all its groups, have not ended.
    pub running: usize,
    /// Whether somebody suspended the schedule (besides what its document says), or the fleet is halted.
    pub suspended: bool,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// Start a run.
    Fire {
        /// For this slot.
        slot: Slot,
        /// When it was due.
        at: Timestamp,
        /// Whether it is later than the starting deadline, and made up for by `run-once`.
        late: bool,
        /// Whether runs of the schedule that have not ended must be aborted and undone first.
        replace: bool,
    },
    /// Nothing yet: ask again at this instant, or at once when the schedule or its state changes. Never more than a day
    /// off.
    Wait {
        /// When to ask again.
        until: Timestamp,
    },
    /// Record that slots that were due have not had a run, and never will.
    Missed {
        /// The first of them.
        first: Slot,
        /// The last of them. Every slot between them is missed too.
        last: Slot,
        /// How many they are.
        count: u64,
    },
    /// Record that a slot has no run, and why.
    Skip {
        /// The slot.
        slot: Slot,
        /// When it was due.
        at: Timestamp,
        /// Why.
        why: SkipReason,
    },
}

/// Why a slot that was due has no run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum SkipReason {
    /// Its time is closed, or that at which it could start at last.
    Closed(Closed),
    /// Something else.
    Other(NotNow),
}

/// Why a run does not start though its time is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub enum NotNow {
    /// The schedule is suspended.
    Suspended,
    /// An earlier run has not ended, and `concurrency` is `forbid`.
    StillRunning,
    /// It is not known when the last run was, so the minimum gap may not have passed.
    LastRunUnknown,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(formatter),
            Self::Other(NotNow::Suspended) => formatter.write_str("suspended"),
            Self::Other(NotNow::StillRunning) => formatter.write_str("an earlier run has not ended"),
            Self::Other(NotNow::LastRunUnknown) => formatter.write_str("it is not known when the last run was"),
        }
    }
}

impl Decision {
    /// What `settled` of the state is, once this was carried out and recorded; `None` if nothing is settled by it.
    pub fn settles(&self) -> Option<Timestamp> {
        match self {
            Self::Fire { slot, .. } | Self::Skip { slot, .. } | Self::Missed { last: slot, .. } => Some(slot.start),
            Self::Wait { .. } => None,
        }
    }
}

/// How far ahead is looked.
const HORIZON: SignedDuration = SignedDuration::from_hours(24);
/// How many missed slots one decision takes together.
const MOST_MISSED: u64 = 10_000;

/// Decides what is to be done for a rule at an instant. Asked again after the decision was recorded
/// ([`Decision::settles`]), it says what is next; asked again before, it says the same.
pub fn decide(rule: &Rule, state: &State, now: Timestamp) -> Decision {
    let limit = now.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    let next = |after: Timestamp| rule.next(after, state.last_run, limit);
    let Some((slot, at)) = next(state.settled).filter(|(_, at)| *at < limit) else {
        return Decision::Wait { until: limit };
    };
    if now < at {
        return Decision::Wait { until: at };
    }
    if let Some(closed) = rule.closed(&slot, at) {
        return Decision::Skip { slot, at, why: SkipReason::Closed(closed) };
    }
    if rule.group.is_some() && state.last_run == LastRun::Unknown {
        return Decision::Skip { slot, at, why: SkipReason::Other(NotNow::LastRunUnknown) };
    }
    if state.suspended || rule.suspend {
        return Decision::Skip { slot, at, why: SkipReason::Other(NotNow::Suspended) };
    }

    // From here the slot has a run unless it is too late, or a later one that is due makes it superfluous.
    let due = |after: Timestamp| next(after).filter(|(_, at)| *at <= now);
    let fires = |slot: &Slot, at: Timestamp| {
        let lateness = now.duration_since(at);
        let in_time = lateness <= rule.starting_deadline || rule.make_up.is_some_and(|deadline| lateness <= deadline);
        in_time && !followed(rule, slot, &due)
    };
    let mut missed: Option<(Slot, u64)> = None;
    let mut candidate = Some((slot.clone(), at));
    while let Some((one, at)) = candidate.take() {
        let count = missed.as_ref().map_or(0, |(_, count)| *count);
        if count == MOST_MISSED || rule.closed(&one, at).is_some() || fires(&one, at) {
            break;
        }
        candidate = due(one.start);
        missed = Some((one, count + 1));
    }
    if let Some((last, count)) = missed {
        return Decision::Missed { first: slot, last, count };
    }

    if let Some(closed) = rule.closed(&slot, now) {
        return Decision::Skip { slot, at, why: SkipReason::Closed(closed) };
    }
    if state.running > 0 && rule.concurrency == Concurrency::Forbid {
        return Decision::Skip { slot, at, why: SkipReason::Other(NotNow::StillRunning) };
    }
    Decision::Fire {
        late: now.duration_since(at) > rule.starting_deadline,
        replace: state.running > 0 && rule.concurrency == Concurrency::Replace,
        slot,
        at,
    }
}

/// Whether a later slot is due as well, and open.
fn followed(rule: &Rule, slot: &Slot, due: &impl Fn(Timestamp) -> Option<(Slot, Timestamp)>) -> bool {
    let mut later = due(slot.start);
    while let Some((one, at)) = later {
        if rule.closed(&one, at).is_none() {
            return true;
        }
        later = due(one.start);
    }
    false
}
