//! One steady-state objective and what is added up for it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::experiment::document::Objective;
use crate::signals::sample::Reading;

use super::baseline::Kept;
use super::bound::{Bound, Meaning};
use super::decide::Window;
use super::phases::{self, Phases, restart, restarts_until};
use super::statistics::Events;
use super::stream::Stream;
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

/// Adds the latency of a request, for a bound on latencies.
fn add_latency(latencies: &mut Latencies, bound: Bound, reading: &Reading) {
    if let (Bound::Latency { .. } | Bound::LatencyOver { .. }, Reading::Request { latency, failure }) = (bound, reading)
        && bound.meaning(reading) != Meaning::Missing
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
    beats: [BTreeMap<u32, Counts>; 2],
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
            beats: [BTreeMap::new(), BTreeMap::new()],
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

    /// Adds a sample to the sums of its phase, for good.
    pub(super) fn settle(&mut self, phases: &Phases, beat: f64, at: f64, reading: &Reading) {
        let Some((phase, number)) = place(phases, at) else { return };
        if self.bound.counts_bad_events()
            && let Some(beats) = self.beats.get_mut(phases::index(phase))
        {
            beats.entry(beat_of(phases, phase, beat, at)).or_default().add(self.bound.meaning(reading));
        }
        if let Some(segments) = self.settled.get_mut(phases::index(phase)) {
            if segments.len() <= number {
                segments.resize(number + 1, Segment::default());
            }
            if let Some(segment) = segments.get_mut(number) {
                segment.add(self.bound, at, reading);
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
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            if let Some((found, number)) = place(phases, *at).filter(|(found, _)| *found == phase)
                && let Some(sum) = sums.get_mut(number)
            {
                debug_assert_eq!(found, phase);
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
        let settled = self.beats.get(phases::index(phase)).into_iter().flatten();
        let mut beats: Vec<(u32, Counts)> = settled.map(|(number, counts)| (*number, *counts)).collect();
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| phases.of(*at) == Some(phase)) {
            let number = beat_of(phases, phase, beat, *at);
            let place = beats.partition_point(|(found, _)| *found < number);
            if beats.get(place).is_none_or(|(found, _)| *found != number) {
                beats.insert(place, (number, Counts::default()));
            }
            if let Some((_, counts)) = beats.get_mut(place) {
                counts.add(self.bound.meaning(reading));
            }
        }
        beats.iter().map(|(number, counts)| (*number, counts.events())).collect()
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
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            let Some((_, number)) = place(phases, *at).filter(|(found, _)| *found == phase) else { continue };
            if from.len() <= number {
                from.resize(number + 1, Latencies::default());
            }
            if let Some(latencies) = from.get_mut(number) {
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
        for (at, reading) in stream.fresh.iter().filter(|(at, _)| *at < to) {
            if place(phases, *at).is_some_and(|(found, segment)| found == phase && segment >= number) {
                whole.add(self.bound, *at, reading);
            }
        }
        (whole.latencies, whole.missing.map(|(_, why)| why))
    }
}

/// The beat of a phase to which a moment belongs.
fn beat_of(phases: &Phases, phase: Phase, beat: f64, at: f64) -> u32 {
    let since = at - phases.span(phase).map_or(0.0, |span| span.begin);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
    let number = (since / beat).clamp(0.0, 4e9) as u32;
    number
}

/// The phase to which a moment belongs, and which of its segments.
fn place(phases: &Phases, at: f64) -> Option<(Phase, usize)> {
    let phase = phases.of(at)?;
    let number = match phase {
        Phase::After => restarts_until(at - phases.span(phase)?.begin) as usize,
        Phase::Before | Phase::During => 0,
    };
    Some((phase, number))
}
