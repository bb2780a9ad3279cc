//! What the judge takes in: when phases begin and end, and samples.

use crate::run::journal::{Entry, Event, RunState};
use crate::signals::sample::Sample;

use super::guardrail::Guardrail;
use super::judge::Judge;
use super::tally::rounded;
use super::verdict::Phase;

impl Judge {
    /// A phase begins, at so many seconds since the run began. To begin `During` again takes the end of it back.
    pub fn begin(&mut self, phase: Phase, at: f64) {
        let at = rounded(at);
        if phase == Phase::During && self.phases.span(Phase::After).is_some() {
            self.phases.forget_after();
            for watch in self.watches.iter_mut().chain(&mut self.controls) {
                watch.merge_after_into_during();
            }
        }
        self.phases.begin(phase, at);
        self.now = self.now.max(at);
        self.forget_baselines();
    }

    /// A phase ends. A sample belongs to the phase in which its `at` lies, however late it comes.
    pub fn end(&mut self, phase: Phase, at: f64) {
        let at = rounded(at);
        self.phases.end(phase, at);
        self.now = self.now.max(at);
        self.forget_baselines();
    }

    /// A phase began or ended: what was kept of the baselines may be wrong now.
    fn forget_baselines(&mut self) {
        self.watches.iter_mut().for_each(|watch| watch.kept.forget());
        self.guardrails.iter_mut().for_each(Guardrail::forget);
    }

    /// Follows the journal: samples are taken in, and the phases begin and end with the states of the run. `Before` is
    /// from `steady` to the first `injecting`, `During` from there to `recovering`, `After` from there to `judged`.
    pub fn follow(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Sample(sample) => self.observe(sample),
            Event::Budget(state) => {
                if let Some(budget) = &mut self.budget {
                    budget.read(state);
                }
            }
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

    /// The number of a signal's stream. Signals that are read at one pace come in the same order again and again: the one
    /// that came after the last one before is looked at first.
    fn stream_of(&mut self, signal: &str) -> Option<usize> {
        let expected = self.streams.get(self.latest).map_or(0, |latest| latest.followed_by);
        let is_expected = self.streams.get(expected).is_some_and(|stream| stream.name == signal);
        let number = if is_expected { expected } else { self.by_name.get(signal).copied()? };
        if let Some(latest) = self.streams.get_mut(self.latest) {
            latest.followed_by = number;
        }
        self.latest = number;
        Some(number)
    }

    /// Takes a sample in. One of a signal that the document does not name, or without a moment, is left aside.
    pub fn observe(&mut self, sample: &Sample) {
        let Some(number) = self.stream_of(&sample.signal) else { return };
        let Some(stream) = self.streams.get_mut(number) else { return };
        if !(sample.at.is_finite() && sample.at >= 0.0) {
            return;
        }
        let at = rounded(sample.at);
        self.now = self.now.max(at);
        let settled = stream.take(at, &sample.reading, &self.phases);
        let of_baseline = self.phases.of(at) == Some(Phase::Before);
        for index in &stream.of_numbers {
            if let Some(watch) = self.watches.get_mut(*index) {
                watch.note(at, &sample.reading);
            }
        }
        if of_baseline || !settled.is_empty() {
            for index in &stream.watches {
                if let Some(watch) = self.watches.get_mut(*index) {
                    if of_baseline {
                        watch.kept.forget();
                    }
                    watch.settle(&settled);
                }
            }
            for index in &stream.controls {
                if let Some(watch) = self.controls.get_mut(*index) {
                    watch.settle(&settled);
                }
            }
        }
        for index in &stream.guards {
            if let Some(guardrail) = self.guardrails.get_mut(*index) {
                guardrail.observe(at, &sample.reading);
                if of_baseline {
                    guardrail.forget();
                }
            }
        }
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.stream == number) {
            budget.observe(&self.phases, at, &sample.reading);
        }
    }
}
