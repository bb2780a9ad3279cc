//! The hosts of a run on a fleet, watched from its first injection on: who vanished, restarted, came back, or joined.
//!
//! What follows is decided by [`HostsInFault`]; here it is noted, and told to the state machine fault by fault.

use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::node::Undone;
use faultline_agent::session::lease::Because;

use super::{Drive, Happening};
use crate::experiment::machine::{Event, FaultNumber, Stop};
use crate::fleet::{Agent, Presence};
use crate::targets::hosts::{Course, Decision, HostEvent, HostLife, HostsInFault, Owed};

/// How often a host that was lost and is back is asked to undo, and how long after each time: the guard of its last
/// process may be at it still.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_secs(1);

impl Drive<'_, '_> {
    /// From now on faults are on the hosts.
    pub(super) fn begin_watching_hosts(&mut self) {
        if self.home.is_none() && self.in_fault.is_none() {
            let lives = self.agents.iter().map(|agent| (agent.host().to_owned(), agent.presence().life)).collect();
            self.in_fault = Some(HostsInFault::new(lives, self.request.experiment.spec.tolerate));
        }
    }

    /// Why the run cannot begin: a host of it is out of reach before anything was injected.
    pub(super) fn out_of_reach(&self) -> Option<Stop> {
        if self.home.is_some() || self.in_fault.is_some() {
            return None;
        }
        let (host, silent) = self.agents.iter().find_map(|agent| Some((agent.host(), agent.presence().silent?)))?;
        Some(Stop::Broken(format!("{host} is out of reach: nothing was heard of it for {} s", silent.as_secs())))
    }

    /// One look at every host.
    pub(super) fn watch_hosts(&mut self) {
        while let Ok(newcomer) = self.newcomers.try_recv() {
            self.happened(&newcomer.host, HostEvent::Joined { targets: newcomer.targets }, &HostLife::default());
        }
        for agent in self.agents.clone() {
            let Presence { life, silent } = agent.presence();
            let Some(hosts) = &self.in_fault else { return };
            if let Some(event) = hosts.changed(agent.host(), &life, silent.map(|silent| silent.as_secs())) {
                self.happened(agent.host(), event, &life);
            }
            for event in self.undone_alone(agent.as_ref()) {
                self.happened(agent.host(), event, &life);
            }
        }
    }

    /// What a host undid before its time of what this run has there, as far as that is news.
    fn undone_alone(&mut self, agent: &dyn Agent) -> Vec<HostEvent> {
        let mut news = Vec::new();
        for (number, fault) in self.faults.iter_mut().enumerate().map(|(number, fault)| (FaultNumber(number), fault)) {
            let is_awaited = self.machine.is_active(number) || self.machine.is_lost(number);
            if fault.told_alone || !is_awaited || fault.agent.host() != agent.host() {
                continue;
            }
            let Some(alone) = agent.undone_alone(&fault.request.id) else { continue };
            fault.told_alone = true;
            // At the end of its time, agent and run are about it at once.
            if alone.because != Because::Ended.told() {
                let (fault, because, verified) = (fault.request.id.clone(), alone.because, alone.verified);
                news.push(HostEvent::UndoneAlone { fault, because, verified });
            }
        }
        news
    }

    fn happened(&mut self, host: &str, what: HostEvent, life: &HostLife) {
        if self.machine.is_over() {
            return;
        }
        let of_this_run = self.agents.iter().any(|agent| agent.host() == host);
        let decision = match self.in_fault.as_mut() {
            Some(hosts) => hosts.decide(host, &what, life),
            None if of_this_run => return,
            None => Decision::of_an_outsider(host, &what),
        };
        let mut losing = Vec::new();
        if decision.owed != Owed::Nothing {
            self.lost.add(host);
            losing = self.faults_on(host);
            losing.retain(|number| self.machine.may_be_lost(*number));
        }
        let lost: Vec<FaultId> = losing.iter().map(|number| self.id(*number)).collect();
        self.note(Happening::Host { host: host.to_owned(), what, note: decision.note.clone(), lost });
        for number in losing {
            self.tell_machine(Event::Lost(number));
        }
        if decision.course == Course::Abort && self.machine.ending().is_none() {
            self.stop(Stop::Broken(decision.note));
        }
        if decision.owed == Owed::WordNow {
            for number in self.faults_on(host) {
                self.tell_machine(Event::Found(number));
            }
        }
    }

    fn tell_machine(&mut self, event: Event) {
        if !self.machine.is_over() {
            self.event(event);
        }
    }

    fn faults_on(&self, host: &str) -> Vec<FaultNumber> {
        let all = self.faults.iter().enumerate();
        all.filter(|(_, fault)| fault.agent.host() == host).map(|(number, _)| FaultNumber(number)).collect()
    }
}

/// Asks a host that was lost whether a fault is gone, again while it is heard and cannot say so yet.
pub(super) async fn undo_patiently(agent: &dyn Agent, fault: &FaultId) -> Undone {
    let mut undone = agent.undo(fault.clone()).await;
    for _ in 1..TRIES {
        if undone.verified || agent.presence().silent.is_some() {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        undone = agent.undo(fault.clone()).await;
    }
    undone
}
