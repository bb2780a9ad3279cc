//! What a run makes of hosts that vanish, restart or join while it has faults in place. Pure.
//!
//! The fault on a host that is out of reach is not forgotten: its own lease undoes it, and the run is not over before
//! that host was asked, or is told of as not verified. Nobody ever injects again into a host that was lost.

use std::collections::{BTreeMap, BTreeSet};

use super::host_event::{HostEvent, HostLife};
use crate::experiment::document::Tolerance;

/// What the run does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether the run goes on.
    pub course: Course,
    /// What must still be seen before the host counts as cleaned up.
    pub owed: Owed,
    /// What happened and what follows, for the run's journal and the report.
    pub note: String,
}

impl Decision {
    fn nothing(note: String) -> Self {
        Self { course: Course::GoOn, owed: Owed::Nothing, note }
    }

    /// What a run makes of a host that is none of its own.
    pub fn of_an_outsider(host: &str, event: &HostEvent) -> Self {
        let meant = match event {
            HostEvent::Joined { targets } => format!(" and is meant by {}", in_quotes(targets)),
            _ => String::new(),
        };
        Self::nothing(format!("{host} {event}{meant}: it is not of the approved plan, and nothing is injected there"))
    }
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// With the hosts that are left.
    GoOn,
    /// Undo on all hosts that can be reached, and end as aborted.
    Abort,
}

/// What must still be seen of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// Nothing new.
    Nothing,
    /// Its lease runs out and its agent undoes alone; once it is back, it must say so. Until then its cleanup is not
    /// verified.
    WordOnceItIsBack,
    /// It can be asked now whether the fault is gone.
    WordNow,
}

/// The hosts of one run, from its first injection on.
#[derive(Debug, Clone, PartialEq)]
pub struct HostsInFault {
    /// Each host of the run with the life in which it was heard last.
    lives: BTreeMap<String, HostLife>,
    /// Those that vanished or restarted, each counted once, back or not.
    lost: BTreeSet<String>,
    /// Those of the lost that are out of reach.
    away: BTreeSet<String>,
    tolerate: Tolerance,
}

impl HostsInFault {
    /// These hosts, each with its life at the first injection.
    pub fn new(lives: BTreeMap<String, HostLife>, tolerate: Tolerance) -> Self {
        Self { lives, lost: BTreeSet::new(), away: BTreeSet::new(), tolerate }
    }

    /// Hosts on which a fault can no longer be taken to be in place.
    pub fn lost(&self) -> &BTreeSet<String> {
        &self.lost
    }

    /// Hosts on which the faults still are.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.lives.keys().filter(|host| !self.lost.contains(*host)).map(String::as_str)
    }

    /// What happened to a host that is heard, in this life, or has not been for so many seconds: nothing, if the run
    /// knows it already.
    pub fn changed(&self, host: &str, now: &HostLife, silent: Option<u64>) -> Option<HostEvent> {
        let known = self.lives.get(host)?;
        let is_away = self.away.contains(host);
        match silent {
            Some(silent) if !is_away => Some(HostEvent::Vanished { silent }),
            Some(_) => None,
            None if now.boot != known.boot => Some(HostEvent::Rebooted { boot: now.boot.clone() }),
            None if now.process != known.process => Some(HostEvent::AgentRestarted),
            None => is_away.then_some(HostEvent::Returned),
        }
    }

    /// Takes in what happened to one host, which now lives so.
    pub fn decide(&mut self, host: &str, event: &HostEvent, now: &HostLife) -> Decision {
        let Some(life) = self.lives.get_mut(host) else { return Decision::of_an_outsider(host, event) };
        if !matches!(event, HostEvent::Vanished { .. }) {
            life.clone_from(now);
            self.away.remove(host);
        }
        match event {
            HostEvent::Joined { .. } => Decision::nothing(format!("{host} is one of the run's hosts already")),
            HostEvent::Vanished { silent } => {
                self.away.insert(host.to_owned());
                let what =
                    format!("vanished: nothing was heard of it for {silent} s; its own lease undoes what is on it");
                self.lose(host, Owed::WordOnceItIsBack, &what)
            }
            HostEvent::Rebooted { .. } => self.lose(
                host,
                Owed::WordNow,
                "was booted anew: what was on it is gone with its last boot or undone at this one",
            ),
            HostEvent::AgentRestarted => self.lose(
                host,
                Owed::WordNow,
                "has a new agent process: the guard of the last one undid what was on it",
            ),
            HostEvent::Returned => self.lose(
                host,
                Owed::WordNow,
                "is back; nothing is injected into it again, and it must say that the fault is gone",
            ),
            HostEvent::UndoneAlone { because, verified, .. } => {
                let seen = if *verified { "" } else { ", and could NOT verify that it is gone" };
                let what = format!("undid its fault by itself ({because}){seen}");
                self.lose(host, Owed::WordNow, &what)
            }
        }
    }

    fn lose(&mut self, host: &str, owed: Owed, what: &str) -> Decision {
        if !self.lost.insert(host.to_owned()) {
            return Decision { course: Course::GoOn, owed, note: format!("{host} {what}") };
        }
        let (lost, most) = (self.lost.len(), self.tolerate.vanished.most(self.lives.len()));
        let nobody_left = self.left().next().is_none();
        let count = format!("{lost} of {} hosts lost, {most} tolerated", self.lives.len());
        let (course, why) = match (lost > most, nobody_left) {
            (true, _) => (Course::Abort, count),
            (false, true) => (Course::Abort, "no host of the run is left".into()),
            (false, false) => (Course::GoOn, count),
        };
        Decision { course, owed, note: format!("{host} {what} ({why})") }
    }
}

fn in_quotes(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use faultline_agent::identity::FaultId;
    use proptest::prelude::*;

    use super::*;
    use crate::experiment::document::HostCeiling;

    fn life(boot: u32, process: u64) -> HostLife {
        HostLife { boot: format!("boot-{boot}"), process }
    }

    fn hosts(count: u32, vanished: u32) -> HostsInFault {
        tolerant(count, HostCeiling::Count(vanished))
    }

    fn tolerant(count: u32, vanished: HostCeiling) -> HostsInFault {
        let lives = (1..=count).map(|number| (format!("db-{number}"), life(1, 1))).collect();
        HostsInFault::new(lives, Tolerance { vanished })
    }

    const GONE: HostEvent = HostEvent::Vanished { silent: 16 };

    #[test]
    fn a_host_that_vanishes_aborts_the_run_unless_that_is_tolerated() {
        let decision = hosts(2, 0).decide("db-1", &GONE, &life(1, 1));
        assert_eq!((decision.course, decision.owed), (Course::Abort, Owed::WordOnceItIsBack));
        assert_eq!(
            decision.note,
            "db-1 vanished: nothing was heard of it for 16 s; its own lease undoes what is on it (1 of 2 hosts lost, 0 tolerated)"
        );
        let mut tolerant = hosts(3, 1);
        assert_eq!(tolerant.decide("db-1", &GONE, &life(1, 1)).course, Course::GoOn);
        assert_eq!(tolerant.changed("db-1", &life(1, 1), Some(30)), None, "it is known to be away");
        assert_eq!(tolerant.left().collect::<Vec<_>>(), ["db-2", "db-3"]);
        assert_eq!(tolerant.decide("db-2", &GONE, &life(1, 1)).course, Course::Abort);
    }

    #[test]
    fn a_share_is_of_the_hosts_chosen_and_rounded_down() {
        let share = |text: &str| serde_json::from_value::<HostCeiling>(text.into()).unwrap();
        for (of, vanished, course) in [(3, "33%", Course::Abort), (3, "34%", Course::GoOn), (10, "10%", Course::GoOn)] {
            assert_eq!(
                tolerant(of, share(vanished)).decide("db-1", &GONE, &life(1, 1)).course,
                course,
                "{vanished} of {of}"
            );
        }
    }

    #[test]
    fn a_run_without_any_host_left_is_over_whatever_is_tolerated() {
        let decision = hosts(1, 5).decide("db-1", &GONE, &life(1, 1));
        assert_eq!(decision.course, Course::Abort);
        assert!(decision.note.ends_with("(no host of the run is left)"), "{}", decision.note);
    }

    #[test]
    fn who_is_heard_again_is_known_by_boot_and_process() {
        let mut run = hosts(2, 1);
        assert_eq!(run.changed("db-1", &life(1, 1), None), None);
        assert_eq!(run.changed("db-1", &life(1, 2), None), Some(HostEvent::AgentRestarted));
        assert_eq!(run.changed("db-1", &life(2, 1), None), Some(HostEvent::Rebooted { boot: "boot-2".into() }));
        run.decide("db-1", &GONE, &life(1, 1));
        assert_eq!(run.changed("db-1", &life(1, 1), None), Some(HostEvent::Returned));
        let decision = run.decide("db-1", &HostEvent::Returned, &life(1, 1));
        assert_eq!((decision.course, decision.owed), (Course::GoOn, Owed::WordNow));
        assert_eq!(run.changed("db-1", &life(1, 1), None), None);
        let again = run.decide("db-1", &HostEvent::AgentRestarted, &life(1, 7));
        assert_eq!((again.course, again.owed), (Course::GoOn, Owed::WordNow), "counted once");
        assert!(run.lost().contains("db-1"));
        assert_eq!(run.changed("db-1", &life(1, 7), None), None);
    }

    #[test]
    fn a_restart_loses_the_fault_and_so_does_a_lease_that_ran_out_there() {
        for event in [
            HostEvent::Rebooted { boot: "boot-2".into() },
            HostEvent::AgentRestarted,
            HostEvent::UndoneAlone { fault: FaultId::from_number(1), because: "lease".into(), verified: true },
        ] {
            let mut run = hosts(2, 0);
            let decision = run.decide("db-1", &event, &life(2, 2));
            assert_eq!((decision.course, decision.owed), (Course::Abort, Owed::WordNow), "{event:?}");
        }
    }

    #[test]
    fn who_joins_is_told_of_and_left_in_peace() {
        let mut run = hosts(2, 0);
        let decision = run.decide("db-9", &HostEvent::Joined { targets: vec!["db".into()] }, &life(1, 1));
        assert_eq!((decision.course, decision.owed), (Course::GoOn, Owed::Nothing));
        assert_eq!(
            decision.note,
            "db-9 joined and is meant by `db`: it is not of the approved plan, and nothing is injected there"
        );
        assert_eq!(run, hosts(2, 0));
    }

    fn events() -> impl Strategy<Value = Vec<(u32, u32, u64, bool)>> {
        proptest::collection::vec((1u32..6, 1u32..3, 1u64..3, any::<bool>()), 0..30)
    }

    proptest! {
        #[test]
        fn the_lost_only_grow_and_beyond_what_is_tolerated_the_run_is_over(events in events(), vanished in 0u32..5) {
            let mut run = hosts(4, vanished);
            for (number, boot, process, silent) in events {
                let (host, now) = (format!("db-{number}"), life(boot, process));
                let before = run.lost().clone();
                let Some(event) = run.changed(&host, &now, silent.then_some(16)) else { continue };
                let decision = run.decide(&host, &event, &now);
                prop_assert_eq!(run.changed(&host, &now, silent.then_some(17)), None, "what is known is no news");
                prop_assert!(run.lost().is_superset(&before) && run.lost().contains(&host));
                prop_assert_eq!(run.lost().len() + run.left().count(), 4);
                let over = run.lost().len() > vanished as usize || run.left().count() == 0;
                prop_assert!(decision.owed != Owed::Nothing);
                let first = run.lost().len() > before.len();
                prop_assert_eq!(decision.course == Course::Abort, first && over);
            }
        }
    }
}
