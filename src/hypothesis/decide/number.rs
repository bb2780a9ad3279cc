//! Numbers that are read again and again: the use of a resource, a value.
//!
//! A reading is what the kernel or a program says of itself, not a draw from many, so nothing is inferred and no error
//! rate applies. Two rules together decide:
//! - the mean over the phase, each reading weighted by the time for which it stands, must lie on the right side. One
//!   reading alone decides nothing: a processor that is busy for a second is no outage;
//! - and no unbroken run of readings may be on the wrong side for ten seconds or longer (and at least three readings):
//!   in a long phase the mean alone would hide half a minute of a full disk.
//!
//! Fewer than three readings show nothing.

use super::{Cause, Outcome, Window, gaps, nothing};
use crate::hypothesis::bound::Bound;
use crate::hypothesis::verdict::Verdict;

/// Readings that a verdict needs.
const FEWEST: usize = 3;

/// Seconds on the wrong side without a break that violate an objective.
const LONGEST_RUN: f64 = 10.0;

pub(super) fn decide(bound: Bound, window: &Window<'_>) -> Outcome {
    if let Some(nothing) = nothing(window) {
        return nothing;
    }
    let Some(mean) = mean(window) else {
        return Outcome::new(Verdict::NoData, Cause::NothingCame);
    };
    if let Some((from, to)) = longest_run(bound, window) {
        return Outcome::new(Verdict::Violated, Cause::Sustained(from, to));
    }
    let enough = window.numbers.len() >= FEWEST;
    if enough && bound.is_outside(mean) {
        return Outcome::new(Verdict::Violated, Cause::Shown);
    }
    if let Some(gaps) = gaps(window) {
        return gaps;
    }
    if enough {
        Outcome::new(Verdict::Held, Cause::Shown)
    } else {
        Outcome::new(Verdict::Inconclusive, Cause::FewReadings)
    }
}

/// The mean by time: each reading stands for the time since the one before it, at most for two intervals.
pub(in crate::hypothesis) fn mean(window: &Window<'_>) -> Option<f64> {
    let (sum, time) =
        weighted(window).fold((0.0, 0.0), |(sum, time), (_, number, weight)| (sum + number * weight, time + weight));
    (time > 0.0).then(|| sum / time)
}

/// The readings with the time for which each one stands.
fn weighted(window: &Window<'_>) -> impl Iterator<Item = (f64, f64, f64)> {
    let interval = window.interval.max(1e-3);
    let mut before: Option<f64> = None;
    window.numbers.iter().map(move |(at, number)| {
        let weight = before.map_or(interval, |before| (at - before).clamp(1e-6, 2.0 * interval));
        before = Some(*at);
        (*at, *number, weight)
    })
}

/// The first run of readings on the wrong side that is long enough: when it began and when it was last seen.
fn longest_run(bound: Bound, window: &Window<'_>) -> Option<(f64, f64)> {
    let mut run: Option<(f64, f64, usize)> = None;
    for (at, number, weight) in weighted(window) {
        if !bound.is_outside(number) {
            run = None;
            continue;
        }
        let (begin, time, readings) = run.unwrap_or((at, 0.0, 0));
        run = Some((begin, time + weight, readings + 1));
        if time + weight >= LONGEST_RUN && readings + 1 >= FEWEST {
            return Some((begin, at));
        }
    }
    None
}
