//! Where in a run a sample belongs: its phase, which restart of it, and the beat.

use super::phases::{self, ALL, Phases, restart, restarts_until};
use super::verdict::Phase;

/// The phase to which a moment belongs, and which of its segments: from one restart to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) phase: Phase,
    pub(super) number: usize,
}

/// Finds the places of many moments, one after the other. Moments that follow each other mostly lie in the same
/// stretch between two bounds, and it is kept; what is found does not depend on what was asked before.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    phases: &'a Phases,
    /// Between which moments of the run the phase stays the same, and since when that phase lasts.
    stretch: (f64, f64),
    phase: Option<(Phase, f64)>,
    /// Between which moments since then the restart stays the same.
    segment: (f64, f64),
    number: usize,
}

/// A stretch in which nothing lies.
const NOWHERE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

impl<'a> Finder<'a> {
    pub(super) fn new(phases: &'a Phases) -> Self {
        Self { phases, stretch: NOWHERE, phase: None, segment: NOWHERE, number: 0 }
    }

    /// The place of a moment; nothing where it lies in no phase.
    pub(super) fn place(&mut self, at: f64) -> Option<Place> {
        if !contains(self.stretch, at) {
            self.stretch = self.between_bounds(at);
            let phase = self.phases.of(at);
            self.phase = phase.and_then(|phase| Some((phase, self.phases.span(phase)?.begin)));
            self.segment = NOWHERE;
        }
        let (phase, begin) = self.phase?;
        if phase != Phase::After {
            return Some(Place { phase, number: 0 });
        }
        let since = at - begin;
        if !contains(self.segment, since) {
            let number = restarts_until(since);
            self.number = number as usize;
            // Beyond the last restart that is told apart nothing is kept.
            let is_told_apart = number < phases::LAST_RESTART;
            self.segment = if is_told_apart { (restart(number), restart(number + 1)) } else { NOWHERE };
        }
        Some(Place { phase, number: self.number })
    }

    /// How many seconds a moment lies after the beginning of a phase that has begun.
    pub(super) fn since(&self, phase: Phase, at: f64) -> f64 {
        at - self.phases.span(phase).map_or(0.0, |span| span.begin)
    }

    /// Between which beginnings and ends of phases a moment lies.
    fn between_bounds(&self, at: f64) -> (f64, f64) {
        let spans = ALL.into_iter().filter_map(|phase| self.phases.span(phase));
        let bounds = spans.flat_map(|span| [Some(span.begin), span.end]).flatten();
        bounds.fold((f64::NEG_INFINITY, f64::INFINITY), |(from, to), bound| {
            if bound <= at { (from.max(bound), to) } else { (from, to.min(bound)) }
        })
    }
}

fn contains((from, to): (f64, f64), moment: f64) -> bool {
    from <= moment && moment < to
}

/// So many beats after its beginning lies a moment of a phase.
pub(super) fn beat_after(since: f64, beat: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
    let number = (since / beat).clamp(0.0, 4e9) as u32;
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain way.
    fn place(phases: &Phases, at: f64) -> Option<Place> {
        let phase = phases.of(at)?;
        let begin = phases.span(phase)?.begin;
        let number = if phase == Phase::After { restarts_until(at - begin) as usize } else { 0 };
        Some(Place { phase, number })
    }

    /// Moments between which nothing is kept, and the edges of phases and restarts.
    fn moments() -> impl Strategy<Value = Vec<f64>> {
        let edges = (0u32..64, -1i32..2).prop_map(|(number, side)| {
            let edge = 24.0 + restart(number.min(60));
            if side < 0 {
                edge.next_down()
            } else if side > 0 {
                edge.next_up()
            } else {
                edge
            }
        });
        proptest::collection::vec(
            prop_oneof![0.0f64..60.0, (0u32..60).prop_map(f64::from), edges, 0.0f64..1e11],
            1..100,
        )
    }

    proptest! {
        #[test]
        fn what_was_asked_before_changes_nothing(
            moments in moments(),
            spans in proptest::collection::vec((0u32..48, prop::option::of(0u32..48)), 3),
            in_order: bool,
        ) {
            let mut phases = Phases::default();
            for (phase, (begin, end)) in ALL.into_iter().zip(spans) {
                phases.begin(phase, f64::from(begin));
                if let Some(end) = end {
                    phases.end(phase, f64::from(end));
                }
            }
            let mut moments = moments;
            if in_order {
                moments.sort_by(f64::total_cmp);
            }
            let mut finder = Finder::new(&phases);
            for at in moments {
                prop_assert_eq!(finder.place(at), place(&phases, at), "{}", at);
            }
        }
    }
}
