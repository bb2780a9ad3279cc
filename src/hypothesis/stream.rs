//! What came from one signal, as far as it is not yet added up.

use crate::experiment::document::Signal;
use crate::signals::sample::Reading;

use super::cadence::{Beats, Cadence};

/// So long, at least, samples are kept as they came. Only then are they added to the sums of their phase: by then it is
/// known when the phase began and ended, whatever came first.
const KEPT: f64 = 10.0;

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
    /// Which objectives and which guardrails look at it.
    pub(super) watches: Vec<usize>,
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
            watches: Vec::new(),
            guards: Vec::new(),
            controls: Vec::new(),
        }
    }

    /// Takes one sample in, and gives back those that are old enough to be added up.
    pub(super) fn take(&mut self, at: f64, reading: &Reading) -> Vec<(f64, Reading)> {
        if let Reading::Missing { reason } = reading {
            self.missing = Some(reason.clone());
        } else {
            self.beats.mark(at, self.cadence.beat());
            self.heard = Some(self.heard.map_or(at, |heard| heard.max(at)));
            self.missing = None;
        }
        self.oldest = self.oldest.min(at);
        self.newest = self.newest.max(at);
        self.fresh.push((at, reading.clone()));
        let keep = KEPT.max(2.0 * self.cadence.lateness);
        // Twice as long before the first is moved, so that each sample is moved once and not looked at again and again.
        if self.newest - self.oldest <= 2.0 * keep {
            return Vec::new();
        }
        let horizon = self.newest - keep;
        self.oldest = self.newest;
        let mut settled = Vec::new();
        self.fresh.retain_mut(|(at, reading)| {
            let is_old = *at < horizon;
            if is_old {
                settled.push((*at, std::mem::replace(reading, Reading::Counts { bad: 0.0, total: 0.0 })));
            } else {
                self.oldest = self.oldest.min(*at);
            }
            !is_old
        });
        settled
    }
}
