use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::facts::{Facts, ProcessFacts, ProcessMatcher};
use crate::identity::{FaultId, ProcessIdentity};
use crate::target::Resolved;

/// So many changes of one target are told one by one.
const TOLD: usize = 20;

/// The processes that each fault in place was meant for, so that it can be told when they end and others come: a service
/// that was restarted, a replica that took its place.
#[derive(Debug, Default)]
pub(super) struct Met(Mutex<BTreeMap<FaultId, Target>>);

#[derive(Debug)]
struct Target {
    matcher: ProcessMatcher,
    /// Those that were met, and live as far as is known.
    living: BTreeMap<ProcessIdentity, String>,
    /// Everyone who matched at any time.
    known: BTreeSet<ProcessIdentity>,
    changes: Vec<String>,
}

/// Whom a fault is about to meet, looked at before it is put in place.
pub(super) struct Meeting(Option<Target>);

impl Meeting {
    /// Nothing to be told of where the target is no process.
    pub(super) fn of(Resolved { scope, matching, .. }: Resolved) -> Self {
        let target = scope.processes.zip(scope.selection).and_then(|(met, selection)| {
            let matcher = selection.matcher().ok()?;
            let living = met.into_iter().map(|process| (process.identity, process.name)).collect();
            Some(Target { known: matching, living, matcher, changes: Vec::new() })
        });
        Self(target)
    }
}

impl Met {
    fn targets(&self) -> MutexGuard<'_, BTreeMap<FaultId, Target>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault is in place.
    pub(super) fn keep(&self, fault: &FaultId, Meeting(target): Meeting) {
        if let Some(target) = target {
            self.targets().insert(fault.clone(), target);
        }
    }

    /// A fault is undone.
    pub(super) fn forget(&self, fault: &FaultId) {
        self.targets().remove(fault);
    }

    /// What became of the processes of a fault's target since it was put in place, in order.
    pub(super) fn changes(&self, fault: &FaultId, facts: &dyn Facts) -> Vec<String> {
        if !self.targets().contains_key(fault) {
            return Vec::new();
        }
        // Without the lock: it takes milliseconds.
        let Ok(all) = facts.processes() else { return Vec::new() };
        self.targets().get_mut(fault).map(|target| target.look(&all)).unwrap_or_default()
    }
}

impl Target {
    fn look(&mut self, all: &[ProcessFacts]) -> Vec<String> {
        let is_alive = |process: &&ProcessFacts| !matches!(process.state, 'Z' | 'X');
        let alive: BTreeSet<ProcessIdentity> = all.iter().filter(is_alive).map(|process| process.identity).collect();
        let changes = &mut self.changes;
        self.living.retain(|process, name| {
            let lives = alive.contains(process);
            if !lives {
                changes.push(format!("process {process} ({name}) of the target ended"));
            }
            lives
        });
        for process in all.iter().filter(is_alive).filter(|process| self.matcher.matches(process)) {
            if self.known.insert(process.identity) {
                changes.push(format!("process {} ({}) is new and matches the target", process.identity, process.name));
            }
        }
        if changes.len() > TOLD {
            changes.truncate(TOLD);
            changes.push("more processes of the target came and went, and are not told one by one".into());
        }
        changes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ProcessSelector, Selection, fake};

    fn process(pid: i32, name: &str, state: char) -> ProcessFacts {
        ProcessFacts { state, ..fake::process(pid, name) }
    }

    fn target(met: &[ProcessFacts], all: &[ProcessFacts]) -> Target {
        let selector = ProcessSelector { name: Some("nginx".into()), ..ProcessSelector::default() };
        let matcher = Selection { selector, ..Selection::default() }.matcher().unwrap();
        Target {
            known: all.iter().filter(|process| matcher.matches(process)).map(|process| process.identity).collect(),
            living: met.iter().map(|process| (process.identity, process.name.clone())).collect(),
            matcher,
            changes: Vec::new(),
        }
    }

    #[test]
    fn a_restart_is_an_end_and_a_new_process_and_each_is_told_once() {
        let before = [process(7, "nginx", 'S'), process(8, "nginx", 'S'), process(9, "sh", 'S')];
        let mut target = target(&before[..1], &before);
        assert!(target.look(&before).is_empty(), "a replica that was there and was not chosen is no news");
        let after =
            [process(7, "nginx", 'Z'), process(8, "nginx", 'S'), process(9, "sh", 'S'), process(12, "nginx", 'S')];
        let told = target.look(&after);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("process 7") && told[0].ends_with("(nginx) of the target ended"), "{told:?}");
        assert!(told[1].starts_with("process 12") && told[1].ends_with("is new and matches the target"), "{told:?}");
        assert_eq!(target.look(&after), told);
        for pid in 100..200 {
            target.look(&[process(pid, "nginx", 'S')]);
        }
        assert_eq!(target.look(&after).len(), TOLD + 1);
    }
}
