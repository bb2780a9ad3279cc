//! From the entries of a journal to a report.

use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;

use super::model::{
    BudgetRow, FaultProgress, GuardrailRow, MomentKind, ObjectiveRow, PhaseSpan, PhaseVerdict, ReportKind, RunIdentity,
    RunReport, ServiceChange, ServiceReport,
};
use super::{Journal, ReportError, chain, faults, hosts, notation, series, timeline};
use crate::experiment::document::{ApiVersion, Objective};
use crate::hypothesis::RunFacts;
use crate::hypothesis::verdict::{ObjectiveVerdict, Phase, RunVerdict};
use crate::run::journal::{Entry, Event, RunState, Started};
use crate::signals::sample::Sample;
use crate::slo::spent::BudgetSpent;

/// The entries of a journal, sorted by what they tell of.
pub(super) struct Collected<'a> {
    /// How the run began.
    pub(super) started: &'a Started,
    /// The time of the last entry.
    pub(super) end: f64,
    /// Every state entered, with its time.
    pub(super) states: Vec<(f64, RunState)>,
    /// Every sample.
    pub(super) samples: Vec<&'a Sample>,
    /// What is told of each fault, in order.
    pub(super) faults: Vec<(&'a FaultId, Vec<&'a Entry>)>,
    /// When a guardrail was breached, and how.
    pub(super) breach: Option<(f64, &'a ObjectiveVerdict)>,
    /// Seconds from the undo until everything was steady again.
    pub(super) recovered: Option<f64>,
    /// The objectives as judged in the end.
    judged: &'a [ObjectiveVerdict],
    /// The verdict, if the run came to its end.
    pub(super) finished: Option<(RunVerdict, &'a str)>,
    /// What is left of the run itself: processes of its services, its folders.
    pub(super) left_behind: Vec<&'a str>,
    services: Vec<ServiceReport>,
    /// What happened to hosts of the fleet.
    pub(super) hosts: Vec<&'a Entry>,
    /// What is different since the plan was made.
    drift: &'a [String],
    /// Why so many hosts were lost that nothing was tested, if that is so.
    pub(super) too_few: Option<String>,
}

impl<'a> Collected<'a> {
    fn of(entries: &'a [Entry]) -> Result<Self, ReportError> {
        let Some(Entry { event: Event::Started(started), .. }) = entries.first() else {
            return Err(ReportError::NotStarted);
        };
        let mut run = Self {
            started,
            end: entries.iter().map(|entry| entry.at).fold(0.0, f64::max),
            states: Vec::new(),
            samples: Vec::new(),
            faults: Vec::new(),
            breach: None,
            recovered: None,
            judged: &[],
            finished: None,
            left_behind: Vec::new(),
            services: Vec::new(),
            hosts: Vec::new(),
            drift: &[],
            too_few: RunFacts::from_entries(entries).ok().and_then(|facts| facts.borne_by_too_few()),
        };
        for entry in entries {
            run.take(entry);
        }
        Ok(run)
    }

    fn take(&mut self, entry: &'a Entry) {
        match &entry.event {
            Event::State { state, .. } => self.states.push((entry.at, *state)),
            Event::Sample(sample) => self.samples.push(sample),
            Event::Planned { plan, .. } => self.of_fault(&plan.id, entry),
            Event::Injected { fault, .. }
            | Event::InjectionFailed { fault, .. }
            | Event::Evidence { fault, .. }
            | Event::Undone { fault, .. } => self.of_fault(fault, entry),
            Event::Breached { guardrail } => {
                self.breach.get_or_insert((entry.at, guardrail));
            }
            Event::Recovered { after } => self.recovered = Some(*after),
            Event::Judged { objectives } => self.judged = objectives,
            Event::Finished { verdict, because } => self.finished = Some((*verdict, because)),
            Event::Service { name, change } => {
                let change = ServiceChange { at: entry.at, change: change.clone() };
                match self.services.iter_mut().find(|service| service.name == *name) {
                    Some(service) => service.changes.push(change),
                    None => self.services.push(ServiceReport { name: name.clone(), changes: vec![change] }),
                }
            }
            Event::LeftBehind { what } => self.left_behind.push(what),
            Event::Host { .. } => self.hosts.push(entry),
            Event::Drifted { differences } => self.drift = differences,
            Event::Started(_) | Event::Stopped { .. } | Event::Budget(_) => {}
        }
    }

    fn of_fault(&mut self, fault: &'a FaultId, entry: &'a Entry) {
        match self.faults.iter_mut().find(|(id, _)| *id == fault) {
            Some((_, entries)) => entries.push(entry),
            None => self.faults.push((fault, vec![entry])),
        }
    }

    /// Whether any fault was lost with its host.
    pub(super) fn any_lost(&self) -> bool {
        self.hosts.iter().any(|entry| matches!(&entry.event, Event::Host { lost, .. } if !lost.is_empty()))
    }

    /// When the host of a fault was lost, if it was.
    pub(super) fn lost_at(&self, fault: &FaultId) -> Option<f64> {
        let lost = |entry: &&&Entry| matches!(&entry.event, Event::Host { lost, .. } if lost.contains(fault));
        self.hosts.iter().find(lost).map(|entry| entry.at)
    }

    /// When a state was entered first.
    pub(super) fn entered(&self, state: RunState) -> Option<f64> {
        self.states.iter().find(|(_, entered)| *entered == state).map(|(at, _)| *at)
    }

    /// The state entered last.
    pub(super) fn last_state(&self) -> Option<RunState> {
        self.states.last().map(|(_, state)| *state)
    }

    /// The phases as far as they were reached: before the first injection, until the end of the last undo, after it.
    fn phases(&self) -> Vec<PhaseSpan> {
        let mut phases = Vec::new();
        let Some(start) = self.entered(RunState::Steady) else { return phases };
        let judged = self.entered(RunState::Judged).unwrap_or(self.end);
        let injecting = self.entered(RunState::Injecting);
        phases.push(PhaseSpan { phase: Phase::Before, start, end: injecting.unwrap_or(judged) });
        let Some(injecting) = injecting else { return phases };
        let recovering = self.states.iter().rev().find(|(_, state)| *state == RunState::Recovering).map(|(at, _)| *at);
        phases.push(PhaseSpan { phase: Phase::During, start: injecting, end: recovering.unwrap_or(judged) });
        if let Some(recovering) = recovering {
            phases.push(PhaseSpan { phase: Phase::After, start: recovering, end: judged.max(recovering) });
        }
        phases
    }

    fn objectives(&self) -> Vec<ObjectiveRow> {
        let mut rows: Vec<ObjectiveRow> = Vec::new();
        let row = |objective: &Objective| ObjectiveRow {
            description: objective.describe(),
            objective: objective.clone(),
            phases: Vec::new(),
        };
        rows.extend(self.started.experiment.spec.steady_state.iter().map(row));
        for verdict in self.judged {
            let index = rows.iter().position(|row| row.objective == verdict.objective).unwrap_or_else(|| {
                rows.push(row(&verdict.objective));
                rows.len() - 1
            });
            if !verdict.description.is_empty() {
                rows[index].description.clone_from(&verdict.description);
            }
            rows[index].phases.push(PhaseVerdict {
                phase: verdict.phase,
                verdict: verdict.verdict,
                measured: verdict.measured.filter(|number| number.is_finite()),
                measured_text: verdict.measured_text.clone(),
                events: verdict.events,
                bad: verdict.bad,
                error_rate: verdict.error_rate,
                effect: verdict.effect.clone(),
                because: verdict.because.clone(),
            });
        }
        rows
    }

    fn guardrails(&self) -> Vec<GuardrailRow> {
        let row = |guardrail: &Objective| {
            let breach = self.breach.filter(|(_, breached)| breached.objective == *guardrail);
            GuardrailRow {
                description: breach.map_or_else(|| guardrail.describe(), |(_, breached)| breached.description.clone()),
                objective: guardrail.clone(),
                breached_at: breach.map(|(at, _)| at),
                because: breach.map(|(_, breached)| format!("{}: {}", breached.measured_text, breached.because)),
            }
        };
        self.started.experiment.spec.guardrails.iter().map(row).collect()
    }
}

impl RunReport {
    /// The report of a run from the entries of its journal.
    ///
    /// A journal without an end is that of a run that crashed, or still runs: the report says so, and its verdict is
    /// never better than what the entries prove. A fault that was put in place and of which no verified undo is
    /// recorded makes it `cleanup-unverified`, whatever else the journal says.
    ///
    /// # Errors
    /// If the entries do not begin with the start of a run.
    pub fn from_entries(entries: &[Entry]) -> Result<Self, ReportError> {
        let run = Collected::of(entries)?;
        let faults = faults::reports(&run);
        let phases = run.phases();
        let objectives = run.objectives();
        let on_fleet = !run.started.hosts.is_empty();
        let mut left: Vec<String> = faults
            .iter()
            .filter(|fault| matches!(fault.progress, FaultProgress::InPlace | FaultProgress::UndoUnverified))
            .map(|fault| if on_fleet { format!("{} on {}", fault.fault, fault.target) } else { fault.fault.clone() })
            .collect();
        left.extend(run.left_behind.iter().map(|&what| what.to_owned()));
        let (verdict, because) = match run.finished {
            Some((verdict, because)) if left.is_empty() || verdict == RunVerdict::CleanupUnverified => {
                (verdict, because.to_owned())
            }
            Some((_, because)) => (
                RunVerdict::CleanupUnverified,
                format!("the journal holds no verified undo of {}, although it ends with: {because}", left.join(", ")),
            ),
            None if !left.is_empty() => (
                RunVerdict::CleanupUnverified,
                format!(
                    "the run did not finish, and the journal holds no verified undo of {}: run `faultline recover`",
                    left.join(", ")
                ),
            ),
            None => (RunVerdict::Inconclusive, unfinished(&run, faults.is_empty())),
        };
        let metadata = &run.started.experiment.metadata;
        Ok(Self {
            api_version: ApiVersion::V1,
            kind: ReportKind::Report,
            run: RunIdentity {
                id: run.started.run.clone(),
                experiment: metadata.name.clone(),
                labels: metadata.labels.clone(),
                hypothesis: run.started.experiment.spec.hypothesis.clone(),
                file: run.started.file.clone(),
                host: run.started.host.clone(),
                version: run.started.version.clone(),
                started: run.started.time.clone(),
                seed: run.started.seed,
                duration: run.end,
                finished: run.finished.is_some(),
            },
            verdict,
            placebo: run.started.placebo,
            because,
            exit_code: verdict.exit_code(),
            unknown: unknown(&run, &objectives, &left),
            judged_again: None,
            service_score: None,
            chain: chain::links(&run, &objectives, &faults),
            guardrails: run.guardrails(),
            budget: BudgetSpent::of(entries).map(|spent| BudgetRow {
                share: spent.share(),
                sentence: spent.sentence(),
                spent,
            }),
            hosts: hosts::reports(&run, &faults),
            drift: run.drift.to_vec(),
            signals: series::all(&run, &phases),
            timeline: timeline::moments(entries),
            services: run.services,
            objectives,
            phases,
            faults,
            experiment: run.started.experiment.clone(),
        })
    }

    /// The report of a journal as read: as [`RunReport::from_entries`], and a torn last line is said.
    ///
    /// # Errors
    /// As there.
    pub fn from_journal(journal: &Journal) -> Result<Self, ReportError> {
        let mut report = Self::from_entries(&journal.entries)?;
        if journal.torn > 0 {
            report.unknown.push(format!(
                "The last line of the journal is torn: its {} bytes were not written to their end, and are left out.",
                journal.torn
            ));
        }
        Ok(report)
    }

    /// The alarms of the timeline: what went wrong, and when.
    pub fn alarms(&self) -> impl Iterator<Item = &super::Moment> {
        self.timeline.iter().filter(|moment| moment.kind == MomentKind::Alarm)
    }
}

fn unfinished(run: &Collected, no_fault: bool) -> String {
    let state = run.last_state().map_or("it began", |state| timeline::state(state));
    if no_fault || run.entered(RunState::Injecting).is_none() {
        format!("the run did not finish: its journal ends while {state}; nothing was injected")
    } else {
        format!("the run did not finish: its journal ends while {state}; every fault is recorded as undone")
    }
}

/// What the journal leaves open.
fn unknown(run: &Collected, objectives: &[ObjectiveRow], left: &[String]) -> Vec<String> {
    let mut unknown = Vec::new();
    if run.finished.is_none() {
        unknown.push(format!(
            "The run did not finish: its journal ends {} after the start. It crashed, or it still runs.",
            notation::seconds(run.end)
        ));
        if objectives.iter().all(|row| row.phases.is_empty()) {
            unknown.push("No objective was judged.".into());
        }
    }
    for fault in left {
        unknown.push(format!(
            "Whether anything of {fault} is left on {}: `faultline recover` there undoes what is left, and says so.",
            if run.started.hosts.is_empty() { run.started.host.as_str() } else { "its host" }
        ));
    }
    let mut missing: BTreeMap<&str, bool> =
        run.started.experiment.spec.signals.keys().map(|name| (name.as_str(), true)).collect();
    for sample in &run.samples {
        missing.insert(&sample.signal, false);
    }
    for (signal, _) in missing.into_iter().filter(|(_, missing)| *missing) {
        unknown.push(format!("Signal {signal} was never read."));
    }
    unknown
}

#[cfg(test)]
mod tests;
