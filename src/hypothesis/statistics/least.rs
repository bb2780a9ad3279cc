//! The least of the evidence of two samples over every `θ`, never overstated.
//!
//! # Why it can be bounded from below
//! Over `θ` the logarithm of the reference's evidence is monotone and convex, and that of the other sample is monotone the
//! other way and convex too. Each is the logarithm of an average of `e^h`, and such an average is monotone if every `h` is,
//! and its logarithm convex if every `h` is (Hölder). With `S` bad and `F` good events the `h` are these:
//!
//! - Of a rate, "below": `S ln u + x (1 - u)` for `u` from 0 to 1, where `x` is what is expected. That is a straight line in
//!   `x` which grows. "Above" has `u > 1`, and lines that fall.
//! - Of a share, "below": with `θ = sin² t` Jeffreys' prior is even in `t`, hence cut at `t` it is `u t` for `u` evenly from
//!   0 to 1, and `h = S ln (sin² ut / sin² t) + F ln (cos² ut / cos² t)`. Its derivative by `θ` is
//!   `(S (u cot ut - cot t) + F (tan t - u tan ut)) · 2 / sin 2t`. The series of `tan x` and of `1/x - cot x` have positive
//!   coefficients only, so that both brackets are sums of `c (1 - u²ᵏ) t²ᵏ⁻¹` with `c > 0`. Divided by `t` they are positive
//!   and grow with `t`, and so does `2t / sin 2t`: the derivative is positive and grows, and `h` grows and is convex in `θ`.
//!   "Above" is the same with bad and good events exchanged, at `1 - θ`.
//!
//! The margin's `g` is a straight line that grows, and the hedge is one more average. Hence the sum of both is convex. On a cell
//! between two points it is at least the reference's evidence at the one end plus the other's at the other end; and it lies
//! above the lines through the two points before the cell and through the two after it. The cell with the least bound is split
//! where these lines meet, until the least bound is close enough to the least value that was found. The bound is the answer,
//! and not the value: what is reported is at most the infimum, to the rounding of the numbers.

use super::comparison::{OF_OTHER, OF_REFERENCE, hedged};

/// The search for the `θ` that both samples contradict least.
///
/// It lies between what the reference itself says (`known`) and the reference to which the other sample belongs
/// (`turn`): on the way the evidence of the reference only grows and that of the other sample only falls. Beyond
/// `known` the first is replaced by its hedge, and beyond `turn` the second: less than the truth, hence still valid.
#[derive(Debug)]
pub(super) struct Search {
    /// Where it begins. May be nearer to `turn` than what the reference says, where the margin leads out of what can be.
    pub(super) known: f64,
    /// Where it ends, above or below.
    pub(super) turn: f64,
    /// The last `θ` there is at all, if the way ends there and not where the other sample says nothing any more.
    pub(super) end: Option<f64>,
    /// The answer need only be on the right side of it; of negative infinity it is the number itself.
    pub(super) enough: f64,
}

/// So much may the answer be below the infimum, in nats.
pub(super) const TOLERANCE: f64 = 1e-6;
/// After so many points the bound is taken as it is.
const MOST_POINTS: usize = 48;
/// A narrower way, relatively, is not divided.
const NARROW: f64 = 1e-9;
/// No part of a split cell is smaller: lines through points that are very close to each other lead astray.
const LEAST_PART: f64 = 0.1;

/// The hedged evidence of both samples for one `θ`.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: f64,
    of_reference: f64,
    of_other: f64,
}

impl Point {
    fn value(&self) -> f64 {
        self.of_reference + self.of_other
    }

    fn slope(&self, next: &Self) -> f64 {
        (next.value() - self.value()) / (next.at - self.at)
    }
}

impl Search {
    /// A lower bound of the infimum, no further below it than [`TOLERANCE`] or than is needed to answer `enough`; or
    /// some number below `enough`, once one is found.
    pub(super) fn least(&self, of_reference: impl Fn(f64) -> f64, of_other: impl Fn(f64) -> f64) -> f64 {
        let of_reference = |at: f64| hedged(OF_REFERENCE, of_reference(at));
        let of_other = |at: f64| hedged(OF_OTHER, of_other(at));
        let (other_at_known, reference_at_turn) = (of_other(self.known), of_reference(self.turn));
        let nothing = (OF_REFERENCE.ln(), OF_OTHER.ln());
        let beyond_turn = reference_at_turn + self.end.map_or(nothing.1, &of_other);
        let beyond = beyond_turn.min(nothing.0 + other_at_known);
        if beyond < self.enough {
            return beyond;
        }
        let point = |at: f64| Point { at, of_reference: of_reference(at), of_other: of_other(at) };
        let middle = point(self.balance(reference_at_turn - nothing.0, other_at_known - nothing.1));
        if middle.value() < self.enough {
            return middle.value();
        }
        let first = Point { at: self.known, of_reference: of_reference(self.known), of_other: other_at_known };
        let last = Point { at: self.turn, of_reference: reference_at_turn, of_other: of_other(self.turn) };
        if (self.turn - self.known).abs() <= NARROW * self.known.max(self.turn) {
            return beyond.min(first.of_reference + last.of_other);
        }
        let mut found = beyond.min(first.value()).min(middle.value()).min(last.value());
        let mut points = vec![first, middle, last];
        loop {
            let cells = (0..points.len() - 1).map(|cell| Cell::new(&points, cell));
            let Some(cell) = cells.min_by(|one, other| one.bound.total_cmp(&other.bound)) else { return beyond };
            let bound = cell.bound.min(beyond);
            let is_enough = self.enough > f64::NEG_INFINITY && bound >= self.enough;
            if is_enough || found < self.enough || found - bound <= TOLERANCE || points.len() >= MOST_POINTS {
                return bound;
            }
            let new = point(cell.split);
            found = found.min(new.value());
            points.insert(cell.number + 1, new);
        }
    }

    /// Where two parabolas meet: by the square root, in which the spread of a count is the same everywhere, evidence grows
    /// about with the square of the distance.
    fn balance(&self, of_reference: f64, of_other: f64) -> f64 {
        let both = of_other + of_reference;
        let part = if both > 0.0 { (of_other / both).clamp(LEAST_PART, 1.0 - LEAST_PART) } else { 0.5 };
        let root = self.known.sqrt() + (self.turn.sqrt() - self.known.sqrt()) * part;
        root * root
    }
}

/// What lies between two neighbouring points.
#[derive(Debug)]
struct Cell {
    number: usize,
    /// Nothing within it is below.
    bound: f64,
    /// Where to split it.
    split: f64,
}

impl Cell {
    fn new(points: &[Point], number: usize) -> Self {
        let (one, other) = (points[number], points[number + 1]);
        let width = other.at - one.at;
        // By how much the lines rise over the whole cell, from the end at which they begin.
        let before = number.checked_sub(1).map(|before| points[before].slope(&one) * width);
        let after = points.get(number + 2).map(|after| other.slope(after) * width);
        let mut part = 0.5;
        let by_lines = match (before, after) {
            (Some(before), _) if before >= 0.0 => one.value(),
            (_, Some(after)) if after <= 0.0 => other.value(),
            (Some(before), Some(after)) => {
                part = (other.value() - one.value() - after) / (before - after);
                one.value() + before * part
            }
            (Some(before), None) => one.value() + before,
            (None, Some(after)) => other.value() - after,
            (None, None) => f64::NEG_INFINITY,
        };
        let by_ends = one.of_reference + other.of_other;
        let bound = by_lines.max(by_ends).min(one.value()).min(other.value());
        Self { number, bound, split: one.at + width * part.clamp(LEAST_PART, 1.0 - LEAST_PART) }
    }
}

#[cfg(test)]
#[path = "least_tests.rs"]
mod tests;
