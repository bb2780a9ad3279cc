//! What the live view knows of a run, built from its journal's entries.

use std::collections::{BTreeMap, VecDeque};

use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Evidence};

use crate::experiment::document::{Experiment, Inject, Objective};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::MomentKind;
use crate::report::series::{self, Sums};
use crate::run::journal::{Entry, Event, RunState, met};
use crate::signals::sample::Sample;

/// How many bins of a signal are kept: as many as a sparkline can be wide.
const KEPT: usize = 60;
/// How many events are kept.
const EVENTS: usize = 12;

/// Everything that a picture shows.
#[derive(Debug)]
pub(super) struct State {
    /// Seconds since the run began.
    pub(super) now: f64,
    /// The experiment's name.
    pub(super) name: String,
    /// The state of the run.
    pub(super) state: RunState,
    /// When the baseline began.
    pub(super) steady_at: Option<f64>,
    /// How long the method takes, in seconds.
    pub(super) method: f64,
    /// The signals by name.
    pub(super) signals: BTreeMap<String, SignalState>,
    /// The guardrails in words, and whether each was breached.
    pub(super) guardrails: Vec<(String, Objective, bool)>,
    /// The faults in the order of their plans.
    pub(super) faults: Vec<FaultState>,
    /// The last events.
    pub(super) events: VecDeque<(f64, MomentKind, String)>,
    /// The verdict, once there is one.
    pub(super) verdict: Option<(RunVerdict, String)>,
    /// The faults of the method with their length, in order, as long as no plan has taken them.
    awaited: Vec<(String, f64)>,
}

/// A signal's newest bins.
#[derive(Debug)]
pub(super) struct SignalState {
    /// The width of a bin in seconds.
    pub(super) bin: f64,
    /// The time from one reading to the next.
    pub(super) pace: f64,
    /// Its bounds.
    pub(super) objectives: Vec<Objective>,
    /// The bins by number, the newest last.
    pub(super) bins: VecDeque<(u64, Sums)>,
    last: Option<f64>,
}

/// A fault.
#[derive(Debug)]
pub(super) struct FaultState {
    id: FaultId,
    /// Its name.
    pub(super) name: String,
    /// Its target.
    pub(super) target: String,
    /// How long it is to last.
    pub(super) lasts: Option<f64>,
    /// When it was in place.
    pub(super) injected: Option<f64>,
    /// Whether its host was lost.
    pub(super) lost: bool,
    /// Whether it was undone, and whether that was verified.
    pub(super) undone: Option<bool>,
    /// Why it could not be put in place.
    pub(super) failed: bool,
    /// The newest evidence.
    pub(super) evidence: Option<Evidence>,
}

impl State {
    pub(super) fn new(experiment: &Experiment) -> Self {
        let spec = &experiment.spec;
        let mut method = 0.0;
        let mut awaited = Vec::new();
        for step in &spec.method {
            method += step.lasts().as_secs_f64();
            let awaits = |inject: &Inject| (inject.fault.name().to_owned(), inject.lasts.duration().as_secs_f64());
            awaited.extend(step.injections().iter().map(awaits));
        }
        let signal = |(name, signal): (&String, &_)| {
            let pace = series::pace(signal);
            let on_it = |objective: &&Objective| objective.signal == *name;
            let objectives = spec.steady_state.iter().chain(&spec.guardrails).filter(on_it).cloned().collect();
            let state = SignalState { bin: pace.max(1.0), pace, objectives, bins: VecDeque::new(), last: None };
            (name.clone(), state)
        };
        Self {
            now: 0.0,
            name: experiment.metadata.name.clone(),
            state: RunState::Planned,
            steady_at: None,
            method,
            signals: spec.signals.iter().map(signal).collect(),
            guardrails: spec
                .guardrails
                .iter()
                .map(|guardrail| (guardrail.describe(), guardrail.clone(), false))
                .collect(),
            faults: Vec::new(),
            events: VecDeque::new(),
            verdict: None,
            awaited,
        }
    }

    /// Takes note of an entry and of its words.
    pub(super) fn take(&mut self, entry: &Entry, words: Option<(MomentKind, String)>) {
        self.now = self.now.max(entry.at);
        match &entry.event {
            Event::Sample(sample) => self.sample(sample),
            Event::State { state, .. } => {
                self.state = *state;
                if *state == RunState::Steady {
                    self.steady_at.get_or_insert(entry.at);
                }
            }
            Event::Planned { target, host, plan } => {
                let awaited = self.awaited.iter().position(|(name, _)| *name == plan.fault);
                let lasts = awaited.map(|index| self.awaited.remove(index).1);
                self.faults.push(FaultState {
                    id: plan.id.clone(),
                    name: plan.fault.clone(),
                    target: met(target, host.as_deref()),
                    lasts,
                    injected: None,
                    lost: false,
                    undone: None,
                    failed: false,
                    evidence: None,
                });
            }
            Event::Injected { fault, .. } => self.fault(fault, |fault| fault.injected = Some(entry.at)),
            Event::InjectionFailed { fault, .. } => self.fault(fault, |fault| fault.failed = true),
            Event::Evidence { fault, evidence } => {
                self.fault(fault, |fault| {
                    // Once proven it stays proven; only its measures become newer.
                    let proven = fault.evidence.as_ref().is_some_and(|known| known.bite == Bite::Yes);
                    if !proven || evidence.bite == Bite::Yes {
                        fault.evidence = Some(evidence.clone());
                    }
                });
            }
            Event::Undone { fault, verified, .. } => self.fault(fault, |fault| fault.undone = Some(*verified)),
            Event::Host { lost, .. } => lost.iter().for_each(|fault| self.fault(fault, |fault| fault.lost = true)),
            Event::Breached { guardrail } => {
                for (_, objective, breached) in &mut self.guardrails {
                    *breached |= *objective == guardrail.objective;
                }
            }
            Event::Finished { verdict, because } => self.verdict = Some((*verdict, because.clone())),
            _ => {}
        }
        if let Some((kind, text)) = words {
            self.events.push_back((entry.at, kind, text));
            if self.events.len() > EVENTS {
                self.events.pop_front();
            }
        }
    }

    fn fault(&mut self, id: &FaultId, change: impl FnOnce(&mut FaultState)) {
        if let Some(fault) = self.faults.iter_mut().find(|fault| fault.id == *id) {
            change(fault);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        let Some(signal) = self.signals.get_mut(&sample.signal) else { return };
        let number = signal.number(sample.at);
        // A slow answer belongs to the bin in which its request began, if that is still kept.
        let index = match signal.bins.iter().rposition(|(known, _)| *known <= number) {
            Some(index) if signal.bins[index].0 == number => index,
            found => {
                let index = found.map_or(0, |index| index + 1);
                signal.bins.insert(index, (number, Sums::new(signal.last)));
                index
            }
        };
        signal.bins[index].1.take(sample);
        signal.last = Some(signal.last.map_or(sample.at, |last| last.max(sample.at)));
        while signal.bins.len() > KEPT {
            signal.bins.pop_front();
        }
    }
}

impl SignalState {
    /// The number of the bin in which a moment lies.
    pub(super) fn number(&self, at: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times of a run are small and not negative"
        )]
        let number = (at.max(0.0) / self.bin).floor() as u64;
        number
    }

    /// A number of each of the newest bins, the newest whole one last; nothing where a bin holds none.
    pub(super) fn row(&self, now: f64, length: usize, number: impl Fn(&Sums) -> Option<f64>) -> Vec<Option<f64>> {
        let newest = self.number(now);
        let of = |bin: u64| self.bins.iter().find(|(known, _)| *known == bin).and_then(|(_, sums)| number(sums));
        let back = (1..=u64::try_from(length).unwrap_or(0)).rev();
        back.map(|back| newest.checked_sub(back).and_then(of)).collect()
    }
}
