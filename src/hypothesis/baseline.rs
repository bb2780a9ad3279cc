//! What the baseline of an objective comes to, kept once it is over: later looks ask for it again and again.

use std::sync::{Arc, OnceLock};

use super::decide::Compared;
use super::phases::Phases;
use super::statistics::Dispersion;
use super::stream::Stream;
use super::verdict::Phase;
use super::watch::Watch;

/// What later phases take from the baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Baseline {
    /// By how much its bad events are bursts.
    pub(super) dispersion: Dispersion,
    /// What a relative objective is compared with; nothing where there was no baseline, or none is needed.
    pub(super) reference: Option<Compared>,
}

/// A baseline, as far as it is known already.
///
/// It is kept from the first question after its end on. A sample of it that comes later still, and a phase that begins
/// or ends, take it back, so that the order in which things come changes nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(OnceLock<Arc<Baseline>>);

impl Kept {
    /// It may be another one from now on.
    pub(super) fn forget(&mut self) {
        self.0.take();
    }
}

impl Watch {
    /// The baseline of this objective. `now` is until when it lasts if it has not ended.
    pub(super) fn baseline(&self, stream: &Stream, phases: &Phases, now: f64) -> Arc<Baseline> {
        let found = || Arc::new(self.baseline_anew(stream, phases, now));
        let is_over = phases.span(Phase::Before).is_some_and(|span| span.end.is_some());
        if is_over { Arc::clone(self.kept.0.get_or_init(found)) } else { found() }
    }

    fn baseline_anew(&self, stream: &Stream, phases: &Phases, now: f64) -> Baseline {
        let sums = self.bound.is_relative().then(|| self.sums(stream, phases, Phase::Before, now)).flatten();
        let reference = sums.map(|sums| {
            let ranked = || Arc::new(self.latencies(stream, phases, Phase::Before, sums.to).whole().ranked());
            let latencies = self.bound.compares_latencies().then(ranked);
            Compared::of(&self.window(stream, &sums, 0), None, latencies)
        });
        Baseline { dispersion: self.dispersion(stream, phases), reference }
    }
}
