//! The judge of one run: takes samples in, and answers whether the hypothesis holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::experiment::document::{Objective, Spec};
use crate::run::journal::{Entry, Event, RunState};
use crate::signals::sample::Sample;

use super::bound::Bound;
use super::decide::{self, Baseline, Cause, Comparison, ErrorRates, Outcome, Window};
use super::error::JudgeError;
use super::guardrail::Guardrail;
use super::phases::{ALL, Phases, share_of_restart};
use super::statistics::{DecisionRule, SequentialTest};
use super::stream::Stream;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::watch::{Sums, Watch};
use super::words;

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

/// The probability of being wrong unless the document says otherwise.
const ERROR_RATE: f64 = 0.05;

/// Judges one run. Pure: knows the time only from what it is told.
///
/// A verdict depends on the samples and on when the phases began and ended, never on the order in which samples came
/// nor on how often the judge was asked.
#[derive(Debug)]
pub struct Judge {
    watches: Vec<Watch>,
    guardrails: Vec<Guardrail>,
    streams: Vec<Stream>,
    by_name: BTreeMap<String, usize>,
    phases: Phases,
    rates: ErrorRates,
    rule: Arc<dyn DecisionRule>,
    now: f64,
}

/// A window that was judged, and which restart of its phase it begins with.
struct Judged<'a> {
    window: Window<'a>,
    number: usize,
    outcome: Outcome,
    comparison: Comparison,
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
        let error_rate = spec.error_rate.map_or(ERROR_RATE, |given| given.fraction());
        if !(error_rate > 0.0 && error_rate <= 0.5) {
            let given = spec.error_rate.map_or_else(String::new, |given| given.to_string());
            return Err(JudgeError::ErrorRate { given });
        }
        let mut judge = Self {
            watches: Vec::new(),
            guardrails: Vec::new(),
            streams: Vec::new(),
            by_name: BTreeMap::new(),
            phases: Phases::default(),
            rates: error_rates(error_rate, spec),
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
            }
            judge.watches.push(Watch::new(objective.clone(), bound, description, stream));
        }
        for objective in &spec.guardrails {
            let (bound, stream, description) = judge.understand(objective, spec)?;
            if let Some(stream) = judge.streams.get_mut(stream) {
                stream.guards.push(judge.guardrails.len());
            }
            judge.guardrails.push(Guardrail::new(objective.clone(), bound, description, stream));
        }
        Ok(judge)
    }

    fn understand(&self, objective: &Objective, spec: &Spec) -> Result<(Bound, usize, String), JudgeError> {
        let bound = Bound::read(objective, &spec.signals)?;
        let stream = self.by_name.get(&objective.signal).copied();
        let stream = stream.ok_or_else(|| JudgeError::NoSuchSignal { signal: objective.signal.clone() })?;
        Ok((bound, stream, words::describe(objective)))
    }

    /// A phase begins, at so many seconds since the run began. To begin `During` again takes the end of it back.
    pub fn begin(&mut self, phase: Phase, at: f64) {
        if phase == Phase::During && self.phases.span(Phase::After).is_some() {
            self.phases.forget_after();
            for watch in &mut self.watches {
                watch.merge_after_into_during();
            }
        }
        self.phases.begin(phase, at);
        self.now = self.now.max(at);
    }

    /// A phase ends. A sample belongs to the phase in which its `at` lies, however late it comes.
    pub fn end(&mut self, phase: Phase, at: f64) {
        self.phases.end(phase, at);
        self.now = self.now.max(at);
    }

    /// Follows the journal: samples are taken in, and the phases begin and end with the states of the run. `Before` is
    /// from `steady` to the first `injecting`, `During` from there to `recovering`, `After` from there to `judged`.
    pub fn follow(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Sample(sample) => self.observe(sample),
            Event::State { state: RunState::Steady, .. } => self.begin(Phase::Before, entry.at),
            Event::State { state: RunState::Injecting, .. } => {
                self.end(Phase::Before, entry.at);
                self.begin(Phase::During, entry.at);
            }
            Event::State { state: RunState::Recovering, .. } => {
                self.end(Phase::During, entry.at);
                self.begin(Phase::After, entry.at);
            }
            Event::State { state: RunState::Judged, .. } => {
                if let Some(phase) = self.phases.open() {
                    self.end(phase, entry.at);
                }
            }
            _ => {}
        }
    }

    /// Takes a sample in. One of a signal that the document does not name, or without a moment, is left aside.
    pub fn observe(&mut self, sample: &Sample) {
        let Some(stream) = self.by_name.get(&sample.signal).and_then(|index| self.streams.get_mut(*index)) else {
            return;
        };
        if !(sample.at.is_finite() && sample.at >= 0.0) {
            return;
        }
        self.now = self.now.max(sample.at);
        let settled = stream.take(sample);
        for index in &stream.watches {
            if let Some(watch) = self.watches.get_mut(*index) {
                watch.note(sample.at, &sample.reading);
                for (at, reading) in &settled {
                    watch.settle(&self.phases, *at, reading);
                }
            }
        }
        for index in &stream.guards {
            if let Some(guardrail) = self.guardrails.get_mut(*index) {
                guardrail.observe(sample.at, &sample.reading);
            }
        }
    }

    /// The first guardrail that is breached, judged; `now` is seconds since the run began.
    ///
    /// To be asked at least every quarter of a second. A signal that should speak and does not is a breach too.
    pub fn breach(&mut self, now: f64) -> Option<ObjectiveVerdict> {
        self.now = self.now.max(now);
        let phase = self.phases.open()?;
        let rate = self.rates.harm;
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
                    return Steady::No(self.verdict(watch, phase, &judged).reason());
                }
                _ if waiting.is_none() => waiting = Some((watch, judged)),
                _ => {}
            }
        }
        match waiting {
            None => Steady::Yes,
            Some((watch, judged)) => Steady::NotYet(self.verdict(watch, phase, &judged).reason()),
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

    /// Until when every request has been answered or has failed. What started later is known only by its quick answers,
    /// which are the good ones when a service hangs and the bad ones when it refuses.
    fn complete_until(&self, watch: &Watch, now: f64) -> f64 {
        let lateness = self.streams.get(watch.stream).map_or(0.0, |stream| match stream.cadence.starts {
            Some(_) => stream.cadence.lateness,
            None => 0.0,
        });
        now - lateness
    }

    fn judge<'a>(&self, watch: &'a Watch, phase: Phase, to: f64) -> Option<Judged<'a>> {
        let stream = self.streams.get(watch.stream)?;
        let sums = watch.sums(stream, &self.phases, phase, to)?;
        let comparison = self.comparison(watch, stream, phase);
        if phase != Phase::After {
            return Some(self.judge_window(watch, stream, &sums, 0, comparison, self.rates));
        }
        // The longest window that shows health, and without one what the second half of the phase shows.
        let half = (sums.to - sums.span.begin) / 2.0;
        let mut newest = None;
        for number in 0..sums.from_restart.len() {
            let share = share_of_restart(u32::try_from(number).unwrap_or(u32::MAX - 2));
            let rates = ErrorRates { harm: self.rates.harm * share, health: self.rates.health * share };
            let judged = self.judge_window(watch, stream, &sums, number, comparison, rates);
            if judged.outcome.verdict == Verdict::Held {
                return Some(judged);
            }
            if judged.window.from - sums.span.begin <= half {
                newest = Some(judged);
            }
        }
        newest
    }

    fn judge_window<'a>(
        &self,
        watch: &'a Watch,
        stream: &Stream,
        sums: &Sums,
        number: usize,
        comparison: Comparison,
        rates: ErrorRates,
    ) -> Judged<'a> {
        let window = watch.window(stream, sums, number);
        let outcome = decide::decide(watch.bound, &window, comparison, rates, &*self.rule);
        Judged { window, number, outcome, comparison }
    }

    fn comparison(&self, watch: &Watch, stream: &Stream, phase: Phase) -> Comparison {
        if !matches!(watch.bound, Bound::Share { .. }) {
            return Comparison::With(None);
        }
        if phase == Phase::Before {
            return Comparison::Itself;
        }
        let sums = watch.sums(stream, &self.phases, Phase::Before, self.now);
        Comparison::With(sums.map(|sums| Baseline::of(&watch.window(stream, &sums, 0))))
    }

    fn verdict(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> ObjectiveVerdict {
        let Judged { window, number, outcome, comparison } = judged;
        let (latencies, missing) = self
            .streams
            .get(watch.stream)
            .map(|stream| watch.details(stream, &self.phases, phase, *number))
            .unwrap_or_default();
        let share = if phase == Phase::After { share_of_restart(u32::try_from(*number).unwrap_or(0)) } else { 1.0 };
        let facts = words::Facts {
            signal: &watch.objective.signal,
            bound: watch.bound,
            window,
            outcome: *outcome,
            comparison: *comparison,
            latencies: &latencies,
            missing: missing.as_deref(),
            rates: ErrorRates { harm: self.rates.harm * share, health: self.rates.health * share },
            rule: &*self.rule,
        };
        let words = words::explain(&facts);
        let is_number = matches!(watch.bound, Bound::Saturation { .. } | Bound::Value { .. });
        let error_rate = match outcome.verdict {
            Verdict::Held | Verdict::Violated if is_number || outcome.cause == Cause::IsBaseline => 0.0,
            Verdict::Violated => self.rates.harm,
            _ => self.rates.health,
        };
        ObjectiveVerdict {
            objective: watch.objective.clone(),
            description: watch.description.clone(),
            phase,
            verdict: outcome.verdict,
            measured: words.measured,
            measured_text: words.measured_text,
            events: if is_number { f64::from(window.counts.readings) } else { window.counts.total() },
            bad: if is_number { words::outside(watch.bound, window) } else { window.counts.bad() },
            error_rate,
            because: words.because,
        }
    }
}

/// How the error rate is spent.
///
/// A healthy run is refused, violated or aborted by chance with at most the probability that the document states: it is
/// divided by everything that could go wrong by chance, each objective in each phase and each guardrail (Bonferroni).
/// "Held" needs no division: a run is held only if every objective is held in every phase, so that a run with any one of
/// them broken is passed with at most the stated probability (an intersection-union test, Berger 1982).
#[expect(clippy::cast_precision_loss, reason = "a document has far fewer than 2^53 objectives")]
fn error_rates(error_rate: f64, spec: &Spec) -> ErrorRates {
    let chances = 3 * spec.steady_state.len() + spec.guardrails.len();
    ErrorRates { harm: error_rate / chances as f64, health: error_rate }
}
