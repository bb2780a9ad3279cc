//! What adds up: counts of events and a table of latencies. Sums do not depend on the order of what is added, to the
//! last bit, so that a run judged again from its journal gets the same verdicts.

mod latencies;
mod rounding;

pub(super) use latencies::Latencies;
pub(super) use rounding::rounded;

use super::bound::Meaning;
use super::statistics::Events;

/// One event in the fixed-point numbers in which counts are kept (Prometheus may count fractions).
const ONE: f64 = 1e6;

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

/// The nearest number that is kept, halves upwards.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to a range that fits; what is beyond 2^52 is whole"
)]
fn fixed(count: f64) -> u64 {
    // What nearly every count is.
    if count == 0.0 || count == 1.0 {
        return if count == 0.0 { 0 } else { ONE as u64 };
    }
    let exact = count.clamp(0.0, 1e12) * ONE;
    let below = exact as u64;
    below + u64::from(exact - below as f64 >= 0.5)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 9 thousand million events, beyond that to 16 digits")]
fn float(count: u64) -> f64 {
    count as f64 / ONE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bad_events_never_exceed_all() {
        let mut counts = Counts::default();
        counts.add(Meaning::Events { bad: 3.0, total: 2.0 });
        assert_eq!((counts.bad(), counts.total(), counts.good()), (3.0, 3.0, 0.0));
    }

    proptest! {
        #[test]
        fn counts_are_kept_to_a_millionth(count in prop_oneof![0.0f64..10.0, 0.0f64..1e13, -5.0f64..0.0, Just(f64::NAN)]) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
            let plainly = (count.clamp(0.0, 1e12) * ONE).round() as u64;
            prop_assert_eq!(fixed(count), plainly);
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
