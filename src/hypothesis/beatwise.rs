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
    /// Adds a reading to its beat, which is mostly the last one.
    pub(super) fn add(&mut self, number: u32, meaning: Meaning) {
        if let Some((last, counts)) = self.beats.last_mut()
            && *last == number
        {
            counts.add(meaning);
            return;
        }
        let place = match self.beats.binary_search_by_key(&number, |(found, _)| *found) {
            Ok(place) => place,
            Err(place) => {
                self.beats.insert(place, (number, Counts::default()));
                place
            }
        };
        if let Some((_, counts)) = self.beats.get_mut(place) {
            counts.add(meaning);
        }
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
