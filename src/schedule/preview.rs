//! What a schedule will do, as far as its document says.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::draw::Drawn;
use super::local::clock_changes;
use super::open_times::Closed;
use super::probabilistic::Chance;
use super::rule::{LastRun, Rule, Slot, Trigger};

/// What a rule will do between two instants, if nothing is suspended, late, or still running.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The rule: the schedule's name, or `name/group`.
    pub rule: String,
    /// The probability of a run in a slot, of a probabilistic schedule.
    pub probability: Option<f64>,
    /// What will be, in order.
    pub entries: Vec<Entry>,
}

/// One line of a preview.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The slot, unless it is about clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// What happens.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The number drawn for the slot, of a probabilistic schedule: a run takes place if it is below the probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<f64>,
    /// The local time that the pattern means, where that does not exist on the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<DateTime>,
}

/// What happens at some time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// A run starts.
    Fire,
    /// None starts, and why.
    Skip {
        /// Why.
        #[serde(flatten)]
        why: Closed,
    },
    /// The draw says no.
    NotDrawn,
    /// The minimum gap after the last run has not passed.
    WithinGap,
    /// Clocks change.
    ClocksChange {
        /// By how many seconds they are set forward.
        #[serde(rename = "forwardBySeconds")]
        by: i64,
    },
}

/// Lists what a rule will do from one instant until another. Of a probabilistic schedule it is assumed that it had no
/// run before.
pub fn preview(rule: &Rule, from: Timestamp, until: Timestamp) -> Preview {
    let (probability, mut entries) = match &rule.trigger {
        Trigger::Cron { jitter, .. } => (None, by_pattern(rule, *jitter, from, until)),
        Trigger::Chance(chance) => (Some(chance.probability), by_chance(rule, chance, from, until)),
    };
    entries.retain(|entry| entry.at >= from && entry.at < until);
    let clocks = clock_changes(&rule.zone, from, until).into_iter().map(|change| Entry {
        outcome: Outcome::ClocksChange { by: change.by.as_secs() },
        ..entry(change.at, None, Outcome::Fire)
    });
    entries.extend(clocks);
    entries.sort_by_key(|entry| (entry.at, entry.slot.is_some()));
    Preview { rule: rule.id.clone(), probability, entries }
}

fn entry(at: Timestamp, slot: Option<Slot>, outcome: Outcome) -> Entry {
    Entry { at, slot, outcome, draw: None, instead_of: None }
}

fn by_pattern(rule: &Rule, jitter: u32, from: Timestamp, until: Timestamp) -> Vec<Entry> {
    let Trigger::Cron { pattern, .. } = &rule.trigger else { return Vec::new() };
    // A slot before `from` may be moved behind it by jitter.
    let mut after = back(from, i64::from(jitter) + 1);
    let mut entries = Vec::new();
    while let Some((slot, at)) = rule.next(after, LastRun::Never, until) {
        let outcome = rule.closed(&slot, at).map_or(Outcome::Fire, |why| Outcome::Skip { why });
        // The pattern matches a local time; where that is in a gap, the slot's instant has another.
        let before = rule.zone.to_datetime(back(slot.start, 1));
        let meant = pattern.next_after(before);
        let instead_of = meant.filter(|meant| *meant != rule.zone.to_datetime(slot.start));
        after = slot.start;
        entries.push(Entry { instead_of, ..entry(at, Some(slot), outcome) });
    }
    entries
}

fn by_chance(rule: &Rule, chance: &Chance, from: Timestamp, until: Timestamp) -> Vec<Entry> {
    // The slot in which `from` lies may still have a run.
    let day = rule.zone.to_datetime(from).date();
    let midnight = super::open_times::day_of(&rule.zone, day).map_or(from, |(start, _)| start);
    let mut gap = 0;
    let mut entries = Vec::new();
    for eligible in chance.eligible(rule, back(midnight, 1), until) {
        let slot = rule.slot(eligible.start);
        let at = eligible.time(rule);
        if gap > 0 {
            gap -= 1;
            entries.push(entry(eligible.start.max(from), Some(slot), Outcome::WithinGap));
            continue;
        }
        let draw = rule.draws.fraction(Drawn::Coin, eligible.start);
        if draw >= chance.probability {
            let line = entry(eligible.start.max(from), Some(slot), Outcome::NotDrawn);
            entries.push(Entry { draw: Some(draw), ..line });
            continue;
        }
        let outcome = rule.closed(&slot, at).map_or(Outcome::Fire, |why| Outcome::Skip { why });
        if outcome == Outcome::Fire && at >= from {
            gap = chance.minimum - 1;
        }
        entries.push(Entry { draw: Some(draw), ..entry(at, Some(slot), outcome) });
    }
    entries
}

fn back(instant: Timestamp, seconds: i64) -> Timestamp {
    instant.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}
