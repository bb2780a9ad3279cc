//! One objective in one phase: which window is judged, and how the verdict is written.

use std::sync::Arc;

use super::bound::{self, Bound};
use super::decide::{self, Cause, Compared, Comparison, ErrorRates, Outcome, Window};
use super::effect::{Seen, effect};
use super::judge::Judge;
use super::phases::share_of_restart;
use super::stream::Stream;
use super::verdict::{Effect, ObjectiveVerdict, Phase, Verdict};
use super::watch::{LatenciesFrom, Sums, Watch};
use super::words;

/// A window that was judged, and which restart of its phase it begins with.
pub(super) struct Judged<'a> {
    pub(super) window: Window<'a>,
    number: usize,
    pub(super) outcome: Outcome,
    pub(super) comparison: Comparison,
}

/// What the windows of a phase are compared with, one restart after the other.
enum Compares<'a> {
    /// With nothing: the bound is a number, or there is no reference.
    Nothing,
    /// They are the baseline.
    Itself,
    Baseline {
        baseline: &'a Compared,
        here: Option<LatenciesFrom>,
    },
    Control {
        control: &'a Watch,
        stream: &'a Stream,
        sums: Sums,
        here: Option<LatenciesFrom>,
        there: Option<LatenciesFrom>,
    },
}

impl Compares<'_> {
    /// The comparison of the window that begins with this restart.
    fn beginning_at(&self, number: usize) -> Comparison {
        let ranked =
            |latencies: &Option<LatenciesFrom>| latencies.as_ref().map(|latencies| latencies.restart(number).ranked());
        match self {
            Self::Nothing => Comparison::With(None),
            Self::Itself => Comparison::Itself,
            Self::Baseline { baseline, here } => Comparison::With(Some((*baseline).clone().beside(ranked(here)))),
            Self::Control { control, stream, sums, here, there } => {
                let window = control.window(stream, sums, number);
                let name = Some(control.objective.signal.clone());
                let compared = Compared::of(&window, name, ranked(there).map(Arc::new));
                Comparison::With(Some(compared.beside(ranked(here))))
            }
        }
    }
}

impl Judge {
    /// Until when every request has been answered or has failed. What started later is known only by its quick answers,
    /// which are the good ones when a service hangs and the bad ones when it refuses.
    pub(super) fn complete_until(&self, watch: &Watch, now: f64) -> f64 {
        let lateness = |stream: usize| match self.streams.get(stream) {
            Some(stream) if stream.cadence.starts.is_some() => stream.cadence.lateness,
            _ => 0.0,
        };
        let control = watch.control.and_then(|index| self.controls.get(index));
        now - lateness(watch.stream).max(control.map_or(0.0, |control| lateness(control.stream)))
    }

    pub(super) fn judge<'a>(&self, watch: &'a Watch, phase: Phase, to: f64) -> Option<Judged<'a>> {
        let stream = self.streams.get(watch.stream)?;
        let sums = watch.sums(stream, &self.phases, phase, to)?;
        // The baseline is what it is: its own bursts correct what comes after it.
        let baseline = (phase != Phase::Before).then(|| self.baseline(watch, stream));
        let dispersion = baseline.as_ref().map_or(1.0, |baseline| baseline.dispersion.factor);
        let reference = baseline.as_ref().and_then(|baseline| baseline.reference.as_ref());
        let compares = self.compares(watch, stream, phase, sums.to, reference);
        if phase != Phase::After {
            return Some(self.judge_window(watch, (stream, &sums), (phase, 0), &compares, dispersion, self.rates));
        }
        // The longest window that shows health, and without one what the second half of the phase shows.
        let half = (sums.to - sums.span.begin) / 2.0;
        let mut newest = None;
        for number in 0..sums.from_restart.len() {
            let share = share_of_restart(u32::try_from(number).unwrap_or(u32::MAX - 2));
            let rates = ErrorRates { harm: self.rates.harm * share, health: self.rates.health * share };
            let judged = self.judge_window(watch, (stream, &sums), (phase, number), &compares, dispersion, rates);
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
        (stream, sums): (&Stream, &Sums),
        (phase, number): (Phase, usize),
        compares: &Compares<'_>,
        dispersion: f64,
        rates: ErrorRates,
    ) -> Judged<'a> {
        let window = Window { dispersion, ..watch.window(stream, sums, number) };
        let comparison = compares.beginning_at(number);
        let outcome = decide::decide(watch.bound, &window, &comparison, rates, &*self.rule);
        // What is plainly not well before the fault is refused for that.
        let is_refused = phase == Phase::Before && outcome.verdict == Verdict::Violated;
        let outcome = if is_refused { outcome } else { self.unless_unfit(watch, stream, &window, outcome) };
        Judged { window, number, outcome, comparison }
    }

    /// What the windows of a phase that end at `to` are compared with.
    fn compares<'a>(
        &'a self,
        watch: &Watch,
        stream: &Stream,
        phase: Phase,
        to: f64,
        baseline: Option<&'a Compared>,
    ) -> Compares<'a> {
        if !watch.bound.is_relative() {
            return Compares::Nothing;
        }
        let ranked = watch.bound.compares_latencies();
        let here = || ranked.then(|| watch.latencies(stream, &self.phases, phase, to));
        let Some(control) = watch.control.and_then(|index| self.controls.get(index)) else {
            return match (phase, baseline) {
                (Phase::Before, _) => Compares::Itself,
                (_, None) => Compares::Nothing,
                (_, Some(baseline)) => Compares::Baseline { baseline, here: here() },
            };
        };
        let Some(of_stream) = self.streams.get(control.stream) else { return Compares::Nothing };
        let Some(sums) = control.sums(of_stream, &self.phases, phase, to) else { return Compares::Nothing };
        let there = ranked.then(|| control.latencies(of_stream, &self.phases, phase, sums.to));
        Compares::Control { control, stream: of_stream, sums, here: here(), there }
    }

    /// The verdict with its effect, which costs more than the verdict itself.
    pub(super) fn verdict(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> ObjectiveVerdict {
        let mut verdict = self.verdict_alone(watch, phase, judged);
        verdict.effect = self.effect(watch, phase, judged);
        if let Some(onset) = self.onset(watch, phase, judged) {
            verdict.because = format!("{}; {onset}", verdict.because);
        }
        verdict
    }

    fn effect(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> Option<Effect> {
        let Judged { window, number, comparison, .. } = judged;
        let stream = self.streams.get(watch.stream)?;
        let (latencies, _) = watch.details(stream, &self.phases, phase, *number, window.to);
        let before = self.phases.span(Phase::Before).filter(|_| phase != Phase::Before);
        let before = before.map_or(&[][..], |span| watch.numbers_between(span.begin, span.end.unwrap_or(window.from)));
        let ranked = latencies.ranked();
        let seen = Seen { bound: watch.bound, window, comparison, latencies: &ranked, before };
        effect(&seen, self.rates.health, &*self.rule)
    }

    /// The verdict without its effect: for what is asked at every look.
    pub(super) fn verdict_alone(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> ObjectiveVerdict {
        let Judged { window, number, outcome, comparison } = judged;
        let (latencies, missing) = self
            .streams
            .get(watch.stream)
            .map(|stream| watch.details(stream, &self.phases, phase, *number, window.to))
            .unwrap_or_default();
        let share = if phase == Phase::After { share_of_restart(u32::try_from(*number).unwrap_or(0)) } else { 1.0 };
        let facts = words::Facts {
            signal: &watch.objective.signal,
            bound: watch.bound,
            window,
            outcome: *outcome,
            beat: self.streams.get(watch.stream).map_or(1.0, |stream| stream.cadence.beat()),
            comparison,
            latencies: &latencies,
            missing: missing.as_deref(),
            allowed: bound::allowed(&watch.objective),
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
            effect: None,
            because: words.because,
        }
    }
}
