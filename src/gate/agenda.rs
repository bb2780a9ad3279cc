//! What the gate does next: pure, without a clock. It starts what fits and meets nothing that runs, has it end before the
//! time box does, and says of what did not run why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::length::{Length, reserve, seconds};
use crate::hypothesis::verdict::RunVerdict;

/// By which rules the gate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time in which everything ends, cleaning up included.
    pub within: Option<Duration>,
    /// How many may run at the same time; never fewer than one.
    pub parallel: usize,
    /// How often an experiment that was violated or not decided is run again.
    pub retries: u32,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Some time has passed, or nothing has begun yet.
    Time,
    /// A run of this experiment ended so.
    Ended(usize, RunVerdict),
    /// A person or a signal ends the gate.
    Interrupted,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start a run of this experiment.
    Start(usize),
    /// Tell the run of this experiment to undo and end, since the time box ends.
    Cut(usize),
    /// Tell it to wait for its recovery no more.
    Hurry(usize),
    /// Tell it that it is interrupted.
    Interrupt(usize),
}

/// What the gate has done and will do. All times are since it began.
#[derive(Debug, Clone)]
pub struct Agenda {
    lengths: Vec<Length>,
    /// Pairs of experiments that may not run at the same time.
    meet: BTreeSet<(usize, usize)>,
    pace: Pace,
    waiting: VecDeque<usize>,
    running: BTreeSet<usize>,
    retried: BTreeMap<usize, u32>,
    /// Why nothing more is started, if so.
    ended: Option<String>,
    cut: BTreeSet<usize>,
    hurried: BTreeSet<usize>,
    left_out: BTreeMap<usize, String>,
}

impl Agenda {
    /// Nothing has begun. `meet` holds the pairs that may not run at the same time, in either order.
    pub fn new(lengths: Vec<Length>, meet: impl IntoIterator<Item = (usize, usize)>, pace: Pace) -> Self {
        let meet = meet.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]).collect();
        let waiting = (0..lengths.len()).collect();
        let pace = Pace { parallel: pace.parallel.max(1), ..pace };
        Self {
            lengths,
            meet,
            pace,
            waiting,
            running: BTreeSet::new(),
            retried: BTreeMap::new(),
            ended: None,
            cut: BTreeSet::new(),
            hurried: BTreeSet::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// How long everything takes at least, without a time box and without retries: what is found out by going through it.
    pub fn rehearse(&self) -> Duration {
        let mut agenda = Self { pace: Pace { within: None, retries: 0, ..self.pace }, ..self.clone() };
        let mut now = Duration::ZERO;
        let mut ends: BTreeSet<(Duration, usize)> = BTreeSet::new();
        let mut event = Event::Time;
        loop {
            for order in agenda.step(now, event) {
                if let Order::Start(index) = order {
                    ends.insert((now + agenda.lengths[index].least, index));
                }
            }
            let Some((end, index)) = ends.pop_first() else { return now };
            now = end;
            event = Event::Ended(index, RunVerdict::Held);
        }
    }

    /// What to do now.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Order> {
        let mut orders = Vec::new();
        match event {
            Event::Time => {}
            Event::Ended(index, verdict) => self.ended(index, verdict),
            Event::Interrupted => {
                self.ended.get_or_insert_with(|| "the gate was interrupted".into());
                orders.extend(self.running.iter().map(|index| Order::Interrupt(*index)));
            }
        }
        if let Some((cut, hurry)) = self.deadlines() {
            if now >= cut {
                self.ended.get_or_insert_with(|| "the time box had ended".into());
                orders.extend(self.running.difference(&self.cut).map(|index| Order::Cut(*index)));
                self.cut.extend(&self.running);
            }
            if now >= hurry {
                orders.extend(self.running.difference(&self.hurried).map(|index| Order::Hurry(*index)));
                self.hurried.extend(&self.running);
            }
        }
        self.start(now, &mut orders);
        orders
    }

    fn ended(&mut self, index: usize, verdict: RunVerdict) {
        self.running.remove(&index);
        match verdict {
            RunVerdict::CleanupUnverified => {
                let because =
                    "the cleanup of a run before it could not be verified: nothing more is put on top of that";
                self.ended.get_or_insert_with(|| because.into());
            }
            RunVerdict::Interrupted => {
                self.ended.get_or_insert_with(|| "the gate was interrupted".into());
            }
            RunVerdict::Violated | RunVerdict::Inconclusive | RunVerdict::NoData => {
                let retried = self.retried.entry(index).or_default();
                if *retried < self.pace.retries {
                    *retried += 1;
                    self.waiting.push_front(index);
                }
            }
            RunVerdict::Held | RunVerdict::Invalid | RunVerdict::Aborted | RunVerdict::Refused => {}
        }
    }

    fn start(&mut self, now: Duration, orders: &mut Vec<Order>) {
        if let Some(because) = self.ended.clone() {
            self.left_out.extend(self.waiting.drain(..).map(|index| (index, because.clone())));
            return;
        }
        if let Some((cut, _)) = self.deadlines() {
            let left = cut.saturating_sub(now);
            let (fit, late): (VecDeque<_>, VecDeque<_>) =
                self.waiting.iter().partition(|index| self.lengths[**index].least <= left);
            self.waiting = fit;
            let because = |index: usize| {
                let (least, left) = (seconds(self.lengths[index].least), seconds(left));
                format!("its method takes {least}, and {left} of the time box was left")
            };
            let late: Vec<_> = late.into_iter().map(|index| (index, because(index))).collect();
            self.left_out.extend(late);
        }
        while self.running.len() < self.pace.parallel {
            let free = |index: &usize| !self.running.iter().any(|other| self.meet.contains(&(*index, *other)));
            let Some(place) = self.waiting.iter().position(free) else { return };
            if let Some(index) = self.waiting.remove(place) {
                self.running.insert(index);
                orders.push(Order::Start(index));
            }
        }
    }

    /// When runs are told to end, and when to wait for recovery no more.
    fn deadlines(&self) -> Option<(Duration, Duration)> {
        let within = self.pace.within?;
        let reserve = reserve(within);
        Some((within - reserve, within - reserve * 2 / 3))
    }

    /// When to ask again, if nothing happens before.
    pub fn wake(&self, now: Duration) -> Option<Duration> {
        let (cut, hurry) = self.deadlines()?;
        [cut, hurry].into_iter().find(|at| *at > now)
    }

    /// Whether nothing runs and nothing waits.
    pub fn is_over(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// What was not run, or not run again, and why.
    pub fn left_out(&self) -> &BTreeMap<usize, String> {
        &self.left_out
    }
}

#[cfg(test)]
#[path = "agenda_tests.rs"]
mod tests;
