use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Percent;

/// How many of those found: all unless told, chosen by the seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pick {
    /// So many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// So large a share, rounded up to whole ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// Never more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
}

impl Pick {
    /// How many of so many; a `count` beyond them is all of them.
    pub fn how_many(&self, of: usize) -> usize {
        let wide = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let share = |percent: Percent| {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 things are picked from")]
            // A hair is taken off so that 10% of 30, 3.0000000000000004 in binary, stays three.
            let exact = percent.fraction() * of as f64 - 1e-9;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `of`")]
            let whole = exact.ceil().max(0.0) as usize;
            whole
        };
        let wanted = match (self.count, self.percent) {
            (Some(count), _) => wide(count),
            (None, Some(percent)) => share(percent),
            (None, None) => of,
        };
        wanted.min(self.at_most.map_or(usize::MAX, wide)).min(of)
    }

    /// Chooses by a seed: the same of the same candidates each time, in the order in which they were given.
    pub fn choose<T>(&self, candidates: Vec<T>, seed: u64) -> Vec<T> {
        let count = self.how_many(candidates.len());
        if count == candidates.len() {
            return candidates;
        }
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
        order.truncate(count);
        candidates.into_iter().enumerate().filter(|(index, _)| order.contains(index)).map(|(_, one)| one).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_rounded_up_and_bounded() {
        let percent = |number, at_most| Pick { percent: Percent::new(number), at_most, count: None };
        for (pick, of, expected) in [
            (Pick::default(), 7, 7),
            (percent(50.0, None), 3, 2),
            (percent(10.0, None), 30, 3),
            (percent(50.0, Some(1)), 100, 1),
            (percent(0.0, None), 5, 0),
            (percent(100.0, None), 5, 5),
            (Pick { count: Some(9), ..Pick::default() }, 4, 4),
            (Pick { count: Some(2), ..Pick::default() }, 4, 2),
        ] {
            assert_eq!(pick.how_many(of), expected, "{pick:?} of {of}");
        }
    }

    proptest! {
        #[test]
        fn the_same_seed_chooses_the_same(seed: u64, of in 0usize..50, count in 0u32..60) {
            let pick = Pick { count: Some(count), ..Pick::default() };
            let candidates: Vec<usize> = (0..of).collect();
            let chosen = pick.choose(candidates.clone(), seed);
            prop_assert_eq!(chosen.len(), pick.how_many(of));
            prop_assert!(chosen.is_sorted());
            prop_assert_eq!(chosen, pick.choose(candidates, seed));
        }
    }

    #[test]
    fn every_candidate_gets_its_turn() {
        let pick = Pick { count: Some(1), ..Pick::default() };
        let mut chosen: Vec<_> = (0..100).flat_map(|seed| pick.choose(vec![0, 1, 2], seed)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen, [0, 1, 2]);
    }
}
