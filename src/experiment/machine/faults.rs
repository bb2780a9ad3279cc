//! The transitions of single faults, and what follows from them for the run.

use std::time::Duration;

use super::method::Stage;
use super::transitions::Walk;
use super::{Command, Ending, FaultNumber, Life, Timer};
use crate::run::journal::RunState;

impl Walk {
    fn lasts(&self, fault: FaultNumber) -> Option<Duration> {
        self.state.method.stages.iter().find_map(|stage| match stage {
            Stage::Inject(faults) => faults.iter().find(|(number, _)| *number == fault).map(|(_, lasts)| *lasts),
            Stage::Observe(_) => None,
        })
    }

    pub(super) fn injected(&mut self, fault: FaultNumber) -> bool {
        if !self.faulty() || self.state.faults.get(&fault) != Some(&Life::Requested) {
            return false;
        }
        self.state.injected.push(fault);
        self.state.faults.insert(fault, Life::Active { bites: false });
        if self.state.ending.is_some() || self.state.is_lost(fault) {
            self.undo(fault);
            self.go_on();
            return true;
        }
        if let Some(lasts) = self.lasts(fault) {
            self.commands.push(Command::Start(Timer::Fault(fault), lasts));
        }
        self.go_on();
        true
    }

    pub(super) fn injection_failed(&mut self, fault: FaultNumber, reason: &str, verified: bool) -> bool {
        if !self.faulty() || self.state.faults.get(&fault) != Some(&Life::Requested) {
            return false;
        }
        self.state.faults.insert(fault, Life::Gone);
        if !verified {
            self.state.left_behind.push(fault);
        }
        if self.state.is_lost(fault) {
            self.go_on();
            return true;
        }
        self.end(Ending::Invalid(reason.to_owned()))
    }

    pub(super) fn lost(&mut self, fault: FaultNumber) -> bool {
        if self.is(&[RunState::Planned, RunState::Steady, RunState::Judged]) {
            return false;
        }
        if self.state.may_be_lost(fault) {
            self.state.lost.push(fault);
            // One that is being put in place is waited for, and one that is to come is left out at its turn.
            if let Some(Life::Active { .. }) = self.state.faults.get(&fault) {
                self.state.faults.insert(fault, Life::Lost);
                self.go_on();
            }
        }
        true
    }

    pub(super) fn found(&mut self, fault: FaultNumber) -> bool {
        if self.state.faults.get(&fault) == Some(&Life::Lost) {
            self.undo(fault);
        }
        !self.is(&[RunState::Planned, RunState::Steady, RunState::Judged])
    }

    /// What follows for the run after one fault changed: all are in place, all bite, or nothing acts any more.
    fn go_on(&mut self) {
        if !self.faulty() {
            return;
        }
        if !self.any(|life| life == Life::Requested) && self.is(&[RunState::Injecting]) {
            self.state.run = RunState::Biting;
        }
        self.watch_if_everything_bites();
        if !self.any(|life| matches!(life, Life::Requested | Life::Active { .. })) {
            // Nothing is gained by waiting for their time.
            self.undo_all(|life| life == Life::Lost);
            if self.anything_live() {
                self.state.run = RunState::Undoing;
            }
        }
        self.go_on_if_nothing_lives();
    }

    pub(super) fn bites(&mut self, fault: FaultNumber) -> bool {
        match self.state.faults.get(&fault) {
            Some(Life::Active { .. }) => {
                self.state.faults.insert(fault, Life::Active { bites: true });
                self.note_bite(fault);
                self.watch_if_everything_bites();
            }
            // The last measure of a fault is taken while it is being undone.
            Some(Life::Undoing) => self.note_bite(fault),
            _ => return false,
        }
        true
    }

    fn note_bite(&mut self, fault: FaultNumber) {
        if !self.state.has_bitten(fault) {
            self.state.bit.push(fault);
        }
    }

    fn watch_if_everything_bites(&mut self) {
        if self.is(&[RunState::Biting]) && !self.any(|life| life == Life::Active { bites: false }) {
            self.state.run = RunState::Watching;
        }
    }

    pub(super) fn no_effect(&mut self, fault: FaultNumber, reason: &str) -> bool {
        match self.state.faults.get(&fault) {
            Some(Life::Active { .. }) => self.end(Ending::Invalid(reason.to_owned())),
            _ => false,
        }
    }

    pub(super) fn fault_elapsed(&mut self, fault: FaultNumber) -> bool {
        match self.state.faults.get(&fault) {
            Some(Life::Active { .. } | Life::Lost) => {
                self.undo(fault);
                self.go_on();
                true
            }
            // The timer of a fault that a stop undid earlier.
            Some(Life::Undoing | Life::Gone) => true,
            _ => false,
        }
    }

    pub(super) fn undo_all(&mut self, wanted: impl Fn(Life) -> bool) {
        let all: Vec<_> = self.live().filter(|(_, life)| wanted(*life)).map(|(fault, _)| fault).collect();
        all.into_iter().for_each(|fault| self.undo(fault));
    }

    fn undo(&mut self, fault: FaultNumber) {
        self.state.faults.insert(fault, Life::Undoing);
        self.commands.push(Command::Undo(fault));
    }

    pub(super) fn undone(&mut self, fault: FaultNumber, verified: bool) -> bool {
        if self.state.faults.get(&fault) != Some(&Life::Undoing) {
            return false;
        }
        self.state.faults.insert(fault, Life::Gone);
        if !verified {
            self.state.left_behind.push(fault);
        }
        if !self.state.has_bitten(fault) && self.state.ending.is_none() && !self.state.is_lost(fault) {
            let reason = format!("fault {} ran its whole time without any effect that could be measured", fault.0 + 1);
            return self.end(Ending::Invalid(reason));
        }
        self.go_on_if_nothing_lives();
        true
    }

    fn live(&self) -> impl Iterator<Item = (FaultNumber, Life)> {
        self.state.faults.iter().map(|(fault, life)| (*fault, *life)).filter(|(_, life)| *life != Life::Gone)
    }

    fn any(&self, wanted: impl Fn(Life) -> bool) -> bool {
        self.live().any(|(_, life)| wanted(life))
    }

    pub(super) fn anything_live(&self) -> bool {
        self.any(|_| true)
    }
}
