//! The phases of a run as stretches of time, and the moments at which the test of recovery starts anew.

use super::verdict::Phase;

/// A stretch of time from `begin` on; open until it has an end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) begin: f64,
    pub(super) end: Option<f64>,
}

/// When each phase began and ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Phases {
    spans: [Option<Span>; 3],
}

/// Every phase, in the order in which they come.
pub(super) const ALL: [Phase; 3] = [Phase::Before, Phase::During, Phase::After];

/// Where a phase is kept in an array of three.
pub(super) fn index(phase: Phase) -> usize {
    match phase {
        Phase::Before => 0,
        Phase::During => 1,
        Phase::After => 2,
    }
}

impl Phases {
    /// The first beginning of a phase counts; to begin it again after its end opens it again.
    pub(super) fn begin(&mut self, phase: Phase, at: f64) {
        if let Some(span) = self.spans.get_mut(index(phase)) {
            match span {
                Some(span) => span.end = None,
                None => *span = Some(Span { begin: at, end: None }),
            }
        }
    }

    /// The first end of a phase counts, unless it is begun again.
    pub(super) fn end(&mut self, phase: Phase, at: f64) {
        if let Some(Some(span)) = self.spans.get_mut(index(phase)) {
            span.end.get_or_insert(at.max(span.begin));
        }
    }

    /// Takes the last phase back: the run was not over.
    pub(super) fn forget_after(&mut self) {
        self.spans[index(Phase::After)] = None;
    }

    pub(super) fn span(&self, phase: Phase) -> Option<Span> {
        self.spans.get(index(phase)).copied().flatten()
    }

    /// The phase to which a moment belongs: from its begin on and before its end, and the latest where several are open.
    pub(super) fn of(&self, at: f64) -> Option<Phase> {
        ALL.into_iter()
            .rev()
            .find(|phase| self.span(*phase).is_some_and(|span| at >= span.begin && span.end.is_none_or(|end| at < end)))
    }

    /// The latest phase that has begun, whether or not it has ended.
    pub(super) fn latest(&self) -> Option<Phase> {
        ALL.into_iter().rev().find(|phase| self.span(*phase).is_some())
    }

    /// The latest phase that has begun and not ended.
    pub(super) fn open(&self) -> Option<Phase> {
        ALL.into_iter().rev().find(|phase| self.span(*phase).is_some_and(|span| span.end.is_none()))
    }
}

/// The moments after the undo at which the test of recovery starts anew, in seconds: 0, 1, 2, 3, 4, 6, 8, 12, 16, 24 …
///
/// What went wrong while the system was still recovering would otherwise weigh against it for minutes. The moments are
/// fixed beforehand, and the test that starts at the n-th one (from 1) is given the share `1 / (n (n + 1))` of the error
/// rate; these shares add up to 1, so that the error rate of "recovered" stays what it is for any number of restarts.
pub(super) fn restart(number: u32) -> f64 {
    let power = |exponent: u32| f64::from(1_u32 << exponent.min(30));
    match number {
        0 => 0.0,
        1 => 1.0,
        even if even.is_multiple_of(2) => power(even / 2),
        odd => 3.0 * power((odd - 3) / 2),
    }
}

/// The last restart that comes after the one before it: 2^30 seconds, a third of a century.
pub(super) const LAST_RESTART: u32 = 60;

/// Which restart is the last at or before so many seconds.
pub(super) fn restarts_until(seconds: f64) -> u32 {
    if seconds < 2.0 {
        return u32::from(seconds >= 1.0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 30")]
    let power = seconds.log2().floor().min(30.0) as u32;
    // From 2^n on it is number 2n, from 3/2 of that on the one after it; a logarithm may round over either edge.
    (2 * power - 1..=2 * power + 2).rev().find(|number| restart(*number) <= seconds).unwrap_or(0)
}

/// The share of the error rate that a restart is given.
pub(super) fn share_of_restart(number: u32) -> f64 {
    1.0 / (f64::from(number + 1) * f64::from(number + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_lie_where_they_are_said_to() {
        let moments: Vec<f64> = (0..12).map(restart).collect();
        assert_eq!(moments, [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0]);
        assert_eq!([0.0, 0.9, 5.9, 6.0, 100.0].map(restarts_until), [0, 0, 4, 5, 13]);
        for number in 0..60 {
            let moment = restart(number);
            assert_eq!(
                (restarts_until(moment), restarts_until(moment.next_down().max(0.0))),
                (number, number.saturating_sub(1))
            );
        }
        let shares: f64 = (0..60).map(share_of_restart).sum();
        assert!(shares < 1.0 && shares > 0.98, "{shares}");
    }

    #[test]
    fn a_moment_belongs_to_the_phase_in_which_it_lies() {
        let mut phases = Phases::default();
        assert_eq!(phases.of(0.0), None);
        phases.begin(Phase::Before, 1.0);
        phases.end(Phase::Before, 10.0);
        phases.begin(Phase::During, 10.0);
        assert_eq!(
            [0.5, 1.0, 9.99, 10.0].map(|at| phases.of(at)),
            [None, Some(Phase::Before), Some(Phase::Before), Some(Phase::During)]
        );
        assert_eq!((phases.latest(), phases.open()), (Some(Phase::During), Some(Phase::During)));
        phases.end(Phase::During, 20.0);
        phases.end(Phase::During, 25.0);
        assert_eq!(phases.of(21.0), None);
        assert_eq!((phases.latest(), phases.open()), (Some(Phase::During), None));
    }
}
