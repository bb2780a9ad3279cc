//! When harm began: the time from the first injection to the change, for an objective that the fault violated.

use super::bound::Bound;
use super::decide::{Cause, Comparison};
use super::judge::Judge;
use super::judgement::Judged;
use super::statistics::got_worse;
use super::verdict::{Phase, Verdict};
use super::watch::Watch;
use super::words::seconds;

impl Judge {
    /// `began 3 s after the first injection, with 95% between 2 s and 4 s`, to a beat of the signal: a second or more.
    /// Only where bad events are counted, and harm was shown during the fault.
    pub(super) fn onset(&self, watch: &Watch, phase: Phase, judged: &Judged<'_>) -> Option<String> {
        let is_shown = judged.outcome.verdict == Verdict::Violated && judged.outcome.cause == Cause::Shown;
        if phase != Phase::During || !is_shown {
            return None;
        }
        let allowed = match (watch.bound, &judged.comparison) {
            (Bound::ErrorsOver { margin }, Comparison::With(Some(compared))) => margin.bound(compared.events.share()?),
            (bound, _) => bound.ratio()?,
        };
        let stream = self.streams.get(watch.stream)?;
        // What was taken back from a phase after it was not kept beat by beat.
        let beats = watch.beats(stream, &self.phases, phase);
        let (numbers, blocks): (Vec<u32>, Vec<_>) = beats.into_iter().unzip();
        let change = got_worse(&blocks, allowed)?;
        let beat = stream.cadence.beat();
        let at = |block: usize| numbers.get(block).map(|number| f64::from(*number) * beat);
        let (began, earliest, latest) = (at(change.block)?, at(change.earliest)?, at(change.latest)? + beat);
        let lasted = judged.window.to - judged.window.from;
        Some(format!(
            "it began {} after the first injection, with 95% between {} and {}",
            seconds(began),
            seconds(earliest),
            seconds(latest.min(lasted))
        ))
    }
}
