//! A controller on a simulated clock: it asks the rule, carries out what it says, and writes everything down.

use jiff::{SignedDuration, Timestamp};

use crate::schedule::{Decision, LastRun, Rule, Slot, State, decide};

type Span = (Timestamp, Timestamp);

/// What the world is like while a rule is driven.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// When no controller is there.
    pub(super) down: Vec<Span>,
    /// When the schedule is suspended from outside.
    pub(super) suspended: Vec<Span>,
    /// How long a run takes.
    pub(super) run: SignedDuration,
    /// Asks again at least this often, whatever the rule says.
    pub(super) tick: Option<SignedDuration>,
    /// Asks each time twice.
    pub(super) twice: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct History {
    /// Each run: its slot, when it was due, when it started, and whether earlier ones were replaced.
    pub(super) fired: Vec<(Slot, Timestamp, Timestamp, bool)>,
    /// Each slot skipped, and why.
    pub(super) skipped: Vec<(Slot, String)>,
    /// The first and the last slot missed together, and how many.
    pub(super) missed: Vec<(Slot, Slot, u64)>,
    /// How often the rule was asked.
    pub(super) asked: usize,
}

fn within(spans: &[Span], now: Timestamp) -> Option<Timestamp> {
    spans.iter().find(|(from, until)| (*from..*until).contains(&now)).map(|(_, until)| *until)
}

/// Drives a rule from one instant until another.
pub(super) fn drive(rule: &Rule, world: &World, from: Timestamp, until: Timestamp) -> History {
    let mut history = History::default();
    let mut state = State { settled: from, last_run: LastRun::Never, running: 0, suspended: false };
    let mut running: Vec<Timestamp> = Vec::new();
    let mut now = from;
    while now < until {
        if let Some(back) = within(&world.down, now) {
            now = back;
            continue;
        }
        running.retain(|end| *end > now);
        state.running = running.len();
        state.suspended = within(&world.suspended, now).is_some();
        let decision = decide(rule, &state, now);
        history.asked += 1;
        if world.twice {
            assert_eq!(decision, decide(rule, &state, now), "the same question has one answer");
        }
        if let Some(settled) = decision.settles() {
            assert!(settled > state.settled, "a slot is settled once: {decision:?}");
            state.settled = settled;
        }
        match decision {
            Decision::Wait { until } => {
                assert!(until > now, "waiting for the past");
                let tick = world.tick.map_or(until, |tick| now.checked_add(tick).unwrap());
                now = until.min(tick);
            }
            Decision::Fire { slot, at, replace, .. } => {
                if replace {
                    running.clear();
                }
                running.push(now.checked_add(world.run).unwrap());
                state.last_run = LastRun::At(now);
                history.fired.push((slot, at, now, replace));
            }
            Decision::Skip { slot, why, .. } => history.skipped.push((slot, why.to_string())),
            Decision::Missed { first, last, count } => history.missed.push((first, last, count)),
        }
    }
    history
}
