use std::collections::HashMap;

use super::ProcessFacts;
use crate::identity::ProcessIdentity;

/// Which processes no fault may touch, and why: process 1, threads of the kernel, Faultline's own, and those from which
/// they descend (the shell, the terminal, the service that watches over us).
#[derive(Debug, Clone, Default)]
pub struct Protection {
    reasons: HashMap<i32, &'static str>,
}

impl Protection {
    /// From what [`Facts::protected`](super::Facts::protected) names and all processes that there are.
    pub fn of(processes: &[ProcessFacts], protected: &[ProcessIdentity]) -> Self {
        let parents: HashMap<i32, i32> = processes.iter().map(|facts| (facts.identity.pid, facts.parent)).collect();
        let mut reasons = HashMap::new();
        for identity in protected {
            let mut pid = identity.pid;
            // Numbers are finite and each is met once, so that even a torn reading of parents ends.
            while let Some(parent) = parents.get(&pid).filter(|parent| **parent > 0) {
                if reasons.insert(*parent, "Faultline runs below it").is_some() {
                    break;
                }
                pid = *parent;
            }
        }
        reasons.extend(protected.iter().map(|identity| (identity.pid, "it is Faultline itself")));
        reasons.extend(
            processes
                .iter()
                .filter(|facts| facts.kernel_thread)
                .map(|facts| (facts.identity.pid, "it is a kernel thread")),
        );
        reasons.insert(1, "it is process 1, without which the host stops");
        Self { reasons }
    }

    /// Why this process may not be touched; nothing if it may.
    pub fn reason(&self, identity: ProcessIdentity) -> Option<&'static str> {
        self.reasons.get(&identity.pid).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::process;
    use super::*;

    #[test]
    fn the_agent_and_all_above_it_are_spared_and_its_children_are_not() {
        let mut kernel = process(2, "kthreadd");
        kernel.kernel_thread = true;
        let parent = |pid, name, parent| ProcessFacts { parent, ..process(pid, name) };
        let all =
            [process(1, "init"), kernel, parent(10, "bash", 1), parent(20, "faultline", 10), parent(30, "shop", 20)];
        let protection = Protection::of(&all, &[all[3].identity]);
        let reasons: Vec<_> = all.iter().map(|facts| protection.reason(facts.identity)).collect();
        assert_eq!(
            reasons,
            [
                Some("it is process 1, without which the host stops"),
                Some("it is a kernel thread"),
                Some("Faultline runs below it"),
                Some("it is Faultline itself"),
                None
            ]
        );
    }

    #[test]
    fn parents_that_form_a_ring_do_not_hang_it() {
        let parent = |pid, parent| ProcessFacts { parent, ..process(pid, "x") };
        let all = [parent(5, 6), parent(6, 5)];
        assert!(Protection::of(&all, &[all[0].identity]).reason(all[1].identity).is_some());
    }
}
