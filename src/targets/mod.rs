//! Whom a fault meets: on which hosts, and by which seed.
//!
//! What a target is on one host (processes, a cgroup, a network namespace) is found there, by
//! [`faultline_agent::target`].

pub mod fleet_plan;
pub mod hosts;

use std::hash::{BuildHasher, Hasher, RandomState};

use faultline_agent::target::{HostTarget, TargetError as HostTargetError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::experiment::document::Target;

/// Why a target could not be resolved; nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It selects among hosts, and there is no controller to ask.
    #[error("target `{target}`: `hosts` selects among the agents of a controller, and there is none here")]
    NoController {
        /// Its name in the document.
        target: String,
    },
    /// It is not to be found on its host.
    #[error(transparent)]
    OnHost(#[from] HostTargetError),
}

impl TargetError {
    /// The way on.
    pub fn hint(&self) -> &str {
        match self {
            Self::NoController { .. } => "leave it out: everything then happens on the host of the run",
            Self::OnHost(error) => error.hint(),
        }
    }
}

/// What a target means on one host, whichever hosts it selects.
pub fn on_host(target: &Target) -> HostTarget {
    HostTarget {
        service: target.service.clone(),
        process: target.process.clone(),
        cgroup: target.cgroup.clone(),
        network_namespace: target.network_namespace.clone(),
        // What chose the hosts already does not choose among their processes.
        pick: target.process_pick(),
    }
}

/// What a target means on the host of a run without a controller.
///
/// # Errors
/// [`TargetError::NoController`] if it selects among hosts.
pub fn on_this_host(name: &str, target: &Target) -> Result<HostTarget, TargetError> {
    if target.hosts.is_some() {
        return Err(TargetError::NoController { target: name.into() });
    }
    Ok(on_host(target))
}

/// A seed for a run that was given none: from the kernel's random numbers, by way of the standard library, and short
/// enough to be typed again.
pub fn draw_seed() -> u64 {
    RandomState::new().build_hasher().finish() & 0xffff_ffff
}

/// The seed of the fault with this number (counted from 0) of a run: a stream of its own, so that one fault's choices
/// never shift another's.
pub fn seed_of_fault(run: u64, fault: usize) -> u64 {
    let mut chance = ChaCha8Rng::seed_from_u64(run);
    chance.set_stream(fault as u64 + 1);
    chance.random()
}

/// The seed of a fault on one host of several: each host chooses by a stream of its own.
pub fn seed_on_host(fault: u64, host: &str) -> u64 {
    faultline_agent::target::seed_of(host, fault)
}

#[cfg(test)]
mod tests;
