//! How far readings moved: the Hodges–Lehmann shift, with an interval that knows of autocorrelation.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Interval;

/// A shift between two series of readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The median of all differences between a reading of the one and a reading of the other (Hodges and Lehmann, Annals
    /// of Mathematical Statistics 1963).
    pub estimate: f64,
    /// Where it lies with about the asked probability, by percentiles of a moving-block bootstrap (Künsch, Annals of
    /// Statistics 1989), widened for what blocks of few readings leave out. For one look at the end of a run; not for
    /// repeated looks.
    pub interval: Interval,
    /// How many readings in a row were drawn together.
    pub block: usize,
}

/// Resamples of the bootstrap.
const RESAMPLES: usize = 200;
/// Of more readings than this of one series, evenly chosen ones are compared: the median of a million differences is as
/// good as it gets.
const MOST: usize = 120;
/// Fewer readings have no distribution.
const FEWEST: usize = 5;

/// How far `here` lies above `reference`, both in the order of time. Seeded, so that the same readings give the same
/// interval. Nothing of fewer than five readings.
pub fn shift(here: &[f64], reference: &[f64], error_rate: f64, seed: u64) -> Option<Shift> {
    if here.len() < FEWEST || reference.len() < FEWEST || here.iter().chain(reference).any(|one| !one.is_finite()) {
        return None;
    }
    let (here, reference) = (thinned(here), thinned(reference));
    let mut differences = Vec::with_capacity(here.len() * reference.len());
    let estimate = median_difference(&here, &reference, &mut differences);
    let blocks = (block_length(&here), block_length(&reference));
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut shifts: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (here, reference) =
                (resampled(&here, blocks.0, &mut chance), resampled(&reference, blocks.1, &mut chance));
            median_difference(&here, &reference, &mut differences)
        })
        .collect();
    shifts.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
        let place = (share * (shifts.len() - 1) as f64).round() as usize;
        shifts.get(place).copied().unwrap_or(estimate)
    };
    // Towards both sides by as much as the blocks fall short.
    let widened = widening(&here, blocks.0).max(widening(&reference, blocks.1));
    let (below, above) = (estimate - at(error_rate / 2.0), at(1.0 - error_rate / 2.0) - estimate);
    let interval = Interval { low: estimate - widened * below.max(0.0), high: estimate + widened * above.max(0.0) };
    Some(Shift { estimate, interval, block: blocks.0.max(blocks.1) })
}

fn thinned(series: &[f64]) -> Vec<f64> {
    let step = series.len().div_ceil(MOST);
    series.iter().step_by(step.max(1)).copied().collect()
}

fn median_difference(here: &[f64], reference: &[f64], differences: &mut Vec<f64>) -> f64 {
    differences.clear();
    differences.extend(here.iter().flat_map(|one| reference.iter().map(move |other| one - other)));
    let middle = differences.len() / 2;
    let even = differences.len().is_multiple_of(2);
    let (lower, upper, _) = differences.select_nth_unstable_by(middle, f64::total_cmp);
    if !even {
        return *upper;
    }
    lower.iter().copied().reduce(f64::max).map_or(*upper, |lower| f64::midpoint(lower, *upper))
}

/// The cube root of the number of readings, and no less than the readings after which they no longer resemble
/// themselves; at most a quarter of them all.
pub fn block_length(series: &[f64]) -> usize {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let root = (series.len() as f64).cbrt().ceil() as usize;
    root.max(autocorrelation_length(series)).min(series.len() / 4).max(1)
}

/// The first distance at which readings are no more alike than chance makes them (two standard errors of white noise,
/// Bartlett).
fn autocorrelation_length(series: &[f64]) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 readings")]
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let spread: f64 = series.iter().map(|one| (one - mean).powi(2)).sum();
    if spread <= 0.0 {
        return 1;
    }
    (1..series.len() / 2)
        .find(|lag| {
            let pairs = series.iter().zip(series.iter().skip(*lag));
            let alike: f64 = pairs.map(|(one, later)| (one - mean) * (later - mean)).sum();
            alike / spread < 2.0 / count.sqrt()
        })
        .unwrap_or(series.len() / 2)
}

/// By how much a bootstrap of blocks of this length falls short of the true spread, taking the readings for an
/// autoregression of the first order: blocks leave out what resembles each other across their edges, and few
/// independent readings have Student's heavier tails (Abramowitz and Stegun 26.7.5, its first term at 95%).
fn widening(series: &[f64], block: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 readings")]
    let (count, length) = (series.len() as f64, block as f64);
    let mean = series.iter().sum::<f64>() / count;
    let spread: f64 = series.iter().map(|one| (one - mean).powi(2)).sum();
    if spread <= 0.0 {
        return 1.0;
    }
    let pairs = series.iter().zip(series.iter().skip(1));
    let found = pairs.map(|(one, next)| (one - mean) * (next - mean)).sum::<f64>() / spread;
    // The resemblance of few readings is underestimated (Kendall, Biometrika 1954).
    let resemblance = (found + (1.0 + 4.0 * found) / count).clamp(0.0, 0.97);
    let (mut caught, mut power, mut lag) = (1.0, 1.0, 1.0);
    while lag < length {
        power *= resemblance;
        caught += 2.0 * (1.0 - lag / length) * power;
        lag += 1.0;
    }
    let whole = (1.0 + resemblance) / (1.0 - resemblance);
    let independent = (count / whole - 1.0).max(2.0);
    (whole / caught).max(1.0).sqrt() * (1.0 + 4.84 / (4.0 * independent))
}

fn resampled(series: &[f64], block: usize, chance: &mut ChaCha8Rng) -> Vec<f64> {
    let mut drawn = Vec::with_capacity(series.len() + block);
    while drawn.len() < series.len() {
        let from = chance.random_range(0..=series.len() - block);
        drawn.extend(series.iter().skip(from).take(block));
    }
    drawn.truncate(series.len());
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By numpy: `np.median(np.subtract.outer(here, reference))`.
    #[test]
    fn agrees_with_numpy() {
        let reference = [12.1, 11.4, 13.0, 12.7, 11.9, 12.2, 12.8];
        let here = [14.9, 13.8, 15.2, 14.1, 16.0, 13.5];
        let found = shift(&here, &reference, 0.05, 1).expect("enough readings");
        assert!((found.estimate - 2.2).abs() < 1e-9, "{found:?}");
        assert!(found.interval.low < 2.2 && found.interval.high > 2.2 && found.interval.low > 0.0, "{found:?}");
        assert_eq!(Some(found), shift(&here, &reference, 0.05, 1), "seeded");
        assert_eq!(shift(&here[..4], &reference, 0.05, 1), None);
        assert_eq!(shift(&[f64::NAN; 9], &reference, 0.05, 1), None);
    }

    fn wandering(count: usize, resemblance: f64, level: f64, chance: &mut ChaCha8Rng) -> Vec<f64> {
        let mut noise = move || (0..12).map(|_| chance.random::<f64>()).sum::<f64>() - 6.0;
        let mut last = 0.0;
        (0..count)
            .map(|_| {
                last = resemblance * last + (1.0 - resemblance * resemblance).sqrt() * noise();
                level + last
            })
            .collect()
    }

    #[test]
    fn blocks_are_as_long_as_readings_resemble_themselves() {
        let mut chance = ChaCha8Rng::seed_from_u64(3);
        assert!(block_length(&wandering(200, 0.0, 0.0, &mut chance)) <= 8);
        assert!(block_length(&wandering(200, 0.9, 0.0, &mut chance)) >= 10);
        assert_eq!(block_length(&[1.0; 40]), 4);
    }

    /// Without an effect the interval must hold 0; with blocks that are too short it would not.
    #[test]
    fn the_interval_holds_the_truth_though_readings_resemble_their_neighbours() {
        let mut holds = 0;
        for seed in 0..20 {
            let mut chance = ChaCha8Rng::seed_from_u64(seed);
            let reference = wandering(60, 0.6, 10.0, &mut chance);
            let here = wandering(60, 0.6, 11.0, &mut chance);
            let found = shift(&here, &reference, 0.05, seed).expect("enough readings");
            holds += u32::from(found.interval.low <= 1.0 && 1.0 <= found.interval.high);
        }
        assert!(holds >= 16, "{holds} of 20");
    }
}
