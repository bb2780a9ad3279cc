//! The judge of one run: takes samples in, and answers whether the hypothesis holds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::experiment::document::{Objective, Reference, Spec};

use super::bound::{self, Bound};
use super::decide::ErrorRates;
use super::error::JudgeError;
use super::error_rates::unfit_rate;
use super::guardrail::Guardrail;
use super::guardrail_budget::BudgetCap;
use super::phases::{ALL, Phases};
use super::statistics::{DecisionRule, SequentialTest};
use super::stream::Stream;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::watch::Watch;

/// Whether the system is in its steady state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steady {
    /// Every objective was shown to hold.
    Yes,
    /// An objective was shown not to hold, for this reason. Never said while recovery is awaited.
    No(String),
    /// It was not shown yet, for this reason, and more data may show it.
    NotYet(String),
}

/// Judges one run. Pure: knows the time only from what it is told.
///
/// A verdict depends on the samples and on when the phases began and ended, never on the order in which samples came
/// nor on how often the judge was asked.
#[derive(Debug)]
pub struct Judge {
    pub(super) watches: Vec<Watch>,
    /// What is read of controls, each by the bound of the objective that is compared with it.
    pub(super) controls: Vec<Watch>,
    pub(super) guardrails: Vec<Guardrail>,
    pub(super) budget: Option<BudgetCap>,
    pub(super) streams: Vec<Stream>,
    pub(super) by_name: HashMap<String, usize>,
    /// The stream of which the last sample was.
    pub(super) latest: usize,
    pub(super) phases: Phases,
    pub(super) rates: ErrorRates,
    /// With what probability at most a signal without bursts or trend is called unfit.
    pub(super) unfit_rate: f64,
    pub(super) rule: Arc<dyn DecisionRule>,
    pub(super) now: f64,
}

impl Judge {
    /// A judge of the steady state and the guardrails of a document, by the sequential test.
    ///
    /// # Errors
    /// [`JudgeError`] when an objective could never be judged: no objective at all, an unknown signal, a signal that
    /// measures something else, a bound that nothing can meet or everything meets.
    pub fn new(spec: &Spec) -> Result<Self, JudgeError> {
        Self::with_rule(spec, Arc::new(SequentialTest))
    }

    /// A judge that decides by another rule.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_rule(spec: &Spec, rule: Arc<dyn DecisionRule>) -> Result<Self, JudgeError> {
        if spec.steady_state.is_empty() {
            return Err(JudgeError::NoObjective);
        }
        let error_rate = spec.stated_error_rate();
        if !(error_rate > 0.0 && error_rate <= 0.5) {
            let given = spec.error_rate.map_or_else(String::new, |given| given.to_string());
            return Err(JudgeError::ErrorRate { given });
        }
        let mut judge = Self {
            watches: Vec::new(),
            controls: Vec::new(),
            guardrails: Vec::new(),
            budget: None,
            streams: Vec::new(),
            by_name: HashMap::new(),
            latest: 0,
            phases: Phases::default(),
            rates: ErrorRates::of(error_rate, spec),
            unfit_rate: unfit_rate(error_rate, spec),
            rule,
            now: 0.0,
        };
        for (name, signal) in &spec.signals {
            judge.by_name.insert(name.clone(), judge.streams.len());
            judge.streams.push(Stream::new(name, signal));
        }
        for objective in &spec.steady_state {
            let (bound, stream, description) = judge.understand(objective, spec)?;
            if let Some(stream) = judge.streams.get_mut(stream) {
                stream.watches.push(judge.watches.len());
                if matches!(bound, Bound::Saturation { .. } | Bound::Value { .. }) {
                    stream.of_numbers.push(judge.watches.len());
                }
            }
            let mut watch = Watch::new(objective.clone(), bound, description, stream);
            if let Some(Reference::Control(signal)) = bound::reference(objective) {
                watch.control = Some(judge.control(objective, signal, spec)?);
            }
            judge.watches.push(watch);
        }
        for objective in &spec.guardrails {
            let (bound, stream, description) = judge.understand(objective, spec)?;
            let by_control = matches!(bound::reference(objective), Some(Reference::Control(_)));
            if by_control || matches!(bound, Bound::LatencyOver { .. } | Bound::ErrorsOver { .. }) {
                return Err(JudgeError::Objective {
                    signal: objective.signal.clone(),
                    why: "a guardrail needs a bound that does not move; give it `below`".into(),
                });
            }
            if let Some(stream) = judge.streams.get_mut(stream) {
                stream.guards.push(judge.guardrails.len());
            }
            judge.guardrails.push(Guardrail::new(objective.clone(), bound, description, stream));
        }
        judge.budget = BudgetCap::of(spec, |signal| judge.by_name.get(signal).copied());
        Ok(judge)
    }

    /// Follows the signal with which an objective is compared.
    fn control(&mut self, objective: &Objective, signal: &str, spec: &Spec) -> Result<usize, JudgeError> {
        if *signal == objective.signal {
            let why = "a signal is no control of itself; name one that reads untouched replicas".into();
            return Err(JudgeError::Objective { signal: objective.signal.clone(), why });
        }
        let of_control = Objective { signal: signal.to_owned(), ..objective.clone() };
        let (bound, stream, description) = self.understand(&of_control, spec)?;
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.controls.push(self.controls.len());
        }
        self.controls.push(Watch::new(of_control, bound, description, stream));
        Ok(self.controls.len() - 1)
    }

    fn understand(&self, objective: &Objective, spec: &Spec) -> Result<(Bound, usize, String), JudgeError> {
        let bound = Bound::read(objective, &spec.signals)?;
        let stream = self.by_name.get(&objective.signal).copied();
        let stream = stream.ok_or_else(|| JudgeError::NoSuchSignal { signal: objective.signal.clone() })?;
        Ok((bound, stream, objective.describe()))
    }

    /// The first guardrail that is breached, judged; `now` is seconds since the run began.
    ///
    /// To be asked at least every quarter of a second. A signal that should speak and does not is a breach too.
    pub fn breach(&mut self, now: f64) -> Option<ObjectiveVerdict> {
        self.now = self.now.max(now);
        let phase = self.phases.open()?;
        let rate = self.rates.harm;
        let spent = self.budget.as_ref().and_then(|budget| budget.breach(self.streams.get(budget.stream)?, phase));
        if spent.is_some() {
            return spent;
        }
        self.guardrails.iter().find_map(|guardrail| {
            let stream = self.streams.get(guardrail.stream)?;
            guardrail.breach(stream, &self.phases, phase, now, rate, &*self.rule)
        })
    }

    /// Whether the steady state was shown by the newest data of the phase that began last.
    ///
    /// Before a fault this is the gate to inject. After the undo it is the proof of recovery: the test starts anew at
    /// fixed moments, so that what went wrong while the system recovered does not count for ever.
    pub fn is_steady(&self, now: f64) -> Steady {
        let Some(phase) = self.phases.latest() else {
            return Steady::NotYet("the run has not begun".into());
        };
        let mut waiting = None;
        for watch in &self.watches {
            let Some(judged) = self.judge(watch, phase, self.complete_until(watch, now)) else { continue };
            match judged.outcome.verdict {
                Verdict::Held => {}
                Verdict::Violated if phase != Phase::After => {
                    return Steady::No(self.verdict_alone(watch, phase, &judged).reason());
                }
                _ if waiting.is_none() => waiting = Some((watch, judged)),
                _ => {}
            }
        }
        match waiting {
            None => Steady::Yes,
            Some((watch, judged)) => Steady::NotYet(self.verdict_alone(watch, phase, &judged).reason()),
        }
    }

    /// From when on the steady state of the latest phase holds, by the data up to `now`: the beginning of the window
    /// that shows it, the latest of all objectives. Nothing if it was not shown.
    pub fn steady_since(&self, now: f64) -> Option<f64> {
        let phase = self.phases.latest()?;
        self.watches.iter().try_fold(0.0_f64, |since, watch| {
            let judged = self.judge(watch, phase, self.complete_until(watch, now))?;
            (judged.outcome.verdict == Verdict::Held).then(|| since.max(judged.window.from))
        })
    }

    /// Each steady-state objective in each phase that has begun, in the order of the document, then of the phases.
    pub fn verdicts(&self) -> Vec<ObjectiveVerdict> {
        let mut verdicts = Vec::new();
        for watch in &self.watches {
            for phase in ALL {
                if let Some(judged) = self.judge(watch, phase, self.now.next_up()) {
                    verdicts.push(self.verdict(watch, phase, &judged));
                }
            }
        }
        verdicts
    }
}
