//! One steady-state objective and what is added up for it.

use std::borrow::Cow;

use crate::experiment::document::Objective;
use crate::signals::sample::Reading;

use super::baseline::Kept;
use super::beatwise::Beatwise;
use super::bound::{Bound, Meaning};
use super::decide::Window;
use super::phases::{self, Phases, restart, restarts_until};
use super::place::{Finder, Place, beat_after};
use super::statistics::Events;
use super::stream::{Settled, Stream};
use super::tally::{Counts, Latencies, rounded};
use super::verdict::Phase;

/// What was read from one restart of a phase to the next. Phases other than After have a single one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Segment {
    counts: Counts,
    latencies: Latencies,
    /// The last reading that could not be used, and why.
    missing: Option<(f64, String)>,
}

impl Segment {
    fn add(&mut self, bound: Bound, at: f64, reading: &Reading) {
        let meaning = bound.meaning(reading);
        self.counts.add(meaning);
        self.note(meaning, bound, at, reading);
    }

    /// Keeps what is more than a count of a reading that means this to the bound.
    fn note(&mut self, meaning: Meaning, bound: Bound, at: f64, reading: &Reading) {
        if meaning == Meaning::Missing {
            self.note_missing(at, why_missing(reading));
        } else {
            add_latency(&mut self.latencies, bound, reading);
        }
    }

    /// The latest counts, and of two at the same moment the greater text, so that the order of arrival is of no matter.
    fn note_missing(&mut self, at: f64, why: String) {
        let newer = self.missing.as_ref().is_none_or(|(then, text)| (at, &why) > (*then, text));
        if newer {
            self.missing = Some((at, why));
        }
    }

    fn join(&mut self, other: &Self) {
        self.counts.join(other.counts);
        self.latencies.join(&other.latencies);
        if let Some((at, why)) = &other.missing {
            self.note_missing(*at, why.clone());
        }
    }
}

/// Adds the latency of a request that can be used, for a bound on latencies.
fn add_latency(latencies: &mut Latencies, bound: Bound, reading: &Reading) {
    if let (Bound::Latency { .. } | Bound::LatencyOver { .. }, Reading::Request { latency, failure }) = (bound, reading)
    {
        latencies.add(rounded(*latency), failure.is_some());
    }
}

fn why_missing(reading: &Reading) -> String {
    match reading {
        Reading::Missing { reason } => reason.clone(),
        _ => "the reading holds nothing of this kind".into(),
    }
}

/// A steady-state objective under watch.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) objective: Objective,
    pub(super) bound: Bound,
    pub(super) description: String,
    pub(super) stream: usize,
    /// For an objective against a control: which of the judge's controls.
    pub(super) control: Option<usize>,
    /// What the baseline comes to, once it is over.
    pub(super) kept: Kept,
    settled: [Vec<Segment>; 3],
    /// Every number that was read, in order of time.
    numbers: Vec<(f64, f64)>,
    /// The baseline and the fault beat by beat, as far as they are settled: what tells whether bad events come in bursts,
    /// and since when.
    beats: [Beatwise; 2],
}

/// The sums of a phase from each restart to its end, so that entry 0 is the whole phase.
pub(super) struct Sums {
    pub(super) span: phases::Span,
    pub(super) to: f64,
    pub(super) from_restart: Vec<Counts>,
}

/// The latencies of a phase from each restart to its end, so that entry 0 is the whole phase.
#[derive(Debug)]
pub(super) struct LatenciesFrom {
    from: Vec<Latencies>,
}

impl LatenciesFrom {
    /// From this restart on; none where nothing came.
    pub(super) fn restart(&self, number: usize) -> Cow<'_, Latencies> {
        self.from.get(number).map_or_else(|| Cow::Owned(Latencies::default()), Cow::Borrowed)
    }

    /// Those of the whole phase.
    pub(super) fn whole(&self) -> Cow<'_, Latencies> {
        self.restart(0)
    }
}

impl Watch {
    pub(super) fn new(objective: Objective, bound: Bound, description: String, stream: usize) -> Self {
        let settled = [Vec::new(), Vec::new(), Vec::new()];
        Self {
            objective,
            bound,
            description,
            stream,
            control: None,
            kept: Kept::default(),
            settled,
            numbers: Vec::new(),
            beats: [Beatwise::default(), Beatwise::default()],
        }
    }

    /// Keeps a number where its time puts it.
    pub(super) fn note(&mut self, at: f64, reading: &Reading) {
        if let Meaning::Number(number) = self.bound.meaning(reading) {
            let place = self
                .numbers
                .partition_point(|(then, other)| then.total_cmp(&at).then(other.total_cmp(&number)).is_lt());
            self.numbers.insert(place, (at, number));
        }
    }

    /// Adds samples to the sums of their phases, for good. Those that follow each other in one beat are counted first, and
    /// their place is found once.
    pub(super) fn settle(&mut self, settled: &[Settled]) {
        let bound = self.bound;
        for run in settled.chunk_by(|one, other| (one.place, one.beat) == (other.place, other.beat)) {
            let Some(Settled { place: Place { phase, number }, beat, .. }) = run.first() else { continue };
            let phase = phases::index(*phase);
            let Some(segments) = self.settled.get_mut(phase) else { continue };
            if segments.len() <= *number {
                segments.resize(*number + 1, Segment::default());
            }
            let Some(segment) = segments.get_mut(*number) else { continue };
            let mut counts = Counts::default();
            for Settled { at, reading, .. } in run {
                let meaning = bound.meaning(reading);
                counts.add(meaning);
                segment.note(meaning, bound, *at, reading);
            }
            segment.counts.join(counts);
            if bound.counts_bad_events()
                && let Some(beats) = self.beats.get_mut(phase)
            {
                beats.join(*beat, counts);
            }
        }
    }

    /// A phase that was thought to be over goes on: what was added to the one after it belongs to it.
    pub(super) fn merge_after_into_during(&mut self) {
        let [_, during, after] = &mut self.settled;
        let mut whole = Segment::default();
        for segment in during.iter().chain(after.iter()) {
            whole.join(segment);
        }
        *during = vec![whole];
        after.clear();
    }

    /// The sums of a phase up to a moment: settled ones and fresh ones.
    pub(super) fn sums(&self, stream: &Stream, phases: &Phases, phase: Phase, to: f64) -> Option<Sums> {
        let span = phases.span(phase)?;
        let to = span.end.map_or(to, |end| end.min(to)).max(span.begin);
        let count = if phase == Phase::After { restarts_until(to - span.begin) as usize + 1 } else { 1 };
        let mut sums = vec![Counts::default(); count];
        let settled = self.settled.get(phases::index(phase)).map_or(&[][..], Vec::as_slice);
        for (segment, sum) in settled.iter().zip(&mut sums) {
            sum.join(segment.counts);
        }
        let mut finder = Finder::new(phases);
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            if let Some(place) = finder.place(*at).filter(|place| place.phase == phase)
                && let Some(sum) = sums.get_mut(place.number)
            {
                sum.add(self.bound.meaning(reading));
            }
        }
        for number in (1..count).rev() {
            if let [earlier, later] = sums.get_mut(number - 1..=number)? {
                earlier.join(*later);
            }
        }
        Some(Sums { span, to, from_restart: sums })
    }

    /// The bad and good events of the baseline or of the fault, in the beats that hold any reading, with their numbers;
    /// none where such events are not counted.
    pub(super) fn beats(&self, stream: &Stream, phases: &Phases, phase: Phase) -> Vec<(u32, Events)> {
        if !self.bound.counts_bad_events() {
            return Vec::new();
        }
        let beat = stream.cadence.beat();
        let mut beats = self.beats.get(phases::index(phase)).cloned().unwrap_or_default();
        let mut finder = Finder::new(phases);
        for (at, reading) in &stream.fresh {
            if finder.place(*at).is_some_and(|place| place.phase == phase) {
                beats.add(beat_after(finder.since(phase, *at), beat), self.bound.meaning(reading));
            }
        }
        beats.events()
    }

    /// The numbers that were read from one moment to another.
    pub(super) fn numbers_between(&self, from: f64, to: f64) -> &[(f64, f64)] {
        let begin = self.numbers.partition_point(|(at, _)| *at < from);
        let end = self.numbers.partition_point(|(at, _)| *at < to).max(begin);
        self.numbers.get(begin..end).unwrap_or(&[])
    }

    /// The window of a phase from one of its restarts on.
    pub(super) fn window<'a>(&'a self, stream: &Stream, sums: &Sums, number: usize) -> Window<'a> {
        let offset = u32::try_from(number).map_or(0.0, restart);
        let (from, to) = (sums.span.begin + offset, sums.to);
        Window {
            from,
            to,
            counts: sums.from_restart.get(number).copied().unwrap_or_default(),
            numbers: self.numbers_between(from, to),
            coverage: stream.beats.coverage(from, to, stream.cadence.beat()),
            interval: stream.cadence.interval,
            dispersion: 1.0,
            single: stream.cadence.starts.is_some(),
        }
    }

    /// Latencies in the windows of a phase that end at `to`, from each of its restarts on.
    pub(super) fn latencies(&self, stream: &Stream, phases: &Phases, phase: Phase, to: f64) -> LatenciesFrom {
        let settled = self.settled.get(phases::index(phase)).into_iter().flatten();
        let mut from: Vec<Latencies> = settled.map(|segment| segment.latencies.clone()).collect();
        let mut finder = Finder::new(phases);
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            let Some(Place { number, .. }) = finder.place(*at).filter(|place| place.phase == phase) else { continue };
            if from.len() <= number {
                from.resize(number + 1, Latencies::default());
            }
            if let Some(latencies) = from.get_mut(number).filter(|_| self.bound.meaning(reading) != Meaning::Missing) {
                add_latency(latencies, self.bound, reading);
            }
        }
        for number in (1..from.len()).rev() {
            if let Some([earlier, later]) = from.get_mut(number - 1..=number) {
                earlier.join(later);
            }
        }
        LatenciesFrom { from }
    }

    /// Latencies and the reason of the last missing reading, in a window that ends at `to`.
    pub(super) fn details(
        &self,
        stream: &Stream,
        phases: &Phases,
        phase: Phase,
        number: usize,
        to: f64,
    ) -> (Latencies, Option<String>) {
        let mut whole = Segment::default();
        for segment in self.settled.get(phases::index(phase)).into_iter().flatten().skip(number) {
            whole.join(segment);
        }
        let mut finder = Finder::new(phases);
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            if finder.place(*at).is_some_and(|place| place.phase == phase && place.number >= number) {
                whole.add(self.bound, *at, reading);
            }
        }
        (whole.latencies, whole.missing.map(|(_, why)| why))
    }
}
