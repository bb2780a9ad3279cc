//! What a guardrail takes from the baseline: how much was served, and by how much its bad events come in bursts.

use std::sync::OnceLock;

use super::{Guardrail, second};
use crate::hypothesis::decide::Baseline;
use crate::hypothesis::phases::Phases;
use crate::hypothesis::statistics::{Dispersion, Events};
use crate::hypothesis::stream::Stream;
use crate::hypothesis::tally::Counts;
use crate::hypothesis::verdict::Phase;

/// The dispersion of a baseline that is over, once it was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(OnceLock<Dispersion>);

impl Guardrail {
    /// The baseline may be another one from now on.
    pub(in crate::hypothesis) fn forget(&mut self) {
        self.kept.0.take();
    }

    /// So many events count as one: 1 while the baseline lasts, and where its bad events come in no bursts.
    ///
    /// A guardrail on a signal that is unfit to be judged still guards, with all of its dispersion: a storm of failures
    /// breaches it, however bursty it was before.
    pub(super) fn dispersion(&self, stream: &Stream, phases: &Phases, phase: Phase) -> f64 {
        let is_over = phases.span(Phase::Before).is_some_and(|span| span.end.is_some());
        if phase == Phase::Before || !is_over || !self.bound.counts_bad_events() {
            return 1.0;
        }
        self.kept.0.get_or_init(|| Dispersion::of(&self.blocks(stream, phases))).factor
    }

    /// The bad and good events of the baseline, by as many whole seconds as hold a reading.
    fn blocks(&self, stream: &Stream, phases: &Phases) -> Vec<Events> {
        let Some((from, to)) = whole_seconds(phases) else { return Vec::new() };
        let length = second(stream.cadence.beat().ceil()).max(1);
        let count = |number: u32| {
            let begin = from + number * length;
            let mut counts = Counts::default();
            for (_, found) in self.seconds.range(begin..begin + length) {
                counts.join(*found);
            }
            counts
        };
        let counts = (0..to.saturating_sub(from) / length).map(count);
        counts.filter(|counts| counts.readings > 0).map(Counts::events).collect()
    }

    /// What was served before the fault, by the whole seconds of that phase.
    pub(super) fn before(&self, phases: &Phases, stream: &Stream) -> Option<Baseline> {
        let (from, to) = whole_seconds(phases)?;
        let mut counts = Counts::default();
        for (_, found) in self.seconds.range(from..to.max(from)) {
            counts.join(*found);
        }
        let seconds = f64::from(to.saturating_sub(from));
        let edge = if stream.cadence.starts.is_some() { 0.0 } else { stream.cadence.interval };
        (seconds > 0.0).then(|| Baseline { good: counts.good(), seconds: seconds + edge, covered: seconds })
    }
}

/// The whole seconds of a baseline that is over.
fn whole_seconds(phases: &Phases) -> Option<(u32, u32)> {
    let span = phases.span(Phase::Before)?;
    Some((second(span.begin.ceil()), second(span.end?)))
}
