//! The transitions: stages, stops, recovery; those of single faults are in [`faults`](super::faults). One function an event;
//! each says in which states it is legal.

use std::time::Duration;

use super::method::Stage;
use super::{Command, Ending, Event, Illegal, Life, State, Steadiness, Stop, Timer};
use crate::run::journal::RunState;

/// What a run does next when something happens.
///
/// # Errors
/// [`Illegal`] if the event makes no sense in the state.
pub fn step(state: State, event: Event) -> Result<(State, Vec<Command>), Illegal> {
    let mut walk = Walk { state, commands: Vec::new() };
    let legal = match &event {
        Event::Started => walk.started(),
        Event::Baseline(steadiness) => walk.baseline(steadiness),
        Event::Elapsed(Timer::Observe) => walk.observed(),
        Event::Elapsed(Timer::Fault(fault)) => walk.fault_elapsed(*fault),
        Event::Elapsed(Timer::Recovery) => walk.recovery_elapsed(),
        Event::Injected(fault) => walk.injected(*fault),
        Event::InjectionFailed { fault, reason, verified } => walk.injection_failed(*fault, reason, *verified),
        Event::Bites(fault) => walk.bites(*fault),
        Event::NoEffect { fault, reason } => walk.no_effect(*fault, reason),
        Event::Undone { fault, verified } => walk.undone(*fault, *verified),
        Event::Lost(fault) => walk.lost(*fault),
        Event::Found(fault) => walk.found(*fault),
        Event::Recovered => walk.recovered(),
        Event::Breached(guardrail) => walk.end(Ending::Aborted(guardrail.clone())),
        Event::Stopped(Stop::Interrupted(by)) => walk.end(Ending::Interrupted(by.clone())),
        Event::Stopped(Stop::Impossible(reason)) => walk.end(Ending::Invalid(reason.clone())),
        Event::Stopped(Stop::Halted(by) | Stop::Broken(by)) => walk.end(Ending::Aborted(by.clone())),
    };
    if legal { Ok((walk.state, walk.commands)) } else { Err(Illegal { state: walk.state.run, event }) }
}

/// One transition under way.
pub(super) struct Walk {
    pub(super) state: State,
    pub(super) commands: Vec<Command>,
}

impl Walk {
    pub(super) fn is(&self, states: &[RunState]) -> bool {
        states.contains(&self.state.run)
    }

    pub(super) fn faulty(&self) -> bool {
        self.is(&[RunState::Injecting, RunState::Biting, RunState::Watching, RunState::Undoing])
    }

    fn started(&mut self) -> bool {
        if !self.is(&[RunState::Planned]) {
            return false;
        }
        self.state.run = RunState::Steady;
        match self.state.method.stages.first() {
            Some(Stage::Observe(lasts)) => self.commands.push(Command::Start(Timer::Observe, *lasts)),
            _ => self.commands.push(Command::JudgeBaseline),
        }
        true
    }

    fn baseline(&mut self, steadiness: &Steadiness) -> bool {
        if !self.is(&[RunState::Steady]) {
            return false;
        }
        match steadiness {
            Steadiness::Shown => {
                if matches!(self.state.method.stages.first(), Some(Stage::Observe(_))) {
                    self.state.stage += 1;
                }
                self.enter_stage();
            }
            Steadiness::NotShown(because) => {
                self.state.ending = Some(Ending::Refused(because.clone()));
                self.judge();
            }
        }
        true
    }

    /// Begins the stage at which the run now is, or recovery when nothing is left to inject.
    fn enter_stage(&mut self) {
        let stage = self.state.stage;
        match self.state.method.stages.get(stage).cloned() {
            Some(Stage::Inject(faults)) => {
                let faults: Vec<_> =
                    faults.into_iter().map(|(fault, _)| fault).filter(|fault| !self.state.is_lost(*fault)).collect();
                if faults.is_empty() {
                    self.end(Ending::Invalid("every host of a fault that was to come was lost".into()));
                    return;
                }
                self.state.run = RunState::Injecting;
                for fault in faults {
                    self.state.faults.insert(fault, Life::Requested);
                    self.commands.push(Command::Inject(fault));
                }
            }
            Some(Stage::Observe(lasts)) if self.state.method.injects_after(stage) => {
                self.state.run = RunState::Watching;
                self.commands.push(Command::Start(Timer::Observe, lasts));
            }
            rest => {
                let observe = match rest {
                    Some(Stage::Observe(lasts)) => Some(lasts),
                    _ => None,
                };
                self.recover(observe);
            }
        }
    }

    fn recover(&mut self, observe: Option<Duration>) {
        self.state.run = RunState::Recovering;
        self.state.observed = observe.is_none();
        self.commands.push(Command::Start(Timer::Recovery, self.state.method.recovery));
        if let Some(lasts) = observe {
            self.commands.push(Command::Start(Timer::Observe, lasts));
        }
        self.commands.push(Command::AwaitRecovery);
    }

    fn judge(&mut self) {
        self.state.run = RunState::Judged;
        self.commands.push(Command::Judge);
    }

    fn observed(&mut self) -> bool {
        match self.state.run {
            RunState::Steady => self.commands.push(Command::JudgeBaseline),
            RunState::Watching if !self.anything_live() => {
                self.state.stage += 1;
                self.enter_stage();
            }
            RunState::Recovering => {
                self.state.observed = true;
                if self.state.recovered.is_some() {
                    self.judge();
                }
            }
            // The timer of an observation between faults, cut short by a stop.
            RunState::Undoing | RunState::Judged => return self.state.ending.is_some(),
            _ => return false,
        }
        true
    }

    pub(super) fn go_on_if_nothing_lives(&mut self) {
        if self.anything_live() {
            return;
        }
        let stopped = self.state.ending.is_some() || !self.state.left_behind.is_empty();
        match (&self.state.ending, stopped) {
            // Whoever interrupts wants to leave; what was injected is undone, and that is said.
            (Some(Ending::Interrupted(_)), _) => self.judge(),
            (_, true) if self.state.injected.is_empty() => self.judge(),
            (_, true) => self.recover(None),
            (_, false) => {
                self.state.stage += 1;
                self.enter_stage();
            }
        }
    }

    fn recovered(&mut self) -> bool {
        if !self.is(&[RunState::Recovering]) {
            return false;
        }
        if self.state.recovered.is_none() {
            self.state.recovered = Some(true);
        }
        if self.state.observed {
            self.judge();
        }
        true
    }

    fn recovery_elapsed(&mut self) -> bool {
        match self.state.run {
            RunState::Recovering => {
                if self.state.recovered.is_none() {
                    self.state.recovered = Some(false);
                    self.judge();
                }
                true
            }
            RunState::Judged => true,
            _ => false,
        }
    }

    /// Ends the run early. The first reason stays.
    pub(super) fn end(&mut self, ending: Ending) -> bool {
        match self.state.run {
            RunState::Judged => return false,
            RunState::Planned | RunState::Steady => {
                self.state.ending.get_or_insert(match ending {
                    Ending::Aborted(reason) => Ending::Refused(reason),
                    other => other,
                });
                self.judge();
            }
            RunState::Recovering => {
                // Everything is undone already: whoever stops a run here ends the wait for recovery.
                self.state.ending.get_or_insert(ending);
                self.judge();
            }
            _ => {
                self.state.ending.get_or_insert(ending);
                self.undo_all(|life| matches!(life, Life::Active { .. } | Life::Lost));
                self.state.run = RunState::Undoing;
                self.go_on_if_nothing_lives();
            }
        }
        true
    }
}
