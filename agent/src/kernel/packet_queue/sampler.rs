//! How long the next packet is held: delay with jitter, from the recorded seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::plan::step::{Distribution, HoldTime};

/// No packet is held longer, however long the tail of its distribution is.
const LONGEST: f64 = 3600.0;
/// The shape of the Pareto distribution: its mean is half of its scale, its variance finite.
const PARETO_SHAPE: f64 = 3.0;

/// A stream of hold times.
///
/// Correlation is that of a first-order autoregressive series of normal variables behind the distribution, so that the
/// distribution itself stays exactly as asked, whatever the correlation.
#[derive(Debug)]
pub(super) struct Sampler {
    delay: f64,
    jitter: f64,
    distribution: Distribution,
    correlation: f64,
    last: f64,
    random: ChaCha8Rng,
}

impl Sampler {
    /// The stream of one fault.
    pub(super) fn new(hold: &HoldTime) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(hold.seed);
        let last = normal(&mut random);
        Self {
            delay: hold.delay.duration().as_secs_f64(),
            jitter: hold.jitter.duration().as_secs_f64(),
            distribution: hold.distribution,
            correlation: hold.correlation.fraction(),
            last,
            random,
        }
    }

    /// Whether each packet may be held for another time.
    pub(super) fn varies(&self) -> bool {
        self.jitter > 0.0
    }

    /// The hold time of the next packet.
    pub(super) fn next(&mut self) -> Duration {
        if !self.varies() {
            return Duration::from_secs_f64(self.delay);
        }
        let fresh = normal(&mut self.random);
        self.last = self.correlation * self.last + (1.0 - self.correlation * self.correlation).sqrt() * fresh;
        let offset = self.jitter
            * match self.distribution {
                Distribution::Normal => self.last,
                Distribution::Uniform => 2.0 * cumulative(self.last) - 1.0,
                Distribution::Pareto => cumulative(-self.last).max(1e-12).powf(-1.0 / PARETO_SHAPE) - 1.0,
            };
        Duration::from_secs_f64((self.delay + offset).clamp(0.0, LONGEST))
    }
}

/// The median of a hold time as asked, in seconds, against which the measured one is judged.
pub(super) fn asked_median(hold: &HoldTime) -> f64 {
    let (delay, jitter) = (hold.delay.duration().as_secs_f64(), hold.jitter.duration().as_secs_f64());
    match hold.distribution {
        Distribution::Normal | Distribution::Uniform => delay,
        Distribution::Pareto => delay + jitter * (0.5f64.powf(-1.0 / PARETO_SHAPE) - 1.0),
    }
}

/// A standard normal variable (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (one, other): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// The standard normal distribution function, by Abramowitz and Stegun 26.2.17: wrong by less than 8e-8.
fn cumulative(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let sum = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let tail = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Percent, TimeSpan};

    fn draw(distribution: Distribution, correlation: f64) -> Vec<f64> {
        let hold = HoldTime {
            delay: TimeSpan::from_millis(100),
            jitter: TimeSpan::from_millis(10),
            distribution,
            correlation: Percent::new(correlation).unwrap(),
            seed: 7,
        };
        let mut sampler = Sampler::new(&hold);
        (0..50_000).map(|_| sampler.next().as_secs_f64() * 1000.0).collect()
    }

    fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
        values.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share"
        )]
        let place = (values.len() as f64 * share) as usize;
        values[place]
    }

    #[test]
    fn each_distribution_has_its_quantiles_whatever_the_correlation() {
        for correlation in [0.0, 80.0] {
            let near = |distribution, share, expected: f64| {
                let found = quantile(draw(distribution, correlation), share);
                assert!(
                    (found - expected).abs() < 0.6,
                    "{distribution:?} {share} {correlation}: {found} for {expected}"
                );
            };
            near(Distribution::Normal, 0.5, 100.0);
            near(Distribution::Normal, 0.975, 119.6);
            near(Distribution::Uniform, 0.0, 90.0);
            near(Distribution::Uniform, 0.25, 95.0);
            near(Distribution::Pareto, 0.0, 100.0);
            near(Distribution::Pareto, 0.5, 102.6);
        }
    }

    #[test]
    fn correlation_is_as_asked_and_the_seed_decides_everything() {
        let values = draw(Distribution::Normal, 80.0);
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let middle = mean(&values);
        let products: Vec<f64> = values.windows(2).map(|pair| (pair[0] - middle) * (pair[1] - middle)).collect();
        let squares: Vec<f64> = values.iter().map(|value| (value - middle).powi(2)).collect();
        assert!((mean(&products) / mean(&squares) - 0.8).abs() < 0.02);
        assert_eq!(values, draw(Distribution::Normal, 80.0));
    }
}
