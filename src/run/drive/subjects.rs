//! Whom the `host` signals read: targets of the document, found again each second, since processes come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use faultline_agent::fault::Scope;
use faultline_agent::signals::HostSubject;

use super::Drive;
use super::faults::Ground;
use crate::experiment::document::{Signal, Target, WHOLE_HOST};
use crate::fleet::Agent;
use crate::signals::Subject;
use crate::targets::{TargetContext, resolve};

/// What is known of the run's services now, shared with the threads that read.
pub(super) type SharedGround = Arc<Mutex<Ground>>;

impl Drive<'_, '_> {
    /// Whom each `host` signal with a target reads.
    ///
    /// # Errors
    /// If a target is nowhere to be found at the beginning.
    pub(super) fn subjects(&self) -> Result<BTreeMap<String, Subject>, String> {
        let spec = &self.request.experiment.spec;
        let mut subjects = BTreeMap::new();
        for (name, signal) in &spec.signals {
            let Signal::Host(host) = signal else { continue };
            let Some(of) = &host.of else { continue };
            let wanted = Wanted {
                agent: Arc::clone(&self.agent),
                ground: Arc::clone(&self.shared_ground),
                name: of.clone(),
                target: spec.targets.get(of).cloned(),
                seed: self.request.seed,
            };
            wanted.find().map_err(|error| format!("signal `{name}`: {error}"))?;
            // A target that is gone is no process at all, which reads as missing.
            let subject: Subject = Arc::new(move || wanted.find().unwrap_or(HostSubject::Processes(Vec::new())));
            subjects.insert(name.clone(), subject);
        }
        Ok(subjects)
    }

    /// Lets the signals know the services' processes of now, if any of them follows a target: to find them is to read all
    /// of `/proc`.
    pub(super) fn refresh_ground(&self) {
        let follows = |signal: &Signal| matches!(signal, Signal::Host(host) if host.of.is_some());
        if !self.request.experiment.spec.signals.values().any(follows) {
            return;
        }
        *self.shared_ground.lock().unwrap_or_else(PoisonError::into_inner) = self.ground();
    }
}

struct Wanted {
    agent: Arc<dyn Agent>,
    ground: SharedGround,
    name: String,
    target: Option<Target>,
    seed: u64,
}

impl Wanted {
    fn find(&self) -> Result<HostSubject, String> {
        let ground = self.ground.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = TargetContext {
            facts: self.agent.facts(),
            namespace: &ground.namespace,
            seed: self.seed,
            run: &ground.run,
            services: &ground.services,
        };
        let name = if self.target.is_some() { &self.name } else { WHOLE_HOST };
        resolve(name, self.target.as_ref(), &context)
            .map(|resolved| subject(resolved.scope))
            .map_err(|error| error.to_string())
    }
}

fn subject(scope: Scope) -> HostSubject {
    match (scope.processes, scope.cgroup) {
        (Some(processes), _) => HostSubject::Processes(processes.into_iter().map(|process| process.identity).collect()),
        (None, Some(cgroup)) => HostSubject::Cgroup(cgroup),
        (None, None) => HostSubject::Host,
    }
}
