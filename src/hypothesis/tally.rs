//! What adds up: counts of events and a table of latencies. Sums do not depend on the order of what is added, to the
//! last bit, so that a run judged again from its journal gets the same verdicts.

use std::collections::BTreeMap;

use super::bound::Meaning;
use super::statistics::{Events, Ranked};

/// One event in the fixed-point numbers in which counts are kept (Prometheus may count fractions).
const ONE: f64 = 1e6;

/// A moment, a latency or a reading as the judge takes it: to twelve significant digits. A number that went through the
/// text of the journal may come back one unit in the last place off; here that makes no difference.
pub(super) fn rounded(number: f64) -> f64 {
    let size = number.abs();
    if (1e-6..1e6).contains(&size) {
        // What nearly every number is, seventeen times as fast as by its logarithm, and the same to the last bit.
        let decade = DECADES.iter().position(|(end, _)| size < *end);
        if let Some((_, unit)) = decade.and_then(|decade| DECADES.get(decade)) {
            return (number * unit).round() / unit;
        }
    }
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 11.0 - number.abs().log10().floor().clamp(-290.0, 290.0);
    #[expect(clippy::cast_possible_truncation, reason = "clamped above")]
    let digits = digits as i32;
    if digits >= 0 {
        let unit = 10_f64.powi(digits);
        (number * unit).round() / unit
    } else {
        let unit = 10_f64.powi(-digits);
        (number / unit).round() * unit
    }
}

/// Where a decade ends, from 10^-6 on, and by what its numbers are multiplied to be whole at twelve digits.
const DECADES: [(f64, f64); 12] = [
    (1e-5, 1e17),
    (1e-4, 1e16),
    (1e-3, 1e15),
    (1e-2, 1e14),
    (1e-1, 1e13),
    (1e0, 1e12),
    (1e1, 1e11),
    (1e2, 1e10),
    (1e3, 1e9),
    (1e4, 1e8),
    (1e5, 1e7),
    (1e6, 1e6),
];

/// Events and readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    bad: u64,
    total: u64,
    /// Readings that could be used.
    pub(super) readings: u32,
    /// Readings that could not.
    pub(super) missing: u32,
}

impl Counts {
    pub(super) fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Events { bad, total } => {
                self.bad = self.bad.saturating_add(fixed(bad));
                self.total = self.total.saturating_add(fixed(total));
                self.readings += 1;
            }
            Meaning::Number(_) => self.readings += 1,
            Meaning::Missing => self.missing += 1,
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.bad = self.bad.saturating_add(other.bad);
        self.total = self.total.saturating_add(other.total);
        self.readings += other.readings;
        self.missing += other.missing;
    }

    /// Bad events.
    pub(super) fn bad(self) -> f64 {
        float(self.bad)
    }

    /// All events. Two counters are not read at the same instant, so `bad` may run ahead for a moment; it never
    /// exceeds the total here.
    pub(super) fn total(self) -> f64 {
        float(self.total.max(self.bad))
    }

    /// Good events.
    pub(super) fn good(self) -> f64 {
        float(self.total.saturating_sub(self.bad))
    }

    /// Bad and good events.
    pub(super) fn events(self) -> Events {
        Events { bad: self.bad(), good: self.good() }
    }

    /// The share of bad events, where there were any events.
    pub(super) fn share(self) -> Option<f64> {
        (self.total() > 0.0).then(|| self.bad() / self.total())
    }

    /// The share of readings that could not be used.
    pub(super) fn missing_share(self) -> f64 {
        f64::from(self.missing) / f64::from((self.missing + self.readings).max(1))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
fn fixed(count: f64) -> u64 {
    (count.clamp(0.0, 1e12) * ONE).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 9 thousand million events, beyond that to 16 digits")]
fn float(count: u64) -> f64 {
    count as f64 / ONE
}

/// Latencies to three significant digits, in microseconds, and failures beyond all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    found: BTreeMap<u64, u64>,
    answered: u64,
    failed: u64,
}

impl Latencies {
    pub(super) fn add(&mut self, seconds: f64, failed: bool) {
        if failed {
            self.failed += 1;
        } else {
            *self.found.entry(three_digits(fixed(seconds))).or_default() += 1;
            self.answered += 1;
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (latency, count) in &other.found {
            *self.found.entry(*latency).or_default() += count;
        }
        self.answered += other.answered;
        self.failed += other.failed;
    }

    /// The quantile in seconds: the smallest latency that so large a share of all requests did not exceed. Nothing
    /// where there were no requests, infinity where that request failed.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        let all = self.answered + self.failed;
        if all == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rank among at most 2^53 requests")]
        let wanted = quantile * all as f64 - 1e-9;
        let mut rank = 0.0;
        for (latency, count) in &self.found {
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let step = *count as f64;
            rank += step;
            if rank >= wanted {
                return Some(float(*latency));
            }
        }
        Some(f64::INFINITY)
    }

    /// Each latency in seconds with how often it came, for the tests.
    pub(super) fn ranked(&self) -> Ranked {
        Ranked::new(self.found.iter().map(|(latency, count)| (float(*latency), *count)), self.failed)
    }

    /// How many failed.
    pub(super) fn failed(&self) -> u64 {
        self.failed
    }
}

/// Rounds to three significant decimal digits.
fn three_digits(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 1_000 {
        unit *= 10;
    }
    (number + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_failure_is_slower_than_everything() {
        let mut latencies = Latencies::default();
        for _ in 0..98 {
            latencies.add(0.0123, false);
        }
        latencies.add(0.001, true);
        latencies.add(0.001, true);
        assert_eq!(latencies.quantile(0.98), Some(0.0123));
        assert_eq!(latencies.quantile(0.99), Some(f64::INFINITY));
        assert_eq!(Latencies::default().quantile(0.5), None);
    }

    #[test]
    fn a_unit_in_the_last_place_makes_no_difference() {
        for number in [1.0 / 3.0, 12_345.678_9, 1e-7, -2.5, 86_400.123_456_789, 1e15, 4e-300] {
            let once = rounded(number);
            assert_eq!((rounded(number.next_up()), rounded(number.next_down()), rounded(once)), (once, once, once));
            assert!((once - number).abs() <= number.abs() * 1e-11, "{number} became {once}");
        }
        assert_eq!(rounded(0.0), 0.0);
        // At the edges of the decades and of the table, as elsewhere: twelve digits.
        for exponent in -8..8 {
            for digits in [1.0, 9.999_999_999_99, 1.234_567_890_123_4] {
                let number = digits * 10_f64.powi(exponent);
                let text: f64 = format!("{number:.11e}").parse().expect("a number");
                let off = (rounded(number) - text).abs();
                assert!(off <= number * 1e-15, "{number} became {} and not {text}", rounded(number));
            }
        }
    }

    #[test]
    fn bad_events_never_exceed_all() {
        let mut counts = Counts::default();
        counts.add(Meaning::Events { bad: 3.0, total: 2.0 });
        assert_eq!((counts.bad(), counts.total(), counts.good()), (3.0, 3.0, 0.0));
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_to_three_digits(mut latencies in proptest::collection::vec(0.000_1f64..30.0, 1..400), quantile in 0.01f64..0.999) {
            let mut table = Latencies::default();
            for latency in &latencies {
                table.add(*latency, false);
            }
            latencies.sort_by(f64::total_cmp);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a test of small numbers")]
            let exact = latencies[((quantile * latencies.len() as f64 - 1e-9).ceil() as usize).max(1) - 1];
            let found = table.quantile(quantile).expect("there are some");
            prop_assert!((found - exact).abs() <= exact * 0.005_1 + 1e-6, "{found} is not {exact}");
        }

        #[test]
        fn sums_do_not_depend_on_the_order(events in proptest::collection::vec((0.0f64..10.0, 0.0f64..100.0), 0..50)) {
            let sum = |events: &mut dyn Iterator<Item = &(f64, f64)>| {
                let mut counts = Counts::default();
                events.for_each(|(bad, total)| counts.add(Meaning::Events { bad: *bad, total: *total }));
                counts
            };
            prop_assert_eq!(sum(&mut events.iter()), sum(&mut events.iter().rev()));
        }
    }
}
