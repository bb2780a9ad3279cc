//! What a run may have left on the hosts of a fleet, by its journal.

use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;
use faultline_agent::node::UndoneStep;

use super::journal::{Entry, Event, met};

/// A fault that was, or may have been, put in place, and was not seen to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFault {
    /// Its id.
    pub id: FaultId,
    /// Its host; nothing if the journal does not say on which it was.
    pub host: Option<String>,
    /// What it is, and what was found of it, in one line.
    pub what: String,
}

/// The faults of a run that was driven or closed to its end and that were not seen to be undone: the very ones for which
/// its verdict is that the cleanup is not verified ([`crate::hypothesis::RunFacts`]).
pub fn left_on_hosts(entries: &[Entry]) -> Vec<LeftFault> {
    let mut names: BTreeMap<&FaultId, (Option<&str>, String)> = BTreeMap::new();
    let mut left: BTreeMap<&FaultId, String> = BTreeMap::new();
    for Entry { event, .. } in entries {
        match event {
            Event::Planned { target, host, plan } => {
                let name = format!("{} on {}", plan.fault, met(target, host.as_deref()));
                names.entry(&plan.id).or_insert((host.as_deref(), name));
            }
            Event::Injected { fault, .. } => {
                left.insert(fault, String::new());
            }
            Event::Undone { fault, verified: true, .. } => {
                left.remove(fault);
            }
            Event::Undone { fault, verified: false, steps, .. } => {
                left.insert(fault, UndoneStep::unclean(steps));
            }
            _ => {}
        }
    }
    left.into_iter()
        .map(|(fault, found)| {
            let named = names.get(fault);
            let name = named.map_or_else(|| format!("fault {fault}"), |(_, name)| name.clone());
            let host = named.and_then(|(host, _)| host.map(str::to_owned));
            let found = if found.is_empty() { found } else { format!(" ({found})") };
            LeftFault { id: fault.clone(), host, what: format!("{name} was not seen to be undone{found}") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    fn journal() -> (Vec<Entry>, FaultId) {
        let mut entries = fixture::journal(Ending::Held);
        let mut id = None;
        for entry in &mut entries {
            if let Event::Planned { host, plan, .. } = &mut entry.event {
                *host = Some("db-1".into());
                id = Some(plan.id.clone());
            }
        }
        (entries, id.unwrap())
    }

    #[test]
    fn a_run_that_was_undone_leaves_nothing_and_one_that_was_cut_off_its_fault() {
        let (mut entries, id) = journal();
        assert_eq!(left_on_hosts(&entries), []);
        entries.retain(|entry| !matches!(entry.event, Event::Undone { .. }));
        let left = left_on_hosts(&entries);
        assert_eq!((left.len(), &left[0].id, left[0].host.as_deref()), (1, &id, Some("db-1")));
        entries.retain(|entry| !matches!(entry.event, Event::Injected { .. }));
        assert_eq!(left_on_hosts(&entries), [], "it was planned and never asked for");
    }

    #[test]
    fn what_an_undo_found_is_told_and_a_later_one_that_sees_it_gone_counts() {
        let (mut entries, id) = journal();
        let step = |clean: bool| UndoneStep { step: "remove the qdisc".into(), outcome: "STUCK: busy".into(), clean };
        let undone = |verified, steps| Entry {
            at: 900.0,
            event: Event::Undone { fault: id.clone(), steps, verified, took: 0.1 },
        };
        entries.push(undone(false, vec![step(true), step(false)]));
        let what = left_on_hosts(&entries).remove(0).what;
        assert!(what.ends_with("was not seen to be undone (remove the qdisc: STUCK: busy)"), "{what}");
        assert!(what.contains("db-1") || what.contains(" of db-1"), "{what}");
        entries.push(undone(true, Vec::new()));
        assert_eq!(left_on_hosts(&entries), []);
    }

    #[test]
    fn a_fault_whose_host_the_journal_does_not_say_is_left_on_nobody_knows_which() {
        let (mut entries, id) = journal();
        entries.retain(|entry| !matches!(entry.event, Event::Planned { .. } | Event::Undone { .. }));
        let left = left_on_hosts(&entries);
        assert_eq!(
            (left[0].host.as_deref(), left[0].what.as_str()),
            (None, &*format!("fault {id} was not seen to be undone"))
        );
    }
}
