//! Streams that are not as random as the tests take them to be: bursts, and signals that are unfit to be judged.
//!
//! The tests take one event to tell nothing of the next. Where bad events come in bursts, the counts of stretches of time
//! vary by more than chance alone: by a factor, the dispersion. Divided by it (quasi-likelihood: McCullagh and Nelder,
//! *Generalized Linear Models*, 1989, 4.5), counts weigh as much as so many independent events would.
//!
//! That is an approximation and not a theorem, and it can correct only what the baseline shows: how often it fails is
//! simulated in `cargo bench --bench error_rates`. Where the baseline is too short for what it shows, the signal is unfit
//! ([`unfit`](super::unfit)).

/// Fewer blocks tell nothing of how they vary.
pub(super) const FEWEST_BLOCKS: usize = 8;

/// So many times as long as one block before it are those that are looked at.
const LENGTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Standard deviations above what chance gives from which on a dispersion is believed: one block length in 40 shows as
/// much without a burst. To believe in bursts that are none costs time, not to believe in those that are costs the truth.
const BELIEVED: f64 = 2.0;

/// The quantile of the normal distribution to which the upper bound of a dispersion belongs: 99%.
const UPPER: f64 = 2.33;

/// A baseline shows its bursts smaller than they are: those that are longer than a block count only in part, and its own
/// share of bad events is fitted to them. Simulated: without this factor bursts of half a minute raised twice as many
/// false alarms.
const BEYOND: f64 = 2.0;

/// Bad and good events of one stretch of time after another, all equally long.
pub type Block = super::Events;

/// What the blocks of a baseline say of its bursts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion {
    /// By how many times more the counts vary than chance explains, with room for what the baseline does not show; at
    /// least 1.
    pub factor: f64,
}

impl Dispersion {
    /// No bursts.
    pub const NONE: Self = Self { factor: 1.0 };

    /// Of blocks in their order in time: the largest of those found with blocks of one, two, four … of the given length,
    /// since bursts are seen only by blocks that are longer than they are. Of each the upper bound is taken: eight blocks
    /// may well show a sixth of what there is.
    pub fn of(blocks: &[Block]) -> Self {
        let believed =
            factors(blocks).into_iter().filter(|(_, count, factor)| *factor > 1.0 + BELIEVED * spread(*count));
        let factor = believed.map(|(_, count, factor)| BEYOND * factor * upper_bound(count)).fold(1.0, f64::max);
        Self { factor }
    }

    /// Events, worth as many as independent ones would be.
    pub fn deflated(self, events: super::Events) -> super::Events {
        super::Events { bad: events.bad / self.factor, good: events.good / self.factor }
    }
}

/// How many blocks were joined to one, how many of those there are, and by what factor they vary: for each length of
/// which there are enough.
pub(super) fn factors(blocks: &[Block]) -> Vec<(usize, usize, f64)> {
    let joined = LENGTHS.iter().map(|length| (*length, blocks.chunks_exact(*length).map(joined).collect::<Vec<_>>()));
    let enough = joined.take_while(|(_, joined)| joined.len() >= FEWEST_BLOCKS);
    enough.filter_map(|(length, joined)| Some((length, joined.len(), factor(&joined)?))).collect()
}

/// The standard deviation of the factor of so many blocks that vary by chance alone.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 blocks")]
pub(super) fn spread(count: usize) -> f64 {
    (2.0 / (count as f64 - 1.0)).sqrt()
}

/// So many times as large as the factor that so many blocks show may the true one be, with 99%: degrees of freedom over
/// the lower quantile of chi-square (Wilson and Hilferty, 1931).
#[expect(clippy::cast_precision_loss, reason = "as above")]
fn upper_bound(count: usize) -> f64 {
    let part = 2.0 / (9.0 * (count as f64 - 1.0));
    (1.0 - part - UPPER * part.sqrt()).powi(-3)
}

pub(super) fn joined(blocks: &[Block]) -> Block {
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

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
    fn what_tells_nothing_is_no_burst() {
        assert_eq!(Dispersion::of(&[block(9.0), block(0.0)]), Dispersion::NONE, "two blocks tell nothing");
        assert_eq!(Dispersion::of(&vec![block(0.0); 32]), Dispersion::NONE, "nothing bad, nothing told");
    }

    /// From tables of chi-square: the lower 1% is 1.239 at 7 degrees of freedom, and 37.485 at 60.
    #[test]
    fn few_blocks_may_show_a_sixth_of_what_there_is() {
        assert!((upper_bound(8) / (7.0 / 1.239) - 1.0).abs() < 0.05, "{}", upper_bound(8));
        assert!((upper_bound(61) / (60.0 / 37.485) - 1.0).abs() < 0.005, "{}", upper_bound(61));
    }
}
