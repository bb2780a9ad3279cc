//! Judging a run again from its journal alone.

use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::Bite;

use crate::experiment::document::Inject;
use crate::run::journal::{Entry, Event, RunState, Started, met};

use super::error::JudgeError;
use super::judge::Judge;
use super::run_verdict::{FaultFacts, Injection, InjectionFacts, RunFacts};
use super::verdict::ObjectiveVerdict;

/// The verdicts of a run from its journal: equal, byte for byte, to those that the run itself came to.
///
/// # Errors
/// [`JudgeError`] if the journal does not say how the run began, or its hypothesis cannot be judged.
pub fn rejudge(entries: &[Entry]) -> Result<Vec<ObjectiveVerdict>, JudgeError> {
    let mut judge = Judge::new(&beginning(entries)?.experiment.spec)?;
    entries.iter().for_each(|entry| judge.follow(entry));
    Ok(judge.verdicts())
}

pub(super) fn beginning(entries: &[Entry]) -> Result<&Started, JudgeError> {
    entries
        .iter()
        .find_map(|entry| match &entry.event {
            Event::Started(started) => Some(started.as_ref()),
            _ => None,
        })
        .ok_or(JudgeError::NoBeginning)
}

impl RunFacts {
    /// What happened in a run, from its journal. What the journal does not say did not happen.
    ///
    /// # Errors
    /// [`JudgeError::NoBeginning`] if the journal does not say how the run began.
    pub fn from_entries(entries: &[Entry]) -> Result<Self, JudgeError> {
        let started = beginning(entries)?;
        let asked = started.faults_asked();
        let mut faults: BTreeMap<FaultId, (usize, FaultFacts)> = BTreeMap::new();
        let mut facts = Self {
            faults: Vec::new(),
            injections: injections(started),
            steady_before: false,
            refused: None,
            aborted: None,
            interrupted: None,
            recovered: None,
            left_behind: None,
            placebo: started.placebo,
        };
        let mut last_reason = None;
        for Entry { event, .. } in entries {
            match event {
                Event::State { state, because } => {
                    facts.steady_before |= *state == RunState::Injecting;
                    last_reason = because.clone().or(last_reason);
                }
                Event::Planned { target, host, plan } => {
                    let name = format!("{} on {}", plan.fault, met(target, host.as_deref()));
                    let order = faults.len();
                    let planned = FaultFacts { name, injection: Injection::NotReached, lost: None };
                    faults.entry(plan.id.clone()).or_insert((order, planned));
                }
                Event::Injected { fault, .. } => {
                    // Of a placebo no effect is asked.
                    let unmeasured = Bite::NotYet("nothing was measured".into());
                    let bite = if facts.placebo { Bite::Yes } else { unmeasured };
                    set(&mut faults, fault, Injection::Injected { bite, undo_verified: false });
                }
                // What was refused because the run had been told to end was not a failure of the fault.
                Event::InjectionFailed { .. } if facts.aborted.is_some() || facts.interrupted.is_some() => {}
                Event::InjectionFailed { fault, reason } => {
                    set(&mut faults, fault, Injection::Failed { reason: reason.clone(), clean: true });
                }
                Event::Evidence { fault, evidence } => {
                    // Once it was seen to act it has acted, whatever a later measure says.
                    if let Some((_, FaultFacts { injection: Injection::Injected { bite, .. }, .. })) =
                        faults.get_mut(fault)
                        && *bite != Bite::Yes
                    {
                        *bite = evidence.bite.clone();
                    }
                }
                Event::Undone { fault, verified, .. } => {
                    match faults.get_mut(fault).map(|(_, fault)| &mut fault.injection) {
                        Some(Injection::Injected { undo_verified, .. }) => *undo_verified = *verified,
                        Some(Injection::Failed { clean, .. }) => *clean = *verified,
                        // Its injection was asked for by a controller that did not live to hear the answer.
                        Some(unheard @ Injection::NotReached) if !verified => {
                            let reason = "whether it was put in place is not known".into();
                            *unheard = Injection::Failed { reason, clean: false };
                        }
                        _ => {}
                    }
                }
                Event::Breached { guardrail } => {
                    facts.aborted.get_or_insert(format!("guardrail breached: {}", guardrail.reason()));
                }
                Event::Stopped { by } if by.starts_with("interrupted") => {
                    facts.interrupted.get_or_insert(by.clone());
                }
                Event::Stopped { by } => {
                    facts.aborted.get_or_insert(by.clone());
                }
                Event::Host { note, lost, .. } => {
                    for fault in lost {
                        if let Some((_, fault)) = faults.get_mut(fault) {
                            fault.lost.get_or_insert(note.clone());
                        }
                    }
                }
                Event::LeftBehind { what } => {
                    facts.left_behind.get_or_insert(what.clone());
                }
                Event::Recovered { after } => facts.recovered = Some(*after),
                _ => {}
            }
        }
        if !facts.steady_before {
            // Nothing was injected yet, so there was nothing to abort.
            facts.refused = facts.aborted.take().or(last_reason);
        }
        let mut ordered: Vec<_> = faults.into_values().collect();
        ordered.sort_by_key(|(order, _)| *order);
        facts.faults = ordered.into_iter().map(|(_, fault)| fault).collect();
        while facts.faults.len() < asked {
            let name = format!("fault {}", facts.faults.len() + 1);
            facts.faults.push(FaultFacts { name, injection: Injection::NotReached, lost: None });
        }
        Ok(facts)
    }
}

/// The injections of a run on a fleet: as many faults as each has hosts, in the order of the document.
fn injections(started: &Started) -> Vec<InjectionFacts> {
    let spec = &started.experiment.spec;
    let mut next = 0;
    let of_hosts = |(inject, hosts): (&Inject, &Vec<String>)| {
        let faults = next..next + hosts.len();
        next = faults.end;
        InjectionFacts {
            name: format!("{} on {}", inject.fault.name(), spec.target_name(inject)),
            faults,
            needed: spec.target(inject).map_or(1, |target| target.host_pick().fewest()),
        }
    };
    spec.injections().zip(&started.hosts).map(of_hosts).collect()
}

fn set(faults: &mut BTreeMap<FaultId, (usize, FaultFacts)>, id: &FaultId, injection: Injection) {
    let order = faults.len();
    let unplanned =
        || (order, FaultFacts { name: format!("fault {id}"), injection: Injection::NotReached, lost: None });
    faults.entry(id.clone()).or_insert_with(unplanned).1.injection = injection;
}
