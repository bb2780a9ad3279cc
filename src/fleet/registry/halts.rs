use std::sync::atomic::Ordering;

use faultline_agent::halt::{Halt, HaltScope};
use faultline_agent::node::{MustStop, StuckFault};
use faultline_agent::session::BY_THE_CONTROLLER;

use super::{Host, Registry};

/// The halt of the fleet, and those of hosts.
impl Registry {
    /// Every host that is connected, by name, with the halt that somebody set there for all its runs, if there is one.
    pub fn halts_by_hand(&self) -> Vec<(String, Option<Halt>)> {
        let hosts = self.hosts();
        let connected = hosts.iter().filter(|(_, host)| host.line.is_some());
        let halt = |host: &Host| match &host.status.must_stop {
            Some(MustStop::Halted(halt))
                if halt.scope != HaltScope::Folder && !halt.reason.starts_with(BY_THE_CONTROLLER) =>
            {
                Some(halt.clone())
            }
            _ => None,
        };
        connected.map(|(name, host)| (name.clone(), halt(host))).collect()
    }

    /// Why nothing may stay on a host, as it said last.
    pub(crate) fn must_stop(&self, name: &str) -> Option<MustStop> {
        self.hosts().get(name)?.status.must_stop.clone()
    }

    /// What is stuck on a host, as it said last.
    pub(crate) fn stuck(&self, name: &str) -> Vec<StuckFault> {
        self.hosts().get(name).map(|host| host.status.stuck.clone()).unwrap_or_default()
    }

    /// The halt that is in force for the whole fleet.
    pub fn halted(&self) -> Option<String> {
        self.halted.borrow().clone()
    }

    /// A halt is being ordered until this is dropped: it is in force here before it is in the store, and must not be
    /// released meanwhile because the store knows of none.
    pub fn order_halt(&self) -> HaltOrdered<'_> {
        self.ordering.fetch_add(1, Ordering::SeqCst);
        HaltOrdered(self)
    }

    /// Whether a halt is being ordered at this moment.
    pub fn is_ordering_halt(&self) -> bool {
        self.ordering.load(Ordering::SeqCst) > 0
    }

    /// From now on a halt is in force, or none; hosts that join are told so. Asks nobody.
    pub fn set_halted(&self, reason: Option<String>) {
        self.halted.send_replace(reason);
    }
}

/// An order to halt that is being carried out.
#[derive(Debug)]
pub struct HaltOrdered<'a>(&'a Registry);

impl Drop for HaltOrdered<'_> {
    fn drop(&mut self) {
        self.0.ordering.fetch_sub(1, Ordering::SeqCst);
    }
}
