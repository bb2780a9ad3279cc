//! Whether a signal can be judged at the stated error rate at all: what its baseline says against it.
//!
//! Two things are asked of the baseline, each at half of the error rate given:
//! - *bursts as long as the baseline*: at the longest blocks of which there are eight or more, counts vary by more than
//!   chance explains, and by more than those of shorter blocks. Then the dispersion had not stopped growing when the
//!   blocks ran out, and nobody knows how large it is;
//! - *the A/A test*: the baseline in two halves, each tried against the other as if it were the fault. What is called an
//!   effect there would be called one without a fault.
//!
//! Asked of a baseline that is too short to tell (fewer than eight blocks, or fewer bad events than blocks), the first
//! says nothing; the second is a test of two samples, and says nothing by itself where there is little. Fewer than five
//! bad events say nothing at all.

use statrs::function::erf::erfc_inv;

use super::dispersion::{FEWEST_BLOCKS, factors, joined, spread};
use super::{Block, DecisionRule, Dispersion, Margin, share_is_above, threshold};

/// Fewer bad events say nothing of how they come.
pub const FEWEST_BAD: f64 = 5.0;

/// Why a signal is unfit to be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unfit {
    /// Its bad events come in bursts that are too long for the baseline.
    Bursts {
        /// By how many times more than by chance the longest blocks vary.
        factor: f64,
        /// How many blocks in a row were joined to one.
        length: usize,
    },
    /// The baseline differs from itself.
    Drift {
        /// The share of bad events in its first half.
        first: f64,
        /// And in its second.
        second: f64,
    },
}

/// What stands against a signal, by the blocks of its baseline in their order in time.
///
/// A stream without bursts or trend is called unfit with about the error rate given at most: the A/A test is exact, and
/// of the bursts the approximation of Pearson's statistic by the chi-square distribution (Wilson and Hilferty 1931).
pub fn unfit(rule: &dyn DecisionRule, blocks: &[Block], error_rate: f64) -> Option<Unfit> {
    if joined(blocks).bad < FEWEST_BAD {
        return None;
    }
    long_bursts(blocks, error_rate / 2.0).or_else(|| drift(rule, blocks, error_rate / 2.0))
}

fn long_bursts(blocks: &[Block], error_rate: f64) -> Option<Unfit> {
    let found = factors(blocks);
    let ((length, count, factor), shorter) = found.split_last()?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 blocks")]
    let (enough, freedom) = (*count as f64, *count as f64 - 1.0);
    if *count >= 2 * FEWEST_BLOCKS || joined(blocks).bad < enough {
        return None;
    }
    let largest = shorter.iter().fold(1.0_f64, |largest, (_, _, factor)| largest.max(*factor));
    // The quantile of the normal distribution.
    let deviations = std::f64::consts::SQRT_2 * erfc_inv(2.0 * error_rate);
    let part = 2.0 / (9.0 * freedom);
    let by_chance = (1.0 - part + deviations * part.sqrt()).powi(3);
    let is_long = *factor > by_chance && *factor > largest * (1.0 + spread(*count));
    is_long.then_some(Unfit::Bursts { factor: *factor, length: *length })
}

/// Whether a baseline, split in two, is found to differ from itself. Each half against the other gets half of the error
/// rate, so that a signal without a trend or long bursts is called unfit with at most that probability.
fn drift(rule: &dyn DecisionRule, blocks: &[Block], error_rate: f64) -> Option<Unfit> {
    let (one, other) = blocks.split_at(blocks.len() / 2);
    let (first, second) = (joined(one), joined(other));
    // Within two standard deviations of each other no test tells them apart, and most baselines are.
    let all = joined(blocks);
    let (share, difference) = (all.share()?, first.share()? - second.share()?);
    let variance = share * (1.0 - share) * (1.0 / (first.bad + first.good) + 1.0 / (second.bad + second.good));
    if difference * difference <= 4.0 * variance {
        return None;
    }
    // Of each half by itself: what tells them apart is no burst.
    let (one, other) = (Dispersion::of(one), Dispersion::of(other));
    let dispersion = if one.factor > other.factor { one } else { other };
    let needed = threshold(error_rate / 2.0);
    let same = Margin { factor: 1.0, plus: 0.0 };
    let is_worse =
        |here, than| share_is_above(rule, dispersion.deflated(here), dispersion.deflated(than), same, needed) >= needed;
    let differs = is_worse(second, first) || is_worse(first, second);
    differs.then_some(Unfit::Drift { first: first.share()?, second: second.share()? })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::hypothesis::statistics::SequentialTest;

    fn block(bad: f64) -> Block {
        Block { bad, good: 50.0 - bad }
    }

    #[test]
    fn one_long_burst_is_more_than_a_baseline_can_tell() {
        let blocks: Vec<Block> = (0..32).map(|second| block(if second < 8 { 5.0 } else { 0.0 })).collect();
        let found = unfit(&SequentialTest, &blocks, 0.005);
        assert!(matches!(found, Some(Unfit::Bursts { length: 4, factor }) if factor > 10.0), "{found:?}");
        for fit in [vec![block(1.0); 32], vec![block(0.0); 32], vec![block(9.0), block(0.0)], Vec::new()] {
            assert_eq!(unfit(&SequentialTest, &fit, 0.005), None);
        }
    }

    #[test]
    fn a_baseline_that_gets_worse_by_itself_differs_from_itself() {
        let halves: Vec<Block> = (0..120_u32).map(|second| block(f64::from(second / 60 * 3))).collect();
        let found = drift(&SequentialTest, &halves, 0.0025);
        assert_eq!(found, Some(Unfit::Drift { first: 0.0, second: 0.06 }));
        let even: Vec<Block> = (0..120_u32).map(|second| block(f64::from(second % 3))).collect();
        assert_eq!(unfit(&SequentialTest, &even, 0.005), None);
    }

    /// Nothing but chance: of baselines of many lengths and paces hardly any is called unfit. Seeded.
    #[test]
    fn what_is_random_alone_is_fit() {
        for (seconds, share) in [(10, 0.02), (30, 0.002), (30, 0.02), (60, 0.005), (60, 0.2), (120, 0.002)] {
            let called = (0..600_u64).filter(|seed| {
                let mut chance = ChaCha8Rng::seed_from_u64(*seed);
                let blocks: Vec<Block> = (0..seconds)
                    .map(|_| block((0..50).map(|_| f64::from(u8::from(chance.random::<f64>() < share))).sum()))
                    .collect();
                unfit(&SequentialTest, &blocks, 0.01).is_some()
            });
            // 6 of 600 are stated.
            assert!(called.count() <= 9, "{seconds} s at {share}");
        }
    }
}
