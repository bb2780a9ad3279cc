//! Runs by chance: Chaos Monkey's schedule, with the mean that was asked for.
//!
//! A slot is a day, or an hour, in which the schedule is open for at least a minute. In each slot one coin is thrown.
//! After a run in slot *i* none is due before slot *i + minimum*; from there on each slot has a run with
//! p = 1 / (mean − minimum + 1). The number of slots from one run to the next is then minimum − 1 and a geometric
//! number with mean 1/p: together the mean. (Chaos Monkey uses 1/mean whatever the minimum, so its true mean is
//! mean + minimum − 1.)

use jiff::{SignedDuration, Timestamp};

use super::document::{Probabilistic, SlotLength};
use super::draw::Drawn;
use super::open_times::day_of;
use super::rule::{LastRun, Rule, Slot};

/// Mean and gap of a probabilistic schedule.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    length: SlotLength,
    pub(super) minimum: u32,
    /// The probability of a run in a slot once the gap has passed.
    pub(super) probability: f64,
}

/// A day or an hour in which the schedule is open.
#[derive(Debug, Clone)]
pub(super) struct EligibleSlot {
    pub(super) start: Timestamp,
    open: Vec<(Timestamp, Timestamp)>,
}

/// One throw of the coin, as the preview shows it.
#[derive(Debug, Clone)]
pub(super) struct Throw {
    pub(super) slot: Slot,
    pub(super) at: Timestamp,
    pub(super) fraction: f64,
}

/// The least time for which a slot is open, in seconds.
const LEAST_OPEN: i64 = 60;

impl Chance {
    /// `None` if the gap is above the mean, or in another unit.
    pub(super) fn new(probabilistic: &Probabilistic) -> Option<Self> {
        let mean = probabilistic.mean_time_between_runs;
        let minimum = probabilistic
            .minimum_gap
            .map_or(Some(1), |gap| (gap.length == mean.length && gap.count <= mean.count).then_some(gap.count))?;
        let probability = 1.0 / f64::from(mean.count - minimum + 1);
        Some(Self { length: mean.length, minimum, probability })
    }

    /// The first slot after an instant and before a limit in which a run is due.
    pub(super) fn next(
        &self,
        rule: &Rule,
        after: Timestamp,
        last_run: LastRun,
        limit: Timestamp,
    ) -> Option<(Slot, Timestamp)> {
        self.throws(rule, after, last_run, limit)
            .find(|throw| throw.fraction < self.probability)
            .map(|throw| (throw.slot, throw.at))
    }

    /// The throws after an instant and before a limit: one for each eligible slot behind the gap.
    pub(super) fn throws<'a>(
        &'a self,
        rule: &'a Rule,
        after: Timestamp,
        last_run: LastRun,
        limit: Timestamp,
    ) -> impl Iterator<Item = Throw> + 'a {
        let from = match last_run {
            // The slot of the last run begins at or before it, so the slots that begin after it are counted.
            LastRun::At(last) => self
                .eligible(rule, last, limit)
                .nth(self.minimum as usize - 1)
                .map_or(limit, |slot| slot.start.checked_sub(SignedDuration::from_secs(1)).unwrap_or(slot.start)),
            LastRun::Never | LastRun::Unknown => after,
        };
        self.eligible(rule, from.max(after), limit).map(|eligible| {
            let slot = rule.slot(eligible.start);
            let fraction = rule.draws.fraction(Drawn::Coin, eligible.start);
            Throw { at: eligible.time(rule), slot, fraction }
        })
    }

    /// The eligible slots that begin after an instant and before a limit, in order.
    pub(super) fn eligible<'a>(
        &'a self,
        rule: &'a Rule,
        after: Timestamp,
        limit: Timestamp,
    ) -> impl Iterator<Item = EligibleSlot> + 'a {
        let first = rule.zone.to_datetime(after).date();
        let days = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        let days = days.map_while(|date| day_of(&rule.zone, date)).take_while(move |(start, _)| *start < limit);
        let slots = days.flat_map(move |(start, end)| match self.length {
            SlotLength::Day => vec![EligibleSlot { start, open: rule.times.open_between(start, end) }],
            SlotLength::Hour => hours(start, end, &rule.times.open_between(start, end)),
        });
        slots.filter(move |slot| slot.start > after && slot.start < limit && slot.seconds() >= LEAST_OPEN)
    }
}

/// The hours of a day: 3,600 seconds each from its midnight, the last one perhaps shorter.
fn hours(start: Timestamp, end: Timestamp, open: &[(Timestamp, Timestamp)]) -> Vec<EligibleSlot> {
    let next = |hour: &Timestamp| hour.checked_add(SignedDuration::from_hours(1)).ok();
    let starts = std::iter::successors(Some(start), next).take_while(|hour| *hour < end);
    let of_hour = |start: Timestamp| {
        let end = next(&start).unwrap_or(end).min(end);
        let within = open.iter().map(|(from, until)| ((*from).max(start), (*until).min(end)));
        EligibleSlot { start, open: within.filter(|(from, until)| from < until).collect() }
    };
    starts.map(of_hour).collect()
}

impl EligibleSlot {
    /// For how many seconds it is open.
    fn seconds(&self) -> i64 {
        self.open.iter().map(|(from, until)| until.as_second() - from.as_second()).sum()
    }

    /// When in the slot a run is due: each open second is as likely.
    pub(super) fn time(&self, rule: &Rule) -> Timestamp {
        let seconds = u32::try_from(self.seconds()).unwrap_or(0);
        let mut left = i64::from(rule.draws.below(Drawn::Time, self.start, seconds));
        for (from, until) in &self.open {
            let length = until.as_second() - from.as_second();
            if left < length {
                return Timestamp::from_second(from.as_second() + left).unwrap_or(*from);
            }
            left -= length;
        }
        self.start
    }
}
