//! A recorded run, looked at again as if it were under way: at fixed moments, by a judge of other objectives.

use crate::run::journal::{Entry, Event, RunState};

use super::judge::{Judge, Steady};
use super::verdict::{ObjectiveVerdict, Phase, Verdict};

/// How often a run looks at its guardrails and for recovery, in seconds; see `LOOK` in `src/run/drive`.
const LOOK: f64 = 0.1;

/// A judge that follows a journal and is asked when a run would ask it.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) judge: Judge,
    /// When the baseline began.
    pub(super) steady: Option<f64>,
    /// When the first fault was to be put in place.
    pub(super) injecting: Option<f64>,
    /// Why the run would not have begun, if it would not have.
    pub(super) not_steady: Option<String>,
    /// The first guardrail that is breached, and when.
    pub(super) breach: Option<(f64, ObjectiveVerdict)>,
    state: RunState,
    looks: u32,
    undone: Option<f64>,
    steady_again: Option<f64>,
    ended: f64,
    is_over: bool,
}

impl Replay {
    pub(super) fn new(judge: Judge) -> Self {
        Self {
            judge,
            steady: None,
            injecting: None,
            not_steady: None,
            breach: None,
            state: RunState::Planned,
            looks: 0,
            undone: None,
            steady_again: None,
            ended: 0.0,
            is_over: false,
        }
    }

    /// Takes in one entry of the journal, after every look that was due before it.
    pub(super) fn follow(&mut self, entry: &Entry) {
        while let Some(due) = self.due().filter(|due| *due <= entry.at) {
            self.looks += 1;
            self.look(due);
        }
        if let Event::State { state, .. } = &entry.event {
            self.enter(*state, entry.at);
        }
        if !std::mem::replace(&mut self.is_over, self.state == RunState::Judged) {
            self.ended = self.ended.max(entry.at);
        }
        self.judge.follow(entry);
    }

    fn due(&self) -> Option<f64> {
        self.steady.map(|steady| steady + f64::from(self.looks + 1) * LOOK)
    }

    fn enter(&mut self, state: RunState, at: f64) {
        match state {
            RunState::Steady => {
                self.steady.get_or_insert(at);
            }
            RunState::Injecting if self.injecting.is_none() => {
                self.injecting = Some(at);
                self.not_steady = match self.judge.is_steady(at) {
                    Steady::Yes => None,
                    Steady::No(why) => Some(format!("not steady before the fault: {why}")),
                    Steady::NotYet(why) => {
                        Some(format!("the baseline could not show that the system is steady: {why}"))
                    }
                };
            }
            RunState::Recovering | RunState::Judged => {
                self.undone.get_or_insert(at);
            }
            _ => {}
        }
        self.state = state;
    }

    fn look(&mut self, now: f64) {
        let is_watched =
            matches!(self.state, RunState::Steady | RunState::Injecting | RunState::Biting | RunState::Watching);
        if is_watched && self.breach.is_none() {
            self.breach = self.judge.breach(now).map(|breach| (now, breach));
        }
        if self.state == RunState::Recovering && self.steady_again.is_none() && self.judge.is_steady(now) == Steady::Yes
        {
            self.steady_again = Some(now);
        }
    }

    /// For how long recovery was watched, in seconds.
    pub(super) fn watched_recovery(&self) -> f64 {
        self.undone.map_or(0.0, |undone| self.ended - undone)
    }

    /// When everything was steady again, and how long after the undo. What only the last answers show, which come after
    /// the last look, is shown at the end of the record.
    pub(super) fn recovered(&self, objectives: &[ObjectiveVerdict]) -> Option<(f64, f64)> {
        let undone = self.undone?;
        let mut after = objectives.iter().filter(|judged| judged.phase == Phase::After).peekable();
        let all_held = after.peek().is_some() && after.all(|judged| judged.verdict == Verdict::Held);
        let at = self.steady_again.or_else(|| all_held.then_some(self.ended))?;
        Some((at, at - undone))
    }
}
