use std::io;

use super::{Outcome, StepUndone, Undone};
use crate::guard::GuardError;
use crate::halt::Halt;
use crate::identity::FaultId;
use crate::journal::JournalError;
use crate::kernel::KernelError;
use crate::recover::RecoverError;

/// The engine cannot work on this host, or with this fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What a crash left cannot be looked for.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The host's policy cannot be trusted.
    #[error(transparent)]
    Policy(#[from] crate::policy::PolicyError),
    /// There is no guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// This process or boot cannot be named.
    #[error("cannot read this process's own identity from /proc: {0}")]
    Identity(#[source] io::Error),
    /// The fault is not active in this process.
    #[error("fault {0} is not active here")]
    NotActive(FaultId),
    /// What a step does could not be measured.
    #[error("the effect of the fault cannot be measured: {0}")]
    Measure(#[source] KernelError),
}

impl EngineError {
    /// A way on, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(_) | Self::Recover(_) => {
                Some("no fault is injected unless its undo is on disk: make the state folder writable, or name another with --state".into())
            }
            Self::Policy(error) => Some(error.hint()),
            Self::Guard(_) => Some("no fault is injected without a guard that undoes it; see the reason above".into()),
            Self::Measure(error) => error.hint.clone(),
            Self::Identity(_) | Self::NotActive(_) => None,
        }
    }
}

/// A fault was not injected. Whatever was done of it is undone again, or listed as stuck.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// Somebody halted this host.
    #[error("this host is halted: {}", .0.reason)]
    Halted(Halt),
    /// The host's own policy forbids it.
    #[error(transparent)]
    Refused(#[from] crate::policy::Refusal),
    /// The guard died; without it nothing is injected.
    #[error("the guard died, and nothing is injected without one")]
    GuardLost,
    /// A fault with this id is journaled already.
    #[error("fault {0} is there already")]
    Exists(FaultId),
    /// The journal cannot be written; nothing was touched.
    #[error("nothing was injected, since its undo could not be written down first")]
    Journal(#[from] JournalError),
    /// A step failed.
    #[error("{step}: {reason}")]
    Step {
        /// What was being done.
        step: String,
        /// What went wrong.
        reason: String,
        /// The way on that the kernel room gave.
        hint: Option<String>,
        /// How what was done before was undone.
        undone: Box<Undone>,
    },
}

impl InjectError {
    /// A way on, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Halted(halt) => Some(halt.hint().into()),
            Self::Refused(refusal) => Some(refusal.hint.clone()),
            Self::GuardLost => Some("start again; find out what killed the guard (the kernel's log, `dmesg`)".into()),
            Self::Exists(_) => Some("every injection needs an id of its own".into()),
            Self::Journal(_) => Some("make room or name another state folder with --state".into()),
            Self::Step { hint, .. } => hint.clone(),
        }
    }

    /// The steps that could not be undone again after a failure; empty nearly always.
    pub fn stuck(&self) -> Vec<&StepUndone> {
        match self {
            Self::Step { undone, .. } => {
                undone.steps.iter().filter(|step| matches!(step.outcome, Outcome::Failed { .. })).collect()
            }
            _ => Vec::new(),
        }
    }
}
