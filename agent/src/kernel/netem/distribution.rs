//! Tables of jitter for netem, computed as iproute2 computes those that it ships.
//!
//! netem draws an entry of the table at random and adds `jitter * entry / 8192` to the delay (`tabledist` in
//! `net/sched/sch_netem.c`). So a table holds 4096 quantiles of the distribution, in units of 8192 to one jitter, cut
//! off where 16 bits end: four times the jitter.

use crate::plan::step::Distribution;

/// `NETEM_DIST_SCALE`: the entry that means one whole jitter.
const SCALE: f64 = 8192.0;

/// The table of a distribution; none for the uniform one, which netem makes by itself.
pub(crate) fn table(distribution: Distribution) -> Option<Vec<i16>> {
    match distribution {
        Distribution::Uniform => None,
        Distribution::Normal => Some(normal()),
        Distribution::Pareto => Some(pareto()),
    }
}

/// The median of what a distribution adds to a delay, in jitters.
pub(crate) fn median(distribution: Distribution) -> f64 {
    match distribution {
        Distribution::Uniform | Distribution::Normal => 0.0,
        Distribution::Pareto => (0.5f64.powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to what fits just before")]
fn entry(jitters: f64) -> i16 {
    (jitters * SCALE).round_ties_even().clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// The standard normal distribution, as `netem/normal.c` of iproute2: walk along the curve in small steps and note at
/// each 16384th of the area where it was reached, then keep every fourth.
///
/// The area is summed by Simpson's rule instead of the error function, which Rust's standard library lacks; at this
/// step both agree to 13 digits.
fn normal() -> Vec<i16> {
    const SIZE: f64 = 16384.0;
    const STEP: f64 = 0.00005;
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let mut quantiles = vec![0.0; 16385];
    let (mut x, mut area, mut here) = (-10.0f64, 0.0f64, density(-10.0));
    while x < 10.05 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an area is from 0 to 1")]
        let slot = ((SIZE * area).round_ties_even() as usize).min(16384);
        quantiles[slot] = x;
        let next = density(x + STEP);
        area += STEP / 6.0 * (here + 4.0 * density(x + STEP / 2.0) + next);
        here = next;
        x += STEP;
    }
    quantiles.iter().take(16384).step_by(4).map(|jitters| entry(*jitters)).collect()
}

/// A Pareto distribution of shape 3, moved to mean 0, as `netem/pareto.c` of iproute2.
fn pareto() -> Vec<i16> {
    (1..=4096u32)
        .rev()
        .map(|rank| {
            let survival = f64::from(rank) / 4096.0;
            entry((survival.powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(table: &[i16]) -> (f64, f64) {
        let count = table.len() as f64;
        let mean = table.iter().map(|entry| f64::from(*entry) / SCALE).sum::<f64>() / count;
        let variance = table.iter().map(|entry| (f64::from(*entry) / SCALE - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    #[test]
    fn the_normal_table_has_the_moments_of_the_normal_distribution() {
        let table = table(Distribution::Normal).unwrap();
        assert_eq!(table.len(), 4096);
        let (mean, deviation) = mean_and_deviation(&table);
        assert!(mean.abs() < 0.002 && (deviation - 1.0).abs() < 0.003, "{mean} {deviation}");
        assert!(table.is_sorted());
        assert_eq!(table[2048], 0);
        // One standard deviation is at 84.134 % of the area.
        assert!((f64::from(table[3446]) / SCALE - 1.0).abs() < 0.002, "{}", table[3446]);
    }

    #[test]
    fn the_pareto_table_is_skewed_to_late_packets() {
        let table = table(Distribution::Pareto).unwrap();
        assert_eq!(table.len(), 4096);
        let (mean, deviation) = mean_and_deviation(&table);
        // Cut off at four jitters, a little of the tail is missing.
        assert!((-0.05..0.0).contains(&mean), "{mean}");
        assert!((0.7..1.0).contains(&deviation), "{deviation}");
        assert_eq!((table[0], table[4095]), (-5461, i16::MAX));
        assert!((f64::from(table[2048]) / SCALE - median(Distribution::Pareto)).abs() < 0.001, "{}", table[2048]);
    }

    #[test]
    fn tables_are_those_that_iproute2_ships() {
        for (distribution, name) in [(Distribution::Normal, "normal"), (Distribution::Pareto, "pareto")] {
            let Some(path) = [
                "/usr/lib/x86_64-linux-gnu/tc",
                "/usr/lib/aarch64-linux-gnu/tc",
                "/usr/lib/tc",
                "/usr/lib64/tc",
                "/lib/tc",
                "/usr/share/tc",
            ]
            .map(|folder| format!("{folder}/{name}.dist"))
            .into_iter()
            .find(|path| std::path::Path::new(path).exists()) else {
                println!("skipped: iproute2's {name}.dist is not installed");
                continue;
            };
            let text = std::fs::read_to_string(path).unwrap();
            let shipped: Vec<i16> = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .flat_map(|line| line.split_whitespace().map(|number| number.parse().unwrap()))
                .collect();
            assert_eq!(table(distribution).unwrap(), shipped, "{name}");
        }
    }
}
