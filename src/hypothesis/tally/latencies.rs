//! A table of latencies.

use super::{fixed, float};
use crate::hypothesis::statistics::Ranked;

/// Latencies to three significant digits, in microseconds, and failures beyond all of them.
///
/// However many requests there are, there are at most 900 different latencies a decade.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::hypothesis) struct Latencies {
    /// Each latency that was found with how often it was, the shortest first.
    found: Vec<(u64, u64)>,
    answered: u64,
    failed: u64,
}

impl Latencies {
    pub(in crate::hypothesis) fn add(&mut self, seconds: f64, failed: bool) {
        if failed {
            self.failed += 1;
            return;
        }
        self.answered += 1;
        let latency = three_digits(fixed(seconds));
        match self.found.binary_search_by_key(&latency, |(found, _)| *found) {
            Ok(place) => {
                if let Some((_, count)) = self.found.get_mut(place) {
                    *count += 1;
                }
            }
            Err(place) => self.found.insert(place, (latency, 1)),
        }
    }

    pub(in crate::hypothesis) fn join(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        if self.found.is_empty() {
            self.found.clone_from(&other.found);
            return;
        }
        if other.found.is_empty() {
            return;
        }
        let mut joined = Vec::with_capacity(self.found.len() + other.found.len());
        let mut theirs = other.found.iter().copied().peekable();
        for (latency, mut count) in self.found.drain(..) {
            while let Some(shorter) = theirs.next_if(|(other, _)| *other < latency) {
                joined.push(shorter);
            }
            if let Some((_, more)) = theirs.next_if(|(other, _)| *other == latency) {
                count += more;
            }
            joined.push((latency, count));
        }
        joined.extend(theirs);
        self.found = joined;
    }

    /// The quantile in seconds: the smallest latency that so large a share of all requests did not exceed. Nothing
    /// where there were no requests, infinity where that request failed.
    pub(in crate::hypothesis) fn quantile(&self, quantile: f64) -> Option<f64> {
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
    pub(in crate::hypothesis) fn ranked(&self) -> Ranked {
        Ranked::new(self.found.iter().map(|(latency, count)| (float(*latency), *count)), self.failed)
    }

    /// How many failed.
    pub(in crate::hypothesis) fn failed(&self) -> u64 {
        self.failed
    }
}

/// Rounds to three significant decimal digits.
fn three_digits(number: u64) -> u64 {
    let mut unit = 1;
    while number >= 1_000 * unit {
        unit *= 10;
    }
    (number + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
    fn three_digits_are_kept_of_every_size() {
        let known = [(0, 0), (999, 999), (1_000, 1_000), (1_005, 1_010), (123_456, 123_000), (999_999, 1_000_000)];
        assert_eq!(known.map(|(number, _)| three_digits(number)), known.map(|(_, rounded)| rounded));
        assert_eq!(three_digits(fixed(f64::MAX)), 1_000_000_000_000_000_000);
    }

    /// Of latencies in seconds, and of some whether they failed.
    fn some() -> impl Strategy<Value = Vec<(f64, bool)>> {
        proptest::collection::vec((prop_oneof![0.000_1f64..30.0, 0.0201f64..0.0209], prop::bool::weighted(0.1)), 0..300)
    }

    fn table(latencies: &[(f64, bool)]) -> Latencies {
        let mut table = Latencies::default();
        latencies.iter().for_each(|(latency, failed)| table.add(*latency, *failed));
        table
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
        fn the_table_counts_each_latency_in_order(latencies in some()) {
            let mut counted = BTreeMap::new();
            for (latency, _) in latencies.iter().filter(|(_, failed)| !failed) {
                *counted.entry(three_digits(fixed(*latency))).or_insert(0) += 1;
            }
            prop_assert_eq!(table(&latencies).found, counted.into_iter().collect::<Vec<(u64, u64)>>());
        }

        #[test]
        fn two_tables_joined_are_the_table_of_all(one in some(), other in some()) {
            let all = table(&[one.as_slice(), other.as_slice()].concat());
            let (one, other) = (table(&one), table(&other));
            for (first, second) in [(&one, &other), (&other, &one)] {
                let mut joined = first.clone();
                joined.join(second);
                prop_assert_eq!(&joined, &all);
            }
        }
    }
}
