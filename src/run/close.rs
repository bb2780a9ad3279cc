//! Closing a run whose driver is gone: a controller that was killed, restarted, or cut off from the others.
//!
//! What it left is undone by the agents, since they alone can say that it is; the journal goes on where it ended, and the
//! verdict is drawn from it like any other. Nothing is injected, and nothing that the journal does not show is taken for
//! done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use faultline_agent::identity::FaultId;

use super::journal::{Entry, Event, RunState};
use super::left::{LeftFault, left_on_hosts};
use crate::fleet::{Agent, Undone};
use crate::hypothesis::verdict::{ObjectiveVerdict, RunVerdict};
use crate::hypothesis::{RunFacts, rejudge, run_verdict};

/// A fault that a run may have left: planned, and never seen to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFault {
    /// Its id.
    pub id: FaultId,
    /// The host on which it may be; nothing for the host of the run.
    pub host: Option<String>,
    /// Whether it is known to have been put in place.
    pub injected: bool,
}

/// The faults that a run may have left, by its journal. None if it never came to inject: that state is kept before the
/// first agent is asked.
pub fn open_faults(entries: &[Entry]) -> Vec<OpenFault> {
    if !entries.iter().any(|entry| matches!(entry.event, Event::State { state: RunState::Injecting, .. })) {
        return Vec::new();
    }
    let mut order = Vec::new();
    let mut open: BTreeMap<FaultId, OpenFault> = BTreeMap::new();
    for Entry { event, .. } in entries {
        match event {
            Event::Planned { host, plan, .. } if !open.contains_key(&plan.id) => {
                order.push(plan.id.clone());
                open.insert(plan.id.clone(), OpenFault { id: plan.id.clone(), host: host.clone(), injected: false });
            }
            Event::Injected { fault, .. } => {
                if let Some(fault) = open.get_mut(fault) {
                    fault.injected = true;
                }
            }
            Event::Undone { fault, verified: true, .. } => {
                open.remove(fault);
            }
            _ => {}
        }
    }
    order.into_iter().filter_map(|id| open.remove(&id)).collect()
}

/// How a run was closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// Its verdict.
    pub verdict: RunVerdict,
    /// Why, in one sentence.
    pub because: String,
    /// How many of its faults the agents were asked to undo.
    pub asked: usize,
    /// The faults that were not seen to be undone.
    pub left: Vec<LeftFault>,
}

/// Closes a run. `entries` is its journal so far, which must begin with its start; `agent` finds the agent of a host;
/// `note` appends to the journal. A run that had its verdict already keeps it.
pub async fn close(
    entries: Vec<Entry>,
    because: &str,
    agent: impl Fn(&str) -> Arc<dyn Agent>,
    mut note: impl FnMut(&Entry),
) -> Closed {
    if let Some((verdict, because)) = finished(&entries) {
        return Closed { verdict, because, asked: 0, left: left_on_hosts(&entries) };
    }
    let mut journal = Continued { last: entries.last().map_or(0.0, |entry| entry.at), begun: Instant::now(), entries };
    let open = open_faults(&journal.entries);
    let judged = judged(&journal.entries);
    if judged.is_none() && !has_recovered(&journal.entries) {
        journal.write(Event::Stopped { by: because.to_owned() }, &mut note);
        journal.write(Event::State { state: RunState::Undoing, because: Some(because.to_owned()) }, &mut note);
    }
    let asked = open.len();
    let undoing: Vec<_> = open
        .into_iter()
        .map(|fault| {
            let undoing = fault.host.as_deref().map(|host| agent(host).undo(fault.id.clone()));
            tokio::spawn(async move {
                match undoing {
                    Some(undoing) => (fault, undoing.await),
                    None => (fault, unreachable_host()),
                }
            })
        })
        .collect();
    for task in undoing {
        let Ok((fault, undone)) = task.await else { continue };
        let Undone { steps, verified, took } = undone;
        journal.write(Event::Undone { fault: fault.id, steps, verified, took: took.as_secs_f64() }, &mut note);
    }
    if !is_in(RunState::Judged, &journal.entries) {
        journal.write(Event::State { state: RunState::Judged, because: Some(because.to_owned()) }, &mut note);
    }
    // What was judged by the samples stays, also where the samples are not at hand any more.
    let objectives = judged.unwrap_or_else(|| {
        let objectives = rejudge(&journal.entries).unwrap_or_default();
        journal.write(Event::Judged { objectives: objectives.clone() }, &mut note);
        objectives
    });
    let (verdict, because) = match RunFacts::from_entries(&journal.entries) {
        Ok(facts) => run_verdict(&facts, &objectives),
        Err(error) => (RunVerdict::CleanupUnverified, format!("its journal does not say how it began: {error}")),
    };
    journal.write(Event::Finished { verdict, because: because.clone() }, &mut note);
    Closed { verdict, because, asked, left: left_on_hosts(&journal.entries) }
}

fn finished(entries: &[Entry]) -> Option<(RunVerdict, String)> {
    entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Finished { verdict, because } => Some((*verdict, because.clone())),
        _ => None,
    })
}

/// The objectives as they were judged, if that was written down.
fn judged(entries: &[Entry]) -> Option<Vec<ObjectiveVerdict>> {
    entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Judged { objectives } => Some(objectives.clone()),
        _ => None,
    })
}

/// Whether that state is the last one that was entered.
fn is_in(wanted: RunState, entries: &[Entry]) -> bool {
    let last = entries.iter().rev().find_map(|entry| match entry.event {
        Event::State { state, .. } => Some(state),
        _ => None,
    });
    last == Some(wanted)
}

/// Whether all that was missing is the verdict.
fn has_recovered(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.event, Event::Recovered { .. }))
}

/// Nobody can say of a fault without a host what became of it.
fn unreachable_host() -> Undone {
    Undone { steps: Vec::new(), verified: false, took: std::time::Duration::ZERO }
}

/// A journal that goes on. Its clock goes on from the last entry: how long nobody wrote is not known to it.
struct Continued {
    last: f64,
    begun: Instant,
    entries: Vec<Entry>,
}

impl Continued {
    fn write(&mut self, event: Event, note: &mut impl FnMut(&Entry)) {
        let entry = Entry { at: self.last + self.begun.elapsed().as_secs_f64(), event };
        note(&entry);
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests;
