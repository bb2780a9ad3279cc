//! Streams that are not as random as the tests take them to be: bursts, and signals that are unfit to be judged.
//!
//! The tests take one event to tell nothing of the next. Where bad events come in bursts, the counts of stretches of time
//! vary by more than chance alone: by a factor, the dispersion. Divided by it (quasi-likelihood: McCullagh and Nelder,
//! *Generalized Linear Models*, 1989, 4.5), counts weigh as much as so many independent events would.
//!
//! That is an approximation and not a theorem, and it can correct only what the baseline shows: how often it fails is
//! simulated in `cargo bench --bench error_rates`. Where the baseline is too short for what it shows, the signal is unfit.

/// Fewer blocks tell nothing of how they vary.
const FEWEST_BLOCKS: usize = 8;

/// So many times as long as one block before it are those that are looked at.
const LENGTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Standard deviations above what chance gives from which on a dispersion is believed: one block length in 20 shows as
/// much without a burst. To believe in bursts that are none costs time, not to believe in those that are costs the truth.
const BELIEVED: f64 = 1.64;

/// A baseline shows its bursts smaller than they are: those that are longer than a block count only in part, and its own
/// share of bad events is fitted to them. Simulated: without this factor bursts of half a minute raised twice as many
/// false alarms.
const BEYOND: f64 = 2.0;

/// Bad and good events of one stretch of time after another, all equally long.
pub type Block = super::Events;

/// What the blocks of a baseline say of its bursts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion {
    /// By how many times more the counts vary than chance explains; at least 1.
    pub factor: f64,
    /// Whether the blocks are too few for the longest bursts that they show: the factor still grew with the length of the
    /// block when there were no more blocks.
    pub unfit: bool,
}

impl Dispersion {
    /// No bursts.
    pub const NONE: Self = Self { factor: 1.0, unfit: false };

    /// Of blocks in their order in time: the largest of those found with blocks of one, two, four … of the given length,
    /// since bursts are seen only by blocks that are longer than they are.
    pub fn of(blocks: &[Block]) -> Self {
        let mut found = Self::NONE;
        let mut largest = 1.0_f64;
        for length in LENGTHS {
            let joined: Vec<Block> = blocks.chunks_exact(length).map(joined).collect();
            if joined.len() < FEWEST_BLOCKS {
                break;
            }
            let Some(factor) = factor(&joined) else { continue };
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 blocks")]
            let spread = (2.0 / (joined.len() as f64 - 1.0)).sqrt();
            let believed = factor > 1.0 + BELIEVED * spread;
            let grew = believed && factor > largest * (1.0 + spread);
            if believed {
                largest = largest.max(factor);
                found.factor = BEYOND * largest;
            }
            // The last length at which enough blocks are left.
            found.unfit = grew && joined.len() < 2 * FEWEST_BLOCKS;
        }
        found
    }

    /// Events, worth as many as independent ones would be.
    pub fn deflated(self, events: super::Events) -> super::Events {
        super::Events { bad: events.bad / self.factor, good: events.good / self.factor }
    }
}

fn joined(blocks: &[Block]) -> Block {
    blocks.iter().fold(Block { bad: 0.0, good: 0.0 }, |sum, block| Block {
        bad: sum.bad + block.bad,
        good: sum.good + block.good,
    })
}

/// Pearson's statistic over its degrees of freedom. Nothing where all events are alike.
fn factor(blocks: &[Block]) -> Option<f64> {
    let share = joined(blocks).share()?;
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let filled = blocks.iter().filter(|block| block.bad + block.good > 0.0);
    let (mut sum, mut count) = (0.0, 0.0);
    for block in filled {
        let total = block.bad + block.good;
        sum += (block.bad - share * total).powi(2) / (total * share * (1.0 - share));
        count += 1.0;
    }
    (count > 1.0).then(|| sum / (count - 1.0))
}

/// Whether a baseline, split in two, is found to differ from itself: then the signal is unfit to be compared with it, for
/// what the test would call an effect is there without a fault.
///
/// Blocks are dealt out in halves, the first against the second, and each is tried against the other: "worse by nothing".
/// Each test is given half of the error rate, so that a signal without a trend or long bursts is called unfit with at
/// most that probability.
pub fn differs_from_itself(rule: &dyn super::DecisionRule, blocks: &[Block], error_rate: f64) -> bool {
    let (first, second) = blocks.split_at(blocks.len() / 2);
    // Of each half by itself: what tells them apart is no burst.
    let (one, other) = (Dispersion::of(first), Dispersion::of(second));
    let dispersion = if one.factor > other.factor { one } else { other };
    let (first, second) = (dispersion.deflated(joined(first)), dispersion.deflated(joined(second)));
    let needed = super::threshold(error_rate / 2.0);
    let same = super::Margin { factor: 1.0, plus: 0.0 };
    super::share_is_above(rule, second, first, same, needed) >= needed
        || super::share_is_above(rule, first, second, same, needed) >= needed
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

    const GOLDEN: f64 = 30.240_549_828;

    /// Pearson's statistic by scipy 1.17: `chi2_contingency` of these eight columns gives 30.2405 at 7 degrees of freedom.
    #[test]
    fn agrees_with_scipy() {
        let blocks: Vec<Block> = [0.0, 0.0, 6.0, 0.0, 1.0, 0.0, 5.0, 0.0].map(block).to_vec();
        let found = factor(&blocks).expect("some are bad");
        assert!((found - GOLDEN / 7.0).abs() < 1e-4, "{}", found * 7.0);
    }

    #[test]
    fn chance_alone_is_no_burst() {
        let mut believed = 0;
        for seed in 0..500 {
            let mut chance = ChaCha8Rng::seed_from_u64(seed);
            let blocks: Vec<Block> = (0..60)
                .map(|_| block((0..50).map(|_| f64::from(u8::from(chance.random::<f64>() < 0.02))).sum()))
                .collect();
            believed += u32::from(Dispersion::of(&blocks).factor > 1.0);
        }
        assert!((1..=100).contains(&believed), "{believed} of 500");
    }

    #[test]
    fn bursts_are_seen_by_blocks_that_are_longer() {
        // Four seconds in which a tenth fails, then sixteen without one.
        let blocks: Vec<Block> = (0..120).map(|second| block(if second % 20 < 4 { 5.0 } else { 0.0 })).collect();
        let found = Dispersion::of(&blocks);
        assert!(found.factor > 8.0, "{found:?}");
        let plain = factor(&blocks).expect("some are bad");
        assert!(found.factor > 1.5 * plain, "{found:?} {plain}");
        let deflated = found.deflated(Block { bad: 100.0, good: 900.0 });
        assert!((deflated.share().unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_long_burst_is_more_than_a_baseline_can_tell() {
        let blocks: Vec<Block> = (0..32).map(|second| block(if second < 8 { 5.0 } else { 0.0 })).collect();
        assert!(Dispersion::of(&blocks).unfit);
        assert!(!Dispersion::of(&vec![block(1.0); 32]).unfit);
        assert_eq!(Dispersion::of(&[block(9.0), block(0.0)]), Dispersion::NONE, "two blocks tell nothing");
        assert_eq!(Dispersion::of(&vec![block(0.0); 32]), Dispersion::NONE, "nothing bad, nothing told");
    }

    #[test]
    fn a_baseline_that_gets_worse_by_itself_differs_from_itself() {
        let drift: Vec<Block> = (0..120).map(|second| block(f64::from(second / 15))).collect();
        assert!(differs_from_itself(&SequentialTest, &drift, 0.05));
        let even: Vec<Block> = (0..120).map(|second| block(f64::from(second % 3))).collect();
        assert!(!differs_from_itself(&SequentialTest, &even, 0.05));
    }
}
