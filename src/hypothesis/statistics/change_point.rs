//! When a stream changed: the time from the injection to the first harm.

use super::Events;

/// A change that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first block of the new behaviour.
    pub block: usize,
    /// How much more likely the blocks are with a change there than without one, as a natural logarithm.
    pub evidence: f64,
    /// The share of bad events from there on.
    pub share: f64,
    /// The first of the blocks among which the change lies with 95%, if each was as likely beforehand.
    pub earliest: usize,
    /// The last of them.
    pub latest: usize,
}

/// With what probability the change lies between the earliest and the latest block.
const CREDIBLE: f64 = 0.95;

/// Where a stream of blocks most likely got worse than a bound, and stayed so to the end of the blocks: the likelihood
/// estimate of the change (Hinkley: Inference about the change-point in a sequence of binomial variables, Biometrika
/// 1970), between "at most at the bound" and "above it".
///
/// This is an estimate of *when*, made after a test has shown *that*: it is not a test. Nothing where no end of the
/// stream is worse than the bound. The interval is what a uniform belief beforehand makes of the likelihoods.
pub fn got_worse(blocks: &[Events], bound: f64) -> Option<Change> {
    let whole = blocks.iter().fold((0.0, 0.0), |(bad, good), block| (bad + block.bad, good + block.good));
    let (mut bad, mut good) = (0.0, 0.0);
    let mut found: Vec<(usize, f64, f64)> = Vec::new();
    for (index, block) in blocks.iter().enumerate().rev() {
        (bad, good) = (bad + block.bad, good + block.good);
        // A stream does not get worse with a block in which nothing bad came.
        if block.bad <= 0.0 {
            continue;
        }
        let share = bad / (bad + good);
        if share <= bound {
            continue;
        }
        let before = (whole.0 - bad, whole.1 - good);
        let share_before = (before.0 / (before.0 + before.1).max(1e-12)).min(bound);
        let evidence = likelihood(bad, good, share) + likelihood(before.0, before.1, share_before);
        let evidence = evidence - likelihood(whole.0, whole.1, (whole.0 / (whole.0 + whole.1)).min(bound));
        found.push((index, evidence, share));
    }
    found.sort_by(|one, other| other.1.total_cmp(&one.1));
    let (block, evidence, share) = *found.first()?;
    // The likelihood of each block beside that of the likeliest: its probability, but for a constant.
    let all: f64 = found.iter().map(|(_, other, _)| (other - evidence).exp()).sum();
    let (mut earliest, mut latest, mut sum) = (block, block, 0.0);
    for (index, other, _) in &found {
        (earliest, latest) = (earliest.min(*index), latest.max(*index));
        sum += (other - evidence).exp() / all;
        if sum >= CREDIBLE {
            break;
        }
    }
    Some(Change { block, evidence, share, earliest, latest })
}

/// The log-likelihood of so many bad and good events.
fn likelihood(bad: f64, good: f64, share: f64) -> f64 {
    let term = |count: f64, chance: f64| if count > 0.0 { count * chance.max(1e-300).ln() } else { 0.0 };
    term(bad, share) + term(good, 1.0 - share)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn stream(shares: &[(usize, f64)], seed: u64) -> Vec<Events> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let shares = shares.iter().flat_map(|(count, share)| std::iter::repeat_n(*share, *count));
        shares
            .map(|share| {
                let bad = (0..50).map(|_| f64::from(u8::from(chance.random::<f64>() < share))).sum();
                Events { bad, good: 50.0 - bad }
            })
            .collect()
    }

    #[test]
    fn finds_the_second_at_which_errors_began() {
        let (mut off, mut held) = (Vec::new(), 0);
        for seed in 0..200 {
            let change = got_worse(&stream(&[(12, 0.001), (40, 0.10)], seed), 0.01).expect("it got worse");
            off.push(change.block.abs_diff(12));
            held += u32::from((change.earliest..=change.latest).contains(&12));
            assert!(change.latest - change.earliest <= 8, "{change:?}");
            assert!((change.share - 0.1).abs() < 0.03 && change.evidence > 20.0, "{change:?}");
        }
        off.sort_unstable();
        assert!(held >= 190, "the interval holds the truth in {held} of 200");
        assert!(off[100] == 0 && off[190] <= 2, "median off by {}, 95% by {}", off[100], off[190]);
    }

    #[test]
    fn an_outage_from_the_start_began_at_the_start_and_health_never_breaks() {
        assert_eq!(got_worse(&stream(&[(20, 1.0)], 1), 0.01).map(|change| change.block), Some(0));
        assert_eq!(got_worse(&stream(&[(20, 0.0)], 1), 0.01), None);
        assert_eq!(got_worse(&[], 0.01), None);
    }
}
