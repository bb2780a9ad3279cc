use std::sync::Arc;

use faultline_agent::node::Undone;
use faultline_agent::session::wire::{Goodbye, Heartbeat, UndoneAlone};
use tokio::time::Instant;

use super::{FleetEvent, Line, Registry};
use crate::fleet;

/// So many faults that a host undid alone are remembered: more than a run has on one host.
const ALONE: usize = 256;

/// What comes over lines.
impl Registry {
    /// A heartbeat came over a line.
    pub(crate) fn beat(&self, name: &str, line: &Arc<Line>, beat: Heartbeat) {
        let begun = std::time::Instant::now();
        line.heard_clock(beat.clock_ns);
        if self.hear(name, line, beat.status.as_deref()) {
            self.alone(name, beat.undone_alone);
        }
        self.beats.handled(begun.elapsed());
    }

    /// Anything came over a line; answers whether it is that of the host still.
    pub(crate) fn hear(&self, name: &str, line: &Arc<Line>, status: Option<&str>) -> bool {
        let mut hosts = self.hosts();
        let Some(host) = hosts.get_mut(name).filter(|host| host.has(line)) else { return false };
        host.heard = Instant::now();
        if let Some(status) = status {
            match serde_json::from_str(status) {
                Ok(status) => {
                    host.status = status;
                    host.statuses += 1;
                }
                Err(error) => tracing::warn!(host = name, %error, "a status cannot be understood"),
            }
        }
        true
    }

    /// The agent said goodbye.
    pub(crate) fn farewell(&self, name: &str, line: &Arc<Line>, goodbye: &Goodbye) {
        if self.hear(name, line, Some(&goodbye.status)) && self.take(name, line) {
            line.end("goodbye", true);
            self.tell(FleetEvent::Left { host: name.to_owned(), because: goodbye.reason.clone() });
        }
    }

    /// A line was lost.
    pub(crate) fn lost(&self, name: &str, line: &Arc<Line>, because: &str) {
        line.end(because, true);
        if self.take(name, line) {
            self.tell(FleetEvent::Vanished { host: name.to_owned(), because: because.to_owned() });
        }
    }

    /// Takes the line from the host, if it is its line still.
    fn take(&self, name: &str, line: &Arc<Line>) -> bool {
        let mut hosts = self.hosts();
        let host = hosts.get_mut(name).filter(|host| host.has(line));
        host.is_some_and(|host| host.line.take().is_some())
    }

    pub(super) fn alone(&self, name: &str, all: Vec<UndoneAlone>) {
        for UndoneAlone { fault, because, undone } in all {
            match serde_json::from_str::<Undone>(&undone) {
                Ok(undone) => {
                    if let (Some(host), Ok(fault)) = (self.hosts().get_mut(name), fault.parse()) {
                        let alone = fleet::UndoneAlone { because: because.clone(), verified: undone.verified };
                        host.alone.push_back((fault, alone));
                        if host.alone.len() > ALONE {
                            host.alone.pop_front();
                        }
                    }
                    self.tell(FleetEvent::UndoneAlone { host: name.to_owned(), fault, because, undone });
                }
                Err(error) => tracing::warn!(host = name, %error, "an undo report cannot be understood"),
            }
        }
    }
}
