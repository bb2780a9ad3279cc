//! What the baseline of an objective comes to, kept once it is over: later looks ask for it again and again.

use std::sync::{Arc, OnceLock};

use super::decide::{Cause, Compared, Outcome, Window};
use super::judge::Judge;
use super::statistics::{Dispersion, Events, FEWEST_BAD, Unfit, unfit};
use super::stream::Stream;
use super::verdict::{Phase, Verdict};
use super::watch::Watch;

/// What later phases take from the baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Baseline {
    /// By how much its bad events are bursts.
    pub(super) dispersion: Dispersion,
    /// Why the signal cannot be judged at the stated error rate, if so.
    pub(super) unfit: Option<Unfit>,
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

impl Judge {
    /// The baseline of an objective, as far as it goes.
    pub(super) fn baseline(&self, watch: &Watch, stream: &Stream) -> Arc<Baseline> {
        let found = || Arc::new(self.baseline_anew(watch, stream));
        let is_over = self.phases.span(Phase::Before).is_some_and(|span| span.end.is_some());
        if is_over { Arc::clone(watch.kept.0.get_or_init(found)) } else { found() }
    }

    fn baseline_anew(&self, watch: &Watch, stream: &Stream) -> Baseline {
        let phases = &self.phases;
        let sums = watch.bound.is_relative().then(|| watch.sums(stream, phases, Phase::Before, self.now)).flatten();
        let reference = sums.map(|sums| {
            let ranked = || Arc::new(watch.latencies(stream, phases, Phase::Before, sums.to).whole().ranked());
            let latencies = watch.bound.compares_latencies().then(ranked);
            Compared::of(&watch.window(stream, &sums, 0), None, latencies)
        });
        let beats = watch.beats(stream, phases, Phase::Before);
        let blocks: Vec<Events> = beats.into_iter().map(|(_, events)| events).collect();
        Baseline { dispersion: Dispersion::of(&blocks), unfit: unfit(&*self.rule, &blocks, self.unfit_rate), reference }
    }

    /// An outcome that the baseline does not allow to be called so: neither "held" nor "violated" is said of a signal
    /// that cannot be judged.
    pub(super) fn unless_unfit(
        &self,
        watch: &Watch,
        stream: &Stream,
        window: &Window<'_>,
        outcome: Outcome,
    ) -> Outcome {
        // Looked at again and again while the baseline lasts, so that what can be told at once is told at once.
        if self.phases.open() == Some(Phase::Before) && window.counts.bad() < FEWEST_BAD {
            return outcome;
        }
        if !matches!(outcome.verdict, Verdict::Held | Verdict::Violated) || !watch.bound.counts_bad_events() {
            return outcome;
        }
        let unfit = self.baseline(watch, stream).unfit;
        unfit.map_or(outcome, |unfit| Outcome { verdict: Verdict::Inconclusive, cause: Cause::Unfit(unfit) })
    }
}
