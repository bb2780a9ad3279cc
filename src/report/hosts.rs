//! What became of hosts that vanished, restarted, came back or joined in mid-run.

use faultline_agent::identity::FaultId;

use super::assemble::Collected;
use super::model::{FaultProgress, FaultReport, HostMoment, HostReport};
use crate::run::journal::Event;
use crate::targets::hosts::HostEvent;

/// Every host to which something happened, in the order in which it did.
pub(super) fn reports(run: &Collected, faults: &[FaultReport]) -> Vec<HostReport> {
    let mut hosts: Vec<HostReport> = Vec::new();
    let mut of_each: Vec<Vec<&FaultId>> = Vec::new();
    for entry in &run.hosts {
        let Event::Host { host, what, note, lost } = &entry.event else { continue };
        let index = hosts.iter().position(|known| known.host == *host).unwrap_or_else(|| {
            let (lost_at, back_at, events, said) = (None, None, Vec::new(), Vec::new());
            hosts.push(HostReport { host: host.clone(), lost_at, back_at, events, said, clean: true });
            of_each.push(Vec::new());
            hosts.len() - 1
        });
        let known = &mut hosts[index];
        match what {
            HostEvent::Joined { .. } => {}
            HostEvent::Vanished { .. } => {
                known.lost_at.get_or_insert(entry.at);
                known.back_at = None;
            }
            HostEvent::Rebooted { .. }
            | HostEvent::AgentRestarted
            | HostEvent::Returned
            | HostEvent::UndoneAlone { .. } => {
                known.lost_at.get_or_insert(entry.at);
                known.back_at.get_or_insert(entry.at);
            }
        }
        known.events.push(HostMoment { at: entry.at, what: what.clone(), note: note.clone() });
        of_each[index].extend(lost);
    }
    for (host, lost) in hosts.iter_mut().zip(of_each) {
        for fault in faults.iter().filter(|fault| lost.contains(&&fault.id)) {
            host.said.push(said(run, fault));
            host.clean &=
                matches!(fault.progress, FaultProgress::Undone | FaultProgress::Planned | FaultProgress::Failed);
        }
    }
    hosts
}

/// What the host of a lost fault said of it.
fn said(run: &Collected, fault: &FaultReport) -> String {
    let name = &fault.fault;
    let alone = run.hosts.iter().find_map(|entry| match &entry.event {
        Event::Host { what: HostEvent::UndoneAlone { fault: of, because, .. }, .. } if *of == fault.id => {
            Some(format!(", which it undid by itself: {because}"))
        }
        _ => None,
    });
    let alone = alone.unwrap_or_default();
    match fault.progress {
        FaultProgress::Planned => format!("{name} was never put in place"),
        FaultProgress::Failed => format!("{name} could not be put in place, and nothing of it is left"),
        FaultProgress::Undone => format!("it says that nothing of {name} is left{alone}"),
        FaultProgress::UndoUnverified => {
            let open = fault.steps.iter().find_map(|step| step.outcome.as_deref().filter(|_| !step.clean));
            let why = open.unwrap_or("it did not see the host to be as before");
            format!("whether anything of {name} is left is NOT known{alone}: {why}")
        }
        FaultProgress::InPlace => format!("nothing was heard of {name} before the journal ends{alone}"),
    }
}

impl HostReport {
    /// Whether its faults were lost with it.
    pub fn was_lost(&self) -> bool {
        self.lost_at.is_some()
    }

    /// What became of it in a word or two.
    pub(super) fn outcome(&self) -> &'static str {
        match (self.lost_at, self.back_at, self.clean) {
            (None, ..) => "joined, left in peace",
            (Some(_), _, false) => "lost, NOT seen to be clean",
            (Some(_), Some(_), true) => "lost, back and clean",
            (Some(_), None, true) => "lost, clean",
        }
    }
}
