//! Whom a fault meets: selectors, blast radius, seeded choice.
//!
//! A target is resolved on the host, in the moment before its fault is planned. What it resolves to is named one by
//! one, so that a person can check it before agreeing; what no fault may touch is left out here already; and a target
//! that matches nothing is an error, since a fault on nobody proves nothing.

mod error;
mod places;
mod processes;
mod unmatched;

pub use error::TargetError;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use faultline_agent::facts::{Facts, Pick};
use faultline_agent::fault::Scope;
use faultline_agent::identity::{NetworkNamespace, ProcessIdentity};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::experiment::document::Target;

/// What a target is looked up in.
#[derive(Clone, Copy)]
pub struct TargetContext<'a> {
    /// The host.
    pub facts: &'a dyn Facts,
    /// The network namespace of the run: its private one, or the host's own.
    pub namespace: &'a NetworkNamespace,
    /// The run's seed.
    pub seed: u64,
    /// The run's id, by which restarted processes of its services are known again.
    pub run: &'a str,
    /// The processes of the services that the run started, main process first.
    pub services: &'a BTreeMap<String, Vec<ProcessIdentity>>,
}

impl std::fmt::Debug for TargetContext<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TargetContext")
            .field("run", &self.run)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// What a target is, on this host and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// For the fault.
    pub scope: Scope,
    /// For people: one line for each thing that is touched.
    pub description: Vec<String>,
}

/// Finds what a target means. `None` is the host of the run: everything in its network namespace.
///
/// # Errors
/// If nothing matches, if only what no fault may touch does, or if the host cannot be read.
pub fn resolve(name: &str, target: Option<&Target>, context: &TargetContext<'_>) -> Result<Resolved, TargetError> {
    let Some(target) = target else { return Ok(places::host(context)) };
    if target.hosts.is_some() {
        return Err(TargetError::NoController { target: name.into() });
    }
    let chosen_by = || Chosen { target: name, pick: target.pick, seed: seed_of(name, context.seed) };
    match (&target.service, &target.process, &target.cgroup, &target.network_namespace) {
        (Some(service), _, _, _) => processes::of_service(chosen_by(), service, context),
        (_, Some(selector), _, _) => processes::by_selector(chosen_by(), selector, context),
        (_, _, Some(cgroup), _) => places::cgroup(name, cgroup, context),
        (_, _, _, Some(namespace)) => places::network_namespace(name, namespace),
        (None, None, None, None) => Ok(places::host(context)),
    }
}

/// How processes of a target are chosen among those found.
#[derive(Debug, Clone, Copy)]
struct Chosen<'a> {
    target: &'a str,
    pick: Pick,
    seed: u64,
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

/// The seed of one target: the run's, made different for each name (FNV-1a), so that two targets with the same
/// candidates do not always choose the same of them.
fn seed_of(name: &str, seed: u64) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    seed ^ hash
}

#[cfg(test)]
mod tests;
