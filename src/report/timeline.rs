//! What happened, in words.

use faultline_agent::identity::FaultId;
use faultline_agent::plan::Bite;

use super::model::{Moment, MomentKind};
use super::notation;
use crate::hypothesis::verdict::{ObjectiveVerdict, Verdict};
use crate::run::journal::{Entry, Event, RunState, met};
use crate::slo::budget;
use crate::targets::hosts::HostEvent;

/// Everything that happened but the samples, in order. Evidence is told of when it changes.
pub(super) fn moments(entries: &[Entry]) -> Vec<Moment> {
    let mut words = Words::default();
    entries
        .iter()
        .filter_map(|entry| {
            let (kind, text) = words.of(&entry.event)?;
            Some(Moment { at: entry.at, kind, text })
        })
        .collect()
}

/// A state as it follows `the run is …`.
pub(crate) fn state(state: RunState) -> &'static str {
    match state {
        RunState::Planned => "starting",
        RunState::Steady => "taking the baseline",
        RunState::Injecting => "injecting",
        RunState::Biting => "waiting for proof that the fault bites",
        RunState::Watching => "watching under the fault",
        RunState::Undoing => "undoing",
        RunState::Recovering => "waiting for recovery",
        RunState::Judged => "judging",
    }
}

/// Words for events, remembering the names of faults and what was said of them last.
#[derive(Debug, Default)]
pub(crate) struct Words {
    faults: Vec<(FaultId, String, Option<Bite>, usize)>,
}

impl Words {
    /// The kind and the words of an event; nothing for what needs no line of its own.
    pub(crate) fn of(&mut self, event: &Event) -> Option<(MomentKind, String)> {
        let words = match event {
            Event::Started(started) => (
                MomentKind::Run,
                format!(
                    "run {} of {} began, seed {}{}",
                    started.run,
                    started.experiment.metadata.name,
                    started.seed,
                    if started.placebo { ", a placebo: nothing is injected" } else { "" }
                ),
            ),
            Event::State { state: entered, because } => {
                let because = because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
                (MomentKind::Run, format!("{}{because}", state(*entered)))
            }
            Event::Service { name, change } => (MomentKind::Service, format!("service {name}: {change}")),
            Event::Sample(_) => return None,
            Event::Planned { target, host, plan } => {
                let target = met(target, host.as_deref());
                let name = match host {
                    Some(_) => format!("{} on {target}", plan.fault),
                    None => plan.fault.clone(),
                };
                self.faults.push((plan.id.clone(), name, None, 0));
                let steps = plan.steps.len();
                let plural = if steps == 1 { "" } else { "s" };
                (MomentKind::Fault, format!("{} on {target} planned: {steps} step{plural}", plan.fault))
            }
            Event::Injected { fault, took } => {
                (MomentKind::Fault, format!("{} in place after {}", self.name(fault), notation::seconds(*took)))
            }
            Event::InjectionFailed { fault, reason } => {
                (MomentKind::Alarm, format!("{} could not be put in place: {reason}", self.name(fault)))
            }
            Event::Evidence { fault, evidence } => {
                let known = self.faults.iter_mut().find(|(id, ..)| id == fault);
                let (mut same, mut told) = (false, 0);
                if let Some((_, _, said, changes)) = known {
                    same = said.replace(evidence.bite.clone()).as_ref() == Some(&evidence.bite);
                    told = std::mem::replace(changes, evidence.changes.len());
                }
                let name = self.name(fault);
                let changes = evidence.changes.get(told..).unwrap_or_default();
                if same {
                    return (!changes.is_empty())
                        .then(|| (MomentKind::Fault, format!("{name}: {}", changes.join("; "))));
                }
                match &evidence.bite {
                    Bite::Yes => {
                        let measures = evidence
                            .measurements
                            .iter()
                            .map(|found| notation::named(&found.name, found.measured, &found.unit));
                        let measures = measures.collect::<Vec<_>>().join(", ");
                        let colon = if measures.is_empty() { "" } else { ": " };
                        (MomentKind::Fault, format!("{name} bites{colon}{measures}"))
                    }
                    Bite::NotYet(why) => (MomentKind::Fault, format!("{name} does not bite yet: {why}")),
                    Bite::No(why) => (MomentKind::Alarm, format!("{name} has no effect: {why}")),
                }
            }
            Event::Undone { fault, steps, verified, took } => {
                let name = self.name(fault);
                let took = notation::seconds(*took);
                match (verified, steps.iter().find(|step| !step.clean)) {
                    (true, _) => (MomentKind::Undo, format!("{name} undone and verified in {took}")),
                    (false, Some(step)) => {
                        (MomentKind::Alarm, format!("{name} NOT undone: {}: {}", step.step, step.outcome))
                    }
                    (false, None) => (MomentKind::Alarm, format!("{name} undone in {took}, but not verified")),
                }
            }
            Event::Budget(state) => {
                (MomentKind::Run, format!("{} of {} is left", budget::percent(state.remaining()), state.name()))
            }
            Event::Breached { guardrail } => (
                MomentKind::Alarm,
                format!("guardrail breached: {} ({})", guardrail.description, guardrail.measured_text),
            ),
            Event::Host { what, note, .. } => {
                let kind = match what {
                    HostEvent::Returned | HostEvent::Joined { .. } => MomentKind::Run,
                    _ => MomentKind::Alarm,
                };
                (kind, note.clone())
            }
            Event::Drifted { differences } => {
                (MomentKind::Run, format!("since the plan was made: {}", differences.join("; ")))
            }
            Event::LeftBehind { what } => (MomentKind::Alarm, format!("LEFT BEHIND: {what}")),
            Event::Stopped { by } => (MomentKind::Alarm, format!("stopped: {by}")),
            Event::Recovered { after } => {
                (MomentKind::Verdict, format!("steady again {} after the undo", notation::seconds(*after)))
            }
            Event::Judged { objectives } => (MomentKind::Verdict, judged(objectives)),
            Event::Finished { verdict, because } => {
                (MomentKind::Verdict, format!("{}: {because}", notation::run_verdict(*verdict)))
            }
        };
        Some(words)
    }

    /// The name of a fault.
    pub(crate) fn name(&self, fault: &FaultId) -> String {
        let known = self.faults.iter().find(|(id, ..)| id == fault);
        known.map_or_else(|| format!("fault {fault}"), |(_, name, ..)| name.clone())
    }
}

/// How many objectives got which verdict: `judged: 11 held, 1 violated`.
fn judged(objectives: &[ObjectiveVerdict]) -> String {
    let count = |verdict: Verdict| {
        let count = objectives.iter().filter(|objective| objective.verdict == verdict).count();
        (count > 0).then(|| format!("{count} {}", notation::verdict(verdict)))
    };
    let counts =
        [Verdict::Held, Verdict::Violated, Verdict::Inconclusive, Verdict::NoData].into_iter().filter_map(count);
    let counts = counts.collect::<Vec<_>>().join(", ");
    if counts.is_empty() { "no objective was judged".into() } else { format!("objectives by phase: {counts}") }
}
