//! What came from one signal, as far as it is not yet added up.

use crate::experiment::document::Signal;
use crate::signals::sample::Reading;

use super::cadence::{Beats, Cadence};
use super::phases::Phases;
use super::place::{Finder, Place, beat_after};

/// So long, at least, samples are kept as they came. Only then are they added to the sums of their phase: by then it is
/// known when the phase began and ended, whatever came first.
const KEPT: f64 = 10.0;

/// A sample that is old enough to be added up, and where it belongs.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) place: Place,
    /// Its beat of that phase.
    pub(super) beat: u32,
    pub(super) at: f64,
    pub(super) reading: Reading,
}

/// One signal's samples.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) cadence: Cadence,
    pub(super) beats: Beats,
    /// The latest moment to which a usable reading belongs.
    pub(super) heard: Option<f64>,
    /// Why the last reading that could not be taken was missing.
    pub(super) missing: Option<String>,
    /// Samples not yet added up.
    pub(super) fresh: Vec<(f64, Reading)>,
    oldest: f64,
    newest: f64,
    /// The stream of which a sample came after the last one of this.
    pub(super) followed_by: usize,
    /// Which objectives and which guardrails look at it.
    pub(super) watches: Vec<usize>,
    /// Those of the objectives that keep numbers as they come.
    pub(super) of_numbers: Vec<usize>,
    pub(super) guards: Vec<usize>,
    /// Which objectives of other signals are compared with it.
    pub(super) controls: Vec<usize>,
}

impl Stream {
    pub(super) fn new(name: &str, signal: &Signal) -> Self {
        Self {
            name: name.to_owned(),
            cadence: Cadence::of(signal),
            beats: Beats::default(),
            heard: None,
            missing: None,
            fresh: Vec::new(),
            oldest: f64::INFINITY,
            newest: f64::NEG_INFINITY,
            followed_by: 0,
            watches: Vec::new(),
            of_numbers: Vec::new(),
            guards: Vec::new(),
            controls: Vec::new(),
        }
    }

    /// Takes one sample in, and gives back those that are old enough to be added up, as far as they lie in a phase.
    pub(super) fn take(&mut self, at: f64, reading: &Reading, phases: &Phases) -> Vec<Settled> {
        if let Reading::Missing { reason } = reading {
            self.missing = Some(reason.clone());
        } else {
            self.beats.mark(at, self.cadence.beat());
            self.heard = Some(self.heard.map_or(at, |heard| heard.max(at)));
            self.missing = None;
        }
        self.oldest = self.oldest.min(at);
        self.newest = self.newest.max(at);
        self.fresh.push((at, as_judged(reading)));
        let keep = KEPT.max(2.0 * self.cadence.lateness);
        // Twice as long before the first is moved, so that each sample is moved once and not looked at again and again.
        if self.newest - self.oldest <= 2.0 * keep {
            return Vec::new();
        }
        self.settle(self.newest - keep, phases)
    }

    /// Those from before a moment.
    fn settle(&mut self, horizon: f64, phases: &Phases) -> Vec<Settled> {
        let (beat, mut finder) = (self.cadence.beat(), Finder::new(phases));
        let mut settled = Vec::with_capacity(self.fresh.len());
        for (at, reading) in self.fresh.extract_if(.., |(at, _)| *at < horizon) {
            if let Some(place) = finder.place(at) {
                let beat = beat_after(finder.since(place.phase, at), beat);
                settled.push(Settled { place, beat, at, reading });
            }
        }
        self.oldest = self.fresh.iter().fold(self.newest, |oldest, (at, _)| oldest.min(*at));
        settled
    }
}

/// As much of a reading as the judge asks for: that a request failed, and not why.
fn as_judged(reading: &Reading) -> Reading {
    match reading {
        Reading::Request { latency, failure } => {
            Reading::Request { latency: *latency, failure: failure.as_ref().map(|_| String::new()) }
        }
        Reading::Host { saturation, .. } => Reading::Host { saturation: saturation.clone(), numbers: Vec::new() },
        Reading::Counts { .. } | Reading::Value { .. } | Reading::Missing { .. } => reading.clone(),
    }
}
