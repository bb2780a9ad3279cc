//! Which of the queued runs may start now: pure.
//!
//! The oldest whose hosts are all free. A run that must wait keeps its hosts from those behind it in the queue, else a
//! run on many hosts would wait for ever behind a stream of runs on few.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How a host is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// By runs that all share it.
    Shared,
    /// By one run alone.
    Exclusively,
}

impl Held {
    pub(super) fn by(shared: bool) -> Self {
        if shared { Self::Shared } else { Self::Exclusively }
    }
}

/// Hosts that are held by runs or kept for runs that wait.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Held>);

impl Hosts {
    /// Notes that a host is held.
    pub(super) fn hold(&mut self, host: String, how: Held) {
        match self.0.entry(host) {
            Entry::Vacant(vacant) => {
                vacant.insert(how);
            }
            Entry::Occupied(mut held) => {
                if how == Held::Exclusively {
                    held.insert(how);
                }
            }
        }
    }

    /// Whether a run may start on these hosts. If not, they are kept for it.
    pub(super) fn admit(&mut self, hosts: &[String], how: Held) -> bool {
        let free = hosts.iter().all(|host| match self.0.get(host) {
            None => true,
            Some(held) => *held == Held::Shared && how == Held::Shared,
        });
        if !free {
            for host in hosts {
                self.hold(host.clone(), how);
            }
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Hosts};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_host_is_shared_only_by_those_who_all_share() {
        let mut hosts = Hosts::default();
        hosts.hold("a".into(), Held::Shared);
        hosts.hold("b".into(), Held::Exclusively);
        assert!(hosts.admit(&names(&["a", "c"]), Held::Shared));
        assert!(!hosts.admit(&names(&["b"]), Held::Shared));
        assert!(!hosts.admit(&names(&["a"]), Held::Exclusively));
        assert!(hosts.admit(&[], Held::Exclusively), "a run without hosts disturbs nobody");
    }

    #[test]
    fn a_run_that_waits_keeps_its_hosts_from_later_ones() {
        let mut hosts = Hosts::default();
        hosts.hold("a".into(), Held::Exclusively);
        assert!(!hosts.admit(&names(&["a", "b"]), Held::Exclusively));
        assert!(!hosts.admit(&names(&["b"]), Held::Shared));
        assert!(hosts.admit(&names(&["c"]), Held::Exclusively));
    }
}
