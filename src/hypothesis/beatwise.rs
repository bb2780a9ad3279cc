//! Counts by the beat: what tells whether bad events come in bursts, and since when.

use super::bound::Meaning;
use super::statistics::Events;
use super::tally::Counts;

/// The counts of the beats of a phase that hold any reading.
#[derive(Debug, Clone, Default)]
pub(super) struct Beatwise {
    /// With the numbers of the beats, in order.
    beats: Vec<(u32, Counts)>,
}

impl Beatwise {
    /// Adds a reading to its beat.
    pub(super) fn add(&mut self, number: u32, meaning: Meaning) {
        self.beat(number).add(meaning);
    }

    /// Adds what was counted of a beat.
    pub(super) fn join(&mut self, number: u32, counts: Counts) {
        self.beat(number).join(counts);
    }

    /// The counts of a beat, which is mostly the last one.
    fn beat(&mut self, number: u32) -> &mut Counts {
        let place = match self.beats.last() {
            Some((last, _)) if *last == number => self.beats.len() - 1,
            Some((last, _)) if *last > number => self.beats.partition_point(|(found, _)| *found < number),
            _ => self.beats.len(),
        };
        if self.beats.get(place).is_none_or(|(found, _)| *found != number) {
            self.beats.insert(place, (number, Counts::default()));
        }
        &mut self.beats[place].1
    }

    /// Bad and good events by the numbers of their beats, in order.
    pub(super) fn events(&self) -> Vec<(u32, Events)> {
        self.beats.iter().map(|(number, counts)| (*number, counts.events())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_reading_counts_in_its_beat_whatever_came_first(
            readings in proptest::collection::vec((0u32..30, 0.0f64..3.0), 0..200),
        ) {
            let mut beats = Beatwise::default();
            let mut plainly: BTreeMap<u32, Counts> = BTreeMap::new();
            for (number, bad) in readings {
                let meaning = Meaning::Events { bad, total: 3.0 };
                beats.add(number, meaning);
                plainly.entry(number).or_default().add(meaning);
            }
            prop_assert_eq!(beats.beats, plainly.into_iter().collect::<Vec<_>>());
        }
    }
}
