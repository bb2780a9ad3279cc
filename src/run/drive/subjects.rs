//! Whom the `host` signals read: targets of the document, found again each second, since processes come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use faultline_agent::signals::HostSubject;
use faultline_agent::target::HostTarget;

use super::Drive;
use super::faults::FaultRun;
use crate::experiment::document::{Signal, WHOLE_HOST};
use crate::fleet::ReadRequest;
use crate::fleet::local::LocalAgent;
use crate::signals::{FleetSubject, Subject};
use crate::targets::on_this_host;

impl Drive<'_, '_> {
    /// Whom each `host` signal with a target reads.
    ///
    /// # Errors
    /// If a target is nowhere to be found at the beginning.
    pub(super) fn subjects(&self, home: &Arc<LocalAgent>) -> Result<BTreeMap<String, Subject>, String> {
        let spec = &self.request.experiment.spec;
        let mut subjects = BTreeMap::new();
        for (name, signal) in &spec.signals {
            let Signal::Host(host) = signal else { continue };
            let Some(of) = &host.of else { continue };
            let target = spec.targets.get(of).map(|target| on_this_host(of, target)).transpose();
            let target = target.map_err(|error| format!("signal `{name}`: {error}"))?;
            let wanted = Wanted {
                home: Arc::clone(home),
                name: if target.is_some() { of.clone() } else { WHOLE_HOST.into() },
                target,
                seed: self.request.seed,
            };
            wanted.find().map_err(|error| format!("signal `{name}`: {error}"))?;
            // A target that is gone is no process at all, which reads as missing.
            let subject: Subject = Arc::new(move || wanted.find().unwrap_or(HostSubject::Processes(Vec::new())));
            subjects.insert(name.clone(), subject);
        }
        Ok(subjects)
    }

    /// Which hosts of the fleet each `host` signal reads: those that a fault of its target meets.
    pub(super) fn fleet_subjects(&self) -> BTreeMap<String, FleetSubject> {
        let spec = &self.request.experiment.spec;
        let mut subjects = BTreeMap::new();
        for (name, signal) in &spec.signals {
            let Signal::Host(host) = signal else { continue };
            let wanted = host.of.as_deref().unwrap_or(WHOLE_HOST);
            let met: BTreeMap<&str, &FaultRun> = self
                .faults
                .iter()
                .filter(|fault| fault.request.target_name == wanted)
                .map(|fault| (fault.agent.host(), fault))
                .collect();
            let Some(fault) = met.values().next() else { continue };
            let request = ReadRequest {
                run: self.run.clone(),
                signal: name.clone(),
                target_name: fault.request.target_name.clone(),
                target: fault.request.target.clone(),
                path: host.path.clone().unwrap_or_else(|| "/".into()),
                seed: fault.request.seed,
            };
            let agents = met.values().map(|fault| Arc::clone(&fault.agent)).collect();
            subjects.insert(name.clone(), FleetSubject { agents, request, lost: self.lost.clone() });
        }
        subjects
    }

    /// Lets the agent of this host, and so the signals, know the services' processes of now.
    pub(super) fn refresh_services(&self) {
        if let (Some(home), Some(services)) = (&self.home, &self.services) {
            home.serve(services.processes(), services.keepers());
        }
    }

    /// The same, if any signal follows a target: to find the processes is to read all of `/proc`.
    pub(super) fn refresh_subjects(&self) {
        let follows = |signal: &Signal| matches!(signal, Signal::Host(host) if host.of.is_some());
        if self.request.experiment.spec.signals.values().any(follows) {
            self.refresh_services();
        }
    }
}

struct Wanted {
    home: Arc<LocalAgent>,
    name: String,
    target: Option<HostTarget>,
    seed: u64,
}

impl Wanted {
    fn find(&self) -> Result<HostSubject, String> {
        self.home.subject(&self.name, self.target.as_ref(), self.seed)
    }
}
