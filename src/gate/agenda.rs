//! What the gate does next: pure, without a clock. It starts what fits and meets nothing that runs, has it end before the
//! time box does, and says of what did not run why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::experiment::document::{MethodStep, Spec};
use crate::hypothesis::verdict::RunVerdict;

/// What undoing, and taking down services, may need at the end of a time box: an undo takes milliseconds, services have 5 s
/// to end, and the rest is for a loaded host.
const CLEANING: Duration = Duration::from_secs(15);

/// How long a run of an experiment takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Length {
    /// Its method alone: no complete run is shorter.
    pub least: Duration,
    /// With services that need all the time they may have to come up, a recovery that does, and the cleaning up.
    pub most: Duration,
}

impl Length {
    /// That of a document.
    pub fn of(spec: &Spec) -> Self {
        let least: Duration = spec.method.iter().map(MethodStep::lasts).sum();
        let ready = |service: &crate::experiment::document::Service| {
            service.ready.as_ref().map_or(Duration::ZERO, |ready| ready.within.duration())
        };
        let services: Duration = spec.services.values().map(ready).sum();
        Self { least, most: services + least + spec.recovery.within.duration() + CLEANING }
    }
}

/// The part of a time box that is kept for cleaning up: 15 s, of a short one a quarter.
pub fn reserve(within: Duration) -> Duration {
    CLEANING.min(within / 4)
}

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

/// A length of time as people say it, to the second: `24m 10s`.
pub fn seconds(length: Duration) -> String {
    let whole = (length + Duration::from_millis(500)).as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn agenda(lengths: &[u64], meet: &[(usize, usize)], within: Option<u64>, parallel: usize, retries: u32) -> Agenda {
        let lengths = lengths.iter().map(|least| Length { least: secs(*least), most: secs(least + 60) }).collect();
        Agenda::new(lengths, meet.iter().copied(), Pace { within: within.map(secs), parallel, retries })
    }

    #[test]
    fn what_meets_runs_one_after_the_other_and_the_rest_beside_one_another() {
        let mut gate = agenda(&[10, 10, 10], &[(1, 0)], None, 2, 0);
        assert_eq!(gate.rehearse(), secs(20));
        assert_eq!(gate.step(secs(0), Event::Time), [Order::Start(0), Order::Start(2)]);
        assert_eq!(gate.step(secs(5), Event::Ended(2, RunVerdict::Held)), []);
        assert_eq!(gate.step(secs(10), Event::Ended(0, RunVerdict::Held)), [Order::Start(1)]);
        gate.step(secs(20), Event::Ended(1, RunVerdict::Held));
        assert!(gate.is_over() && gate.left_out().is_empty());
        assert_eq!(agenda(&[10, 10, 10], &[], None, 1, 0).rehearse(), secs(30));
        assert_eq!(agenda(&[10, 10, 10], &[], None, 3, 0).rehearse(), secs(10));
    }

    #[test]
    fn the_box_cuts_what_runs_in_time_and_names_what_did_not_run() {
        let mut gate = agenda(&[60, 60, 10], &[], Some(120), 1, 0);
        assert_eq!(gate.step(secs(0), Event::Time), [Order::Start(0)]);
        // 105 s are for runs: 35 s of them are left now.
        assert_eq!(gate.step(secs(70), Event::Ended(0, RunVerdict::Held)), [Order::Start(2)]);
        assert_eq!(gate.left_out()[&1], "its method takes 1m, and 35s of the time box was left");
        assert_eq!(gate.wake(secs(70)), Some(secs(105)));
        assert_eq!(gate.step(secs(105), Event::Time), [Order::Cut(2)]);
        assert_eq!(gate.step(secs(106), Event::Time), []);
        assert_eq!(gate.wake(secs(106)), Some(secs(110)));
        assert_eq!(gate.step(secs(110), Event::Time), [Order::Hurry(2)]);
        assert_eq!(gate.step(secs(111), Event::Ended(2, RunVerdict::Aborted)), []);
        assert!(gate.is_over());
        assert_eq!(reserve(secs(20)), secs(5));
    }

    #[test]
    fn only_what_was_not_decided_or_violated_is_run_again_and_no_more_often_than_asked() {
        let mut gate = agenda(&[10, 10], &[], None, 1, 1);
        gate.step(secs(0), Event::Time);
        assert_eq!(gate.step(secs(1), Event::Ended(0, RunVerdict::Violated)), [Order::Start(0)]);
        assert_eq!(gate.step(secs(2), Event::Ended(0, RunVerdict::Inconclusive)), [Order::Start(1)]);
        assert_eq!(gate.step(secs(3), Event::Ended(1, RunVerdict::Aborted)), []);
        assert!(gate.is_over());
    }

    #[test]
    fn nothing_is_put_on_top_of_what_may_have_been_left_behind() {
        let mut gate = agenda(&[10, 10, 10], &[(0, 1)], None, 2, 3);
        gate.step(secs(0), Event::Time);
        assert_eq!(gate.step(secs(1), Event::Ended(0, RunVerdict::CleanupUnverified)), []);
        assert_eq!(gate.left_out().keys().copied().collect::<Vec<_>>(), [1]);
        assert!(!gate.is_over());
        gate.step(secs(2), Event::Ended(2, RunVerdict::Violated));
        assert!(gate.is_over());
        assert!(gate.left_out().contains_key(&2), "its retry was left out");
    }

    #[test]
    fn an_interruption_reaches_everything_that_runs() {
        let mut gate = agenda(&[10, 10, 10], &[], None, 2, 1);
        gate.step(secs(0), Event::Time);
        assert_eq!(gate.step(secs(1), Event::Interrupted), [Order::Interrupt(0), Order::Interrupt(1)]);
        assert_eq!(gate.left_out()[&2], "the gate was interrupted");
        for index in [0, 1] {
            assert_eq!(gate.step(secs(2), Event::Ended(index, RunVerdict::Interrupted)), []);
        }
        assert!(gate.is_over());
    }

    #[test]
    fn lengths_are_said_to_the_second() {
        assert_eq!([0, 59, 60, 3661].map(|length| seconds(secs(length))), ["0s", "59s", "1m", "1h 1m 1s"]);
    }

    proptest::proptest! {
        #[test]
        fn every_experiment_ends_or_is_named_and_what_meets_never_runs_together(
            lengths in proptest::collection::vec(1u64..100, 1..8),
            meet in proptest::collection::vec((0usize..8, 0usize..8), 0..8),
            parallel in 1usize..4,
            within in proptest::option::of(1u64..300),
            verdicts in proptest::collection::vec(0usize..9, 40),
            retries in 0u32..3,
        ) {
            let all = [
                RunVerdict::Held, RunVerdict::Held, RunVerdict::Held, RunVerdict::Violated, RunVerdict::Inconclusive,
                RunVerdict::Aborted, RunVerdict::Refused, RunVerdict::Invalid, RunVerdict::CleanupUnverified,
            ];
            let mut gate = agenda(&lengths, &meet, within, parallel, retries);
            let (mut now, mut event, mut verdicts) = (secs(0), Event::Time, verdicts.into_iter().cycle());
            let mut running: Vec<(Duration, usize)> = Vec::new();
            let mut ran = BTreeSet::new();
            loop {
                for order in gate.step(now, event) {
                    match order {
                        Order::Start(index) => {
                            for (_, other) in &running {
                                proptest::prop_assert!(!meet.contains(&(index, *other)) && !meet.contains(&(*other, index)));
                            }
                            ran.insert(index);
                            running.push((now + secs(lengths[index]), index));
                        }
                        Order::Cut(index) | Order::Hurry(index) | Order::Interrupt(index) => {
                            for run in running.iter_mut().filter(|run| run.1 == index) {
                                run.0 = now + secs(1);
                            }
                        }
                    }
                }
                proptest::prop_assert!(running.len() <= parallel);
                running.sort_unstable();
                let wake = gate.wake(now);
                match running.first().copied() {
                    Some((end, _)) if wake.is_some_and(|wake| wake < end) => {
                        now = wake.unwrap();
                        event = Event::Time;
                    }
                    Some((end, index)) => {
                        now = end;
                        running.remove(0);
                        event = Event::Ended(index, all[verdicts.next().unwrap()]);
                    }
                    None => break,
                }
            }
            proptest::prop_assert!(gate.is_over());
            for index in 0..lengths.len() {
                proptest::prop_assert!(ran.contains(&index) || gate.left_out().contains_key(&index));
            }
            if let Some(within) = within {
                proptest::prop_assert!(now <= secs(within + 1));
            }
        }
    }
}
