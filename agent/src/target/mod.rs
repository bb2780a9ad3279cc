//! Whom a fault meets on this host: a target of a document, resolved as things are now.
//!
//! A target is resolved on the host, in the moment before its fault is planned. What it resolves to is named one by
//! one, so that a person can check it before agreeing; what no fault may touch is left out here already; and a target
//! that matches nothing is an error, since a fault on nobody proves nothing. Which hosts are met is not decided here.

mod error;
mod ground;
mod places;
mod processes;
mod unmatched;

pub use error::TargetError;
pub use ground::{Ground, service_mark};

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::facts::{Facts, Pick, ProcessSelector};
use crate::fault::Scope;
use crate::identity::ProcessIdentity;

/// What a target means on one host. With nothing but `pick`, or nothing at all: the whole host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostTarget {
    /// A service that the run started: its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Processes, by what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSelector>,
    /// A cgroup and everything in it, by its path below the cgroup mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// A network namespace, by its name below /run/netns or by a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_namespace: Option<PathBuf>,
    /// How many of those found.
    #[serde(default)]
    pub pick: Pick,
}

/// What a target is looked up in.
#[derive(Clone, Copy)]
pub struct TargetContext<'a> {
    /// The host.
    pub facts: &'a dyn Facts,
    /// What the run itself brought to the host.
    pub ground: &'a Ground,
    /// The seed of the choice.
    pub seed: u64,
}

impl std::fmt::Debug for TargetContext<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TargetContext")
            .field("ground", &self.ground)
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
    /// Where processes are chosen by what they are: all that are so now, those included that were not chosen.
    pub matching: BTreeSet<ProcessIdentity>,
}

/// Finds what a target means. `None` is the host of the run: everything in its network namespace.
///
/// # Errors
/// If nothing matches, if only what no fault may touch does, or if the host cannot be read.
pub fn resolve(name: &str, target: Option<&HostTarget>, context: &TargetContext<'_>) -> Result<Resolved, TargetError> {
    let Some(target) = target else { return Ok(places::host(context)) };
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

/// The seed of one target, or of one host: the one given, made different for each name (FNV-1a), so that two with the
/// same candidates do not always choose the same of them.
pub fn seed_of(name: &str, seed: u64) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    seed ^ hash
}

#[cfg(test)]
mod tests;
