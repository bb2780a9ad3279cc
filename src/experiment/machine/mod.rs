//! The pure state machine of a run: `step(State, Event) -> (State, Vec<Command>)`. No clock, no await.
//!
//! ```text
//! planned → steady → injecting → biting → watching → undoing → recovering → judged
//! ```
//!
//! Invariants, each kept here and tested over random histories:
//! - nothing is injected unless the baseline was shown steady;
//! - every fault that was asked for is asked to be undone, and `judged` is reached only when each one answered, those of
//!   hosts that were lost as well;
//! - nothing is injected into a host that was lost;
//! - after the run has been told to end, nothing more is injected;
//! - an event that makes no sense in a state is an error, never ignored.

mod faults;
mod method;
mod transitions;

pub use method::{FaultNumber, Method};
pub use transitions::step;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::run::journal::RunState;

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The services are up and the signals are being sampled.
    Started,
    /// The judge looked at the baseline.
    Baseline(Steadiness),
    /// A timer that a command started ran out.
    Elapsed(Timer),
    /// A fault is in place.
    Injected(FaultNumber),
    /// A fault could not be put in place; what was done of it was taken back, and `verified` says whether that is certain.
    InjectionFailed {
        /// Which.
        fault: FaultNumber,
        /// Why.
        reason: String,
        /// Whether it is certain that nothing of it is left.
        verified: bool,
    },
    /// A fault was measured to act.
    Bites(FaultNumber),
    /// A fault was measured not to act, and never will.
    NoEffect {
        /// Which.
        fault: FaultNumber,
        /// Why.
        reason: String,
    },
    /// A fault was undone, and `verified` says whether that is certain.
    Undone {
        /// Which.
        fault: FaultNumber,
        /// Whether it is certain that nothing of it is left.
        verified: bool,
    },
    /// The host of a fault was lost: nobody knows whether it is in place, and if it was not yet, it never will be.
    Lost(FaultNumber),
    /// The host of a fault that was lost can be asked again.
    Found(FaultNumber),
    /// After the undo, everything was seen to be steady again.
    Recovered,
    /// A guardrail was breached.
    Breached(String),
    /// Somebody or something ends the run.
    Stopped(Stop),
}

/// What the judge says of the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steadiness {
    /// Shown to be steady.
    Shown,
    /// Shown not to be, or not shown to be, for this reason.
    NotShown(String),
}

/// Who or what ends a run early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A person at the terminal, or a signal to the process.
    Interrupted(String),
    /// A halt of this host.
    Halted(String),
    /// A part of the run itself gave way: a service did not start, the guard died, the journal cannot be written.
    Broken(String),
    /// This host cannot do what the method asks.
    Impossible(String),
}

/// A timer of the run. One of each may run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The time to observe.
    Observe,
    /// The time that a fault lasts.
    Fault(FaultNumber),
    /// The time in which everything must be steady again.
    Recovery,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start a timer.
    Start(Timer, Duration),
    /// Ask the judge whether the baseline is steady, and answer with [`Event::Baseline`].
    JudgeBaseline,
    /// Inject a fault.
    Inject(FaultNumber),
    /// Undo a fault.
    Undo(FaultNumber),
    /// Everything is undone: look for steadiness, and answer with [`Event::Recovered`] when it is seen.
    AwaitRecovery,
    /// The run is over: judge it.
    Judge,
}

/// Where one fault of the method stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It is being put in place.
    Requested,
    /// It is in place; whether it was measured to act.
    Active { bites: bool },
    /// Its host was lost, and it was not asked yet what became of it.
    Lost,
    /// It is being undone.
    Undoing,
    /// It is gone.
    Gone,
}

/// Why a run ended other than by completing its method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nothing was injected, for this reason.
    Refused(String),
    /// A fault could not be applied or had no effect.
    Invalid(String),
    /// A guardrail, a halt, or a broken part of the run.
    Aborted(String),
    /// A person.
    Interrupted(String),
}

impl Ending {
    /// The reason in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Invalid(reason) | Self::Aborted(reason) | Self::Interrupted(reason) => reason,
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(crate) run: RunState,
    pub(crate) method: Method,
    /// The stage of the method that is being carried out.
    pub(crate) stage: usize,
    pub(crate) faults: BTreeMap<FaultNumber, Life>,
    pub(crate) ending: Option<Ending>,
    pub(crate) left_behind: Vec<FaultNumber>,
    pub(crate) lost: Vec<FaultNumber>,
    pub(crate) bit: Vec<FaultNumber>,
    pub(crate) injected: Vec<FaultNumber>,
    pub(crate) observed: bool,
    pub(crate) recovered: Option<bool>,
}

impl State {
    /// A run that has not begun.
    pub fn new(method: Method) -> Self {
        Self {
            run: RunState::Planned,
            method,
            stage: 0,
            faults: BTreeMap::new(),
            ending: None,
            left_behind: Vec::new(),
            lost: Vec::new(),
            bit: Vec::new(),
            injected: Vec::new(),
            observed: false,
            recovered: None,
        }
    }

    /// The state in the design's words.
    pub fn run_state(&self) -> RunState {
        self.run
    }

    /// Why the run ended early, if it did.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The faults of which something may be left behind.
    pub fn left_behind(&self) -> &[FaultNumber] {
        &self.left_behind
    }

    /// Whether any fault was put in place.
    pub fn anything_injected(&self) -> bool {
        !self.injected.is_empty()
    }

    /// Whether every fault of the method was put in place and measured to act, but for those of lost hosts.
    pub fn everything_bit(&self) -> bool {
        let all = (0..self.method.faults()).map(FaultNumber).filter(|fault| !self.lost.contains(fault));
        all.into_iter().all(|fault| self.bit.contains(&fault) && self.injected.contains(&fault))
    }

    /// Whether the host of a fault was lost before its undo was asked for.
    pub fn is_lost(&self, fault: FaultNumber) -> bool {
        self.lost.contains(&fault)
    }

    /// Whether the loss of its host would mean anything to a fault: it is in place, being put there, or to come.
    pub fn may_be_lost(&self, fault: FaultNumber) -> bool {
        !self.is_lost(fault) && matches!(self.faults.get(&fault), None | Some(Life::Requested | Life::Active { .. }))
    }

    /// Whether everything was steady again in time; nothing if the run never came to ask.
    pub fn recovered(&self) -> Option<bool> {
        self.recovered
    }

    /// Whether a fault is in place and not being undone.
    pub fn is_active(&self, fault: FaultNumber) -> bool {
        matches!(self.faults.get(&fault), Some(Life::Active { .. }))
    }

    /// Whether a fault was measured to act.
    pub fn has_bitten(&self, fault: FaultNumber) -> bool {
        self.bit.contains(&fault)
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.run == RunState::Judged
    }
}

/// An event that makes no sense in the state that it met: an error in the program that drives the machine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a run that is {state:?} cannot take the event {event:?}")]
pub struct Illegal {
    /// The state.
    pub state: RunState,
    /// The event.
    pub event: Event,
}

#[cfg(test)]
mod tests;
