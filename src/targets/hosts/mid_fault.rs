//! What a run makes of hosts that vanish, restart or join while a fault is in place. Pure.
//!
//! The fault on a host that is out of reach is not forgotten: its own lease undoes it, and the run is not over before
//! that host's journal was read, or is told of as not verified.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::experiment::document::Tolerance;

/// What happened to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HostEvent {
    /// Its lease can no longer be renewed in time: no agent, no network, no host. (A stream that broke and came back
    /// before that is no event.)
    Vanished,
    /// Its agent is back, on a host that has booted since the run began to use it.
    Restarted {
        /// The kernel's id of this boot (`/proc/sys/kernel/random/boot_id`).
        boot: String,
    },
    /// Its agent is back on the same boot after it had vanished.
    Rejoined {
        /// The kernel's id of the boot, from which a restart is told that nobody saw.
        boot: String,
    },
    /// It is in the fleet, and was not when the hosts were chosen.
    Joined,
}

/// What the run does about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether the run goes on.
    pub course: Course,
    /// What must still be seen before the host counts as cleaned up.
    pub owed: Owed,
    /// Why, for the run's journal and the report.
    pub note: String,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// With the hosts that are left.
    GoOn,
    /// Undo on all hosts that can be reached, and end as aborted.
    Abort,
}

/// What must still be seen of a host. Nobody ever injects again into a host that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owed {
    /// Nothing.
    Nothing,
    /// Its lease runs out and its agent undoes alone; once it is back, its journal must say so. Until then its cleanup
    /// is not verified.
    JournalOnceItIsBack,
    /// It can be asked now: its agent's journal, and a look at the host, must say that the fault is gone.
    JournalNow,
}

/// The hosts of one run while faults are in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostsInFault {
    /// Each host of the run with the boot on which its fault was put in place.
    boots: BTreeMap<String, String>,
    /// Those that vanished or restarted, each counted once, back or not.
    lost: BTreeSet<String>,
    tolerate: Tolerance,
}

impl HostsInFault {
    /// These hosts, each with the id of its boot when the fault was put in place.
    pub fn new(boots: BTreeMap<String, String>, tolerate: Tolerance) -> Self {
        Self { boots, lost: BTreeSet::new(), tolerate }
    }

    /// Hosts on which the fault can no longer be taken to be in place.
    pub fn lost(&self) -> &BTreeSet<String> {
        &self.lost
    }

    /// Hosts on which the fault still is.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.boots.keys().filter(|host| !self.lost.contains(*host)).map(String::as_str)
    }

    /// Takes in what happened to one host.
    pub fn decide(&mut self, host: &str, event: &HostEvent) -> Decision {
        let Some(boot) = self.boots.get(host) else {
            let note =
                format!("{host} is not one of the run's hosts; nothing is ever injected into a host that joined later");
            return Decision { course: Course::GoOn, owed: Owed::Nothing, note };
        };
        match event {
            HostEvent::Joined => Decision {
                course: Course::GoOn,
                owed: Owed::Nothing,
                note: format!("{host} is one of the run's hosts already"),
            },
            HostEvent::Vanished => {
                self.lose(host, Owed::JournalOnceItIsBack, "vanished; its own lease undoes the fault on it")
            }
            HostEvent::Restarted { boot: now } | HostEvent::Rejoined { boot: now } if now != boot => self.lose(
                host,
                Owed::JournalNow,
                "restarted; the fault went with its last boot or is recovered, which its journal must show",
            ),
            HostEvent::Restarted { .. } | HostEvent::Rejoined { .. } => {
                if self.lost.contains(host) {
                    self.lose(
                        host,
                        Owed::JournalNow,
                        "is back; nothing is injected into it again, and its journal must show that the fault is gone",
                    )
                } else {
                    Decision {
                        course: Course::GoOn,
                        owed: Owed::Nothing,
                        note: format!("{host} is back, and kept its lease"),
                    }
                }
            }
        }
    }

    fn lose(&mut self, host: &str, owed: Owed, what: &str) -> Decision {
        self.lost.insert(host.to_owned());
        let lost = self.lost.len();
        let most = usize::try_from(self.tolerate.vanished).unwrap_or(usize::MAX);
        let nobody_left = self.left().next().is_none();
        let (course, why) = if lost > most {
            (Course::Abort, format!("{lost} lost, {} tolerated", self.tolerate.vanished))
        } else if nobody_left {
            (Course::Abort, "no host of the run is left".into())
        } else {
            (Course::GoOn, format!("{lost} lost, {} tolerated", self.tolerate.vanished))
        };
        Decision { course, owed, note: format!("{host} {what} ({why})") }
    }
}

impl fmt::Display for HostEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Vanished => "vanished",
            Self::Restarted { .. } => "restarted",
            Self::Rejoined { .. } => "is back",
            Self::Joined => "joined",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(count: u32, vanished: u32) -> HostsInFault {
        let boots = (1..=count).map(|number| (format!("db-{number}"), "boot-1".to_owned())).collect();
        HostsInFault::new(boots, Tolerance { vanished })
    }

    fn back(boot: &str) -> HostEvent {
        HostEvent::Rejoined { boot: boot.into() }
    }

    #[test]
    fn a_host_that_vanishes_aborts_the_run_unless_that_is_tolerated() {
        let decision = hosts(2, 0).decide("db-1", &HostEvent::Vanished);
        assert_eq!((decision.course, decision.owed), (Course::Abort, Owed::JournalOnceItIsBack));
        assert_eq!(decision.note, "db-1 vanished; its own lease undoes the fault on it (1 lost, 0 tolerated)");

        let mut tolerant = hosts(3, 1);
        assert_eq!(tolerant.decide("db-1", &HostEvent::Vanished).course, Course::GoOn);
        assert_eq!(tolerant.decide("db-1", &HostEvent::Vanished).course, Course::GoOn, "counted once");
        assert_eq!(tolerant.left().collect::<Vec<_>>(), ["db-2", "db-3"]);
        assert_eq!(tolerant.decide("db-2", &HostEvent::Vanished).course, Course::Abort);
    }

    #[test]
    fn a_run_without_any_host_left_is_over_whatever_is_tolerated() {
        let decision = hosts(1, 5).decide("db-1", &HostEvent::Vanished);
        assert_eq!(decision.course, Course::Abort);
        assert!(decision.note.ends_with("(no host of the run is left)"), "{}", decision.note);
    }

    #[test]
    fn a_host_that_comes_back_is_never_injected_into_and_its_journal_is_read() {
        let mut run = hosts(2, 1);
        run.decide("db-1", &HostEvent::Vanished);
        let decision = run.decide("db-1", &back("boot-1"));
        assert_eq!((decision.course, decision.owed), (Course::GoOn, Owed::JournalNow));
        assert!(run.lost().contains("db-1"));
        let decision = run.decide("db-1", &back("boot-2"));
        assert_eq!((decision.course, decision.owed), (Course::GoOn, Owed::JournalNow), "a restart nobody saw");
    }

    #[test]
    fn a_restart_loses_the_fault_and_a_short_break_does_not() {
        let mut run = hosts(2, 0);
        assert_eq!(run.decide("db-1", &back("boot-1")).course, Course::GoOn);
        assert!(run.lost().is_empty());
        let decision = run.decide("db-1", &HostEvent::Restarted { boot: "boot-2".into() });
        assert_eq!((decision.course, decision.owed), (Course::Abort, Owed::JournalNow));
    }

    #[test]
    fn who_joins_is_left_in_peace() {
        let mut run = hosts(2, 0);
        let decision = run.decide("db-9", &HostEvent::Joined);
        assert_eq!((decision.course, decision.owed), (Course::GoOn, Owed::Nothing));
        assert_eq!(run.decide("db-9", &HostEvent::Vanished).course, Course::GoOn);
        assert_eq!(run, hosts(2, 0));
    }

    fn events() -> impl Strategy<Value = Vec<(u32, HostEvent)>> {
        let boot = (1u32..3).prop_map(|boot| format!("boot-{boot}"));
        let event = prop_oneof![
            Just(HostEvent::Vanished),
            Just(HostEvent::Joined),
            boot.clone().prop_map(|boot| HostEvent::Restarted { boot }),
            boot.prop_map(|boot| HostEvent::Rejoined { boot }),
        ];
        proptest::collection::vec((1u32..6, event), 0..20)
    }

    proptest! {
        #[test]
        fn the_lost_only_grow_and_beyond_what_is_tolerated_the_run_is_over(events in events(), vanished in 0u32..5) {
            let mut run = hosts(4, vanished);
            for (number, event) in events {
                let before = run.lost().clone();
                let decision = run.decide(&format!("db-{number}"), &event);
                prop_assert!(run.lost().is_superset(&before));
                prop_assert_eq!(run.lost().len() + run.left().count(), 4);
                let over = run.lost().len() > vanished as usize || run.left().count() == 0;
                if run.lost().len() > before.len() {
                    prop_assert_eq!(decision.course == Course::Abort, over);
                    prop_assert!(decision.owed != Owed::Nothing);
                }
                prop_assert!(over || decision.course == Course::GoOn);
            }
        }
    }
}
