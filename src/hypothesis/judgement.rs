//! One objective in one phase: which window is judged, and how the verdict is written.

use super::bound::Bound;
use super::decide::{self, Baseline, Cause, Comparison, ErrorRates, Outcome, Window};
use super::judge::Judge;
use super::phases::share_of_restart;
use super::stream::Stream;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::watch::{Sums, Watch};
use super::words;

/// A window that was judged, and which restart of its phase it begins with.
pub(super) struct Judged<'a> {
    pub(super) window: Window<'a>,
    number: usize,
    pub(super) outcome: Outcome,
    comparison: Comparison,
}

impl Judge {
    /// Until when every request has been answered or has failed. What started later is known only by its quick answers,
    /// which are the good ones when a service hangs and the bad ones when it refuses.
    pub(super) fn complete_until(&self, watch: &Watch, now: f64) -> f64 {
        let lateness = self.streams.get(watch.stream).map_or(0.0, |stream| match stream.cadence.starts {
            Some(_) => stream.cadence.lateness,
            None => 0.0,
        });
        now - lateness
    }

    pub(super) fn judge<'a>(&self, watch: &'a Watch, phase: Phase, to: f64) -> Option<Judged<'a>> {
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

    pub(super) fn verdict(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> ObjectiveVerdict {
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
