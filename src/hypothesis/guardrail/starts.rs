//! When the test of a guardrail starts anew, and what each start may take of the error rate.
//!
//! What a fault does to a system it mostly does at once. So of the error rate of a run three quarters belong to the time
//! of the fault and an eighth each to the time before and after it; of each of these, seven eighths belong to the window
//! of the whole phase. The last eighth is divided among the starts at all other seconds, by `1 / ((n + 1) (n + 2))`, of
//! which the sum over all n from 0 on is 1: first those shortly before the phase, since a window of a few seconds is
//! needed for a judgement at its very beginning, then those within it. All shares together are the error rate
//! (Bonferroni), for any number of starts.

use super::SHORTEST;
use crate::hypothesis::phases::Phases;
use crate::hypothesis::verdict::Phase;

/// For so many seconds back the test starts anew every second.
const LONGEST: u32 = 60;

/// The share of the error rate that belongs to the time of the fault; the two other phases divide the rest.
const OF_FAULT: f64 = 0.75;
/// The share of a phase that belongs to the window of the whole of it.
const OF_WHOLE: f64 = 0.875;

/// A baseline of so many seconds without a burst, or a shorter one, leaves room for bursts that double the dispersion;
/// one of twice as many for half as much more than none.
///
/// Simulated (`cargo bench --bench error_rates`): starting the test anew at every second finds whatever burst there is,
/// so that without this room healthy streams in bursts of ten seconds were aborted for more than twice as often as stated.
const SEEN: f64 = 300.0;

/// The starts of a phase, in whole seconds of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Starts {
    /// Where the run began: no window is older.
    pub(super) of_run: u32,
    /// Where the phase began.
    pub(super) of_phase: u32,
    pub(super) phase: Phase,
}

impl Starts {
    /// The starts of the windows that end at this second, the shortest window first; that of the whole phase is always
    /// among them.
    pub(super) fn until(self, end: u32) -> impl Iterator<Item = u32> {
        let first = self.first();
        let last = end.saturating_sub(SHORTEST).max(first);
        let earliest = end.saturating_sub(LONGEST).clamp(first, last);
        let sooner = (self.of_phase > last).then_some(self.of_phase);
        let later = (self.of_phase < earliest).then_some(self.of_phase);
        sooner.into_iter().chain((earliest..=last).rev()).chain(later)
    }

    /// By how much the threshold of a start is raised for its share of the error rate.
    pub(super) fn penalty(self, from: u32) -> f64 {
        let of_phase = if self.phase == Phase::During { OF_FAULT } else { (1.0 - OF_FAULT) / 2.0 };
        let share = match self.number(from) {
            None => OF_WHOLE,
            Some(number) => (1.0 - OF_WHOLE) / ((f64::from(number) + 1.0) * (f64::from(number) + 2.0)),
        };
        -(of_phase * share).ln()
    }

    /// The first windows of a phase begin before it, so that they too are long enough.
    fn first(self) -> u32 {
        self.of_phase.saturating_sub(SHORTEST).max(self.of_run)
    }

    /// Which of the starts it is that are not that of the whole phase.
    fn number(self, from: u32) -> Option<u32> {
        let sooner = self.of_phase - self.first();
        match from.checked_sub(self.of_phase) {
            Some(0) => None,
            Some(later) => Some(sooner + later - 1),
            None => Some(self.of_phase - from - 1),
        }
    }
}

/// The dispersion that a baseline without bursts may have hidden, for the windows that may begin anywhere.
///
/// That of the whole phase needs none: it begins when something is done to the system, not where a burst is found.
pub(super) fn unseen(phases: &Phases) -> f64 {
    let span = phases.span(Phase::Before);
    let seen = span.and_then(|span| Some(span.end? - span.begin)).unwrap_or(0.0);
    1.0 + (SEEN / seen.max(1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::phases::ALL;

    #[test]
    fn the_shares_of_a_run_are_its_error_rate() {
        let of_run: f64 = ALL
            .into_iter()
            .map(|phase| {
                let starts = Starts { of_run: 0, of_phase: 30, phase };
                (starts.first()..1_000_000).map(|from| (-starts.penalty(from)).exp()).sum::<f64>()
            })
            .sum();
        assert!(of_run < 1.0 && of_run > 0.999_99, "{of_run}");
    }

    #[test]
    fn each_start_has_a_number_of_its_own() {
        let starts = Starts { of_run: 28, of_phase: 30, phase: Phase::During };
        let numbers: Vec<Option<u32>> = (28..34).map(|from| starts.number(from)).collect();
        assert_eq!(numbers, [Some(1), Some(0), None, Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn the_window_of_the_whole_phase_is_always_among_them() {
        let starts = Starts { of_run: 0, of_phase: 30, phase: Phase::During };
        let until = |end| starts.until(end).collect::<Vec<u32>>();
        assert_eq!(until(30), [30, 26]);
        assert_eq!(until(32), [30, 28, 27, 26]);
        assert_eq!(until(35), [31, 30, 29, 28, 27, 26]);
        let late = until(120);
        assert_eq!((late.first(), late.last(), late.len()), (Some(&116), Some(&30), 58));
        let before = Starts { of_run: 10, of_phase: 10, phase: Phase::Before };
        assert_eq!(before.until(10).collect::<Vec<u32>>(), [10]);
        assert_eq!(before.until(15).collect::<Vec<u32>>(), [11, 10]);
    }

    #[test]
    fn a_long_baseline_hides_little() {
        let mut phases = Phases::default();
        assert_eq!(unseen(&phases), 2.0, "nothing was seen");
        phases.begin(Phase::Before, 10.0);
        assert_eq!(unseen(&phases), 2.0, "it is not over");
        phases.end(Phase::Before, 610.0);
        assert_eq!(unseen(&phases), 1.5);
    }
}
