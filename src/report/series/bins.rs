use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::report::model::Point;
use crate::signals::sample::{Reading, Sample};

/// More points than this across a plot are no use to anybody.
const MOST_BINS: f64 = 360.0;

/// The widths that a bin may have, in seconds: those in which people count time.
const WIDTHS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// The width of a bin for a run of this length and a signal read at this pace: a second where that is possible.
pub(super) fn width(duration: f64, pace: f64) -> f64 {
    let least = (duration / MOST_BINS).max(pace);
    let longest = WIDTHS[WIDTHS.len() - 1];
    WIDTHS.into_iter().find(|width| *width >= least).unwrap_or_else(|| (least / longest).ceil() * longest)
}

/// The bins that hold anything. The samples are sorted by time.
pub(super) fn points(samples: &[&Sample], bin: f64, pace: f64, quantiles: &[f64]) -> Vec<Point> {
    let mut points = Vec::new();
    let mut previous = None;
    let ends = samples.first().map(|first| first.at).zip(samples.last().map(|last| last.at + pace));
    let Some((first, last)) = ends else { return points };
    for group in samples.chunk_by(|one, other| (one.at / bin).floor() == (other.at / bin).floor()) {
        let start = (group[0].at / bin).floor() * bin;
        let mut sums = Sums::new(previous);
        for sample in group {
            sums.take(sample);
        }
        previous = group.last().map(|sample| sample.at);
        // The first and the last bin may be covered only in part, and tell no rate if it is less than a half.
        let covered = (start + bin).min(last) - start.max(first);
        let rate = if sums.counted > 0.0 { sums.rate(pace) } else { sums.rate_over(covered) };
        points.push(Point {
            at: start,
            events: sums.events,
            bad: sums.bad,
            rate: rate.filter(|_| covered >= bin / 2.0),
            latency: quantiles.iter().filter_map(|quantile| sums.latency(*quantile)).collect(),
            value: sums.value(),
            host: sums.host(),
            missing: sums.missing,
        });
    }
    points
}

/// What a stretch of samples adds up to.
#[derive(Debug)]
pub(crate) struct Sums {
    /// All events.
    pub(crate) events: f64,
    /// Bad events.
    pub(crate) bad: f64,
    /// Readings that could not be had.
    pub(crate) missing: u64,
    /// The seconds that the counters among the readings tell of.
    pub(crate) counted: f64,
    counted_good: f64,
    latency: Option<Histogram<u64>>,
    requests: f64,
    first: Option<f64>,
    previous: Option<f64>,
    values: (f64, f64),
    host: BTreeMap<String, (f64, f64)>,
}

impl Sums {
    /// Nothing yet; the reading before the first was at `previous`.
    pub(crate) fn new(previous: Option<f64>) -> Self {
        Self {
            events: 0.0,
            bad: 0.0,
            missing: 0,
            counted: 0.0,
            counted_good: 0.0,
            latency: None,
            requests: 0.0,
            first: None,
            previous,
            values: (0.0, 0.0),
            host: BTreeMap::new(),
        }
    }

    /// Adds a sample; they come in order of time.
    pub(crate) fn take(&mut self, sample: &Sample) {
        match &sample.reading {
            Reading::Request { latency, failure } => {
                self.events += 1.0;
                self.requests += 1.0;
                if failure.is_some() {
                    self.bad += 1.0;
                } else {
                    self.answered(*latency);
                }
            }
            Reading::Counts { bad, total } => {
                self.events += total;
                self.bad += bad;
                // What the first reading counts grew over a time that nobody knows.
                if let Some(previous) = self.previous {
                    self.counted += (sample.at - previous).max(0.0);
                    self.counted_good += total - bad;
                }
            }
            Reading::Value { value } => {
                self.values.0 += value;
                self.values.1 += 1.0;
            }
            Reading::Host { saturation, numbers } => {
                let saturation = saturation.iter().map(|(resource, used)| (resource.name(), *used));
                for (name, number) in saturation.chain(numbers.iter().map(|(name, number)| (name.as_str(), *number))) {
                    let sum = self.host.entry(name.to_owned()).or_default();
                    sum.0 += number;
                    sum.1 += 1.0;
                }
            }
            Reading::Missing { .. } => self.missing += 1,
        }
        self.first.get_or_insert(sample.at);
        self.previous = Some(sample.at);
    }

    /// Keeps the latency of a good answer, in microseconds.
    fn answered(&mut self, latency: f64) {
        if self.latency.is_none() {
            self.latency = Histogram::new(3).ok();
        }
        if let Some(histogram) = &mut self.latency {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to a day, far inside the range"
            )]
            let microseconds = (latency * 1e6).round().clamp(1.0, 86_400e6) as u64;
            // The histogram grows with what it is given; there is nothing that it cannot hold.
            let _held = histogram.record(microseconds);
        }
    }

    /// A quantile of the good answers' latency in seconds.
    pub(crate) fn latency(&self, quantile: f64) -> Option<f64> {
        let histogram = self.latency.as_ref().filter(|histogram| !histogram.is_empty())?;
        #[expect(clippy::cast_precision_loss, reason = "at most a day in microseconds")]
        let microseconds = histogram.value_at_quantile(quantile) as f64;
        Some(microseconds / 1e6)
    }

    /// Good events a second, over the time from the first sample to one pace after the last.
    pub(crate) fn rate(&self, pace: f64) -> Option<f64> {
        if self.counted > 0.0 {
            return Some(self.counted_good / self.counted);
        }
        let (first, last) = self.first.zip(self.previous)?;
        self.rate_over(last - first + pace)
    }

    /// Good events a second over so many seconds; nothing for readings that tell no events.
    pub(crate) fn rate_over(&self, seconds: f64) -> Option<f64> {
        (self.requests > 0.0 && seconds > 0.0).then(|| (self.events - self.bad) / seconds)
    }

    /// The mean of the values.
    pub(crate) fn value(&self) -> Option<f64> {
        (self.values.1 > 0.0).then(|| self.values.0 / self.values.1)
    }

    /// The mean of each reading of the host.
    pub(crate) fn host(&self) -> BTreeMap<String, f64> {
        self.host.iter().map(|(name, (sum, count))| (name.clone(), sum / count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: f64, reading: Reading) -> Sample {
        Sample { signal: "x".into(), at, reading }
    }

    #[test]
    fn a_bin_is_a_second_until_a_plot_would_hold_too_many() {
        let widths =
            [(60.0, 0.02), (600.0, 0.02), (60.0, 15.0), (1e6, 1.0), (1e8, 1.0)].map(|(run, pace)| width(run, pace));
        assert_eq!(widths, [1.0, 2.0, 15.0, 3600.0, 78.0 * 3600.0]);
    }

    #[test]
    fn counters_tell_their_rate_from_one_reading_to_the_next() {
        let samples: Vec<Sample> =
            (0..6).map(|n| sample(f64::from(n) * 2.0, Reading::Counts { bad: 5.0, total: 105.0 })).collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        let points = points(&samples, 2.0, 2.0, &[]);
        let rates: Vec<Option<f64>> = points.iter().map(|point| point.rate).collect();
        // What the first reading counts is of an unknown time.
        assert_eq!(rates, [None, Some(50.0), Some(50.0), Some(50.0), Some(50.0), Some(50.0)]);
    }

    #[test]
    fn a_bin_hardly_covered_tells_no_rate_and_a_missing_reading_is_no_zero() {
        let mut samples: Vec<Sample> = (0..41)
            .map(|n| sample(0.8 + f64::from(n) * 0.1, Reading::Request { latency: 0.2, failure: None }))
            .collect();
        samples.push(sample(4.95, Reading::Missing { reason: "gone".into() }));
        let samples: Vec<&Sample> = samples.iter().collect();
        let points = points(&samples, 1.0, 0.1, &[0.5]);
        assert_eq!(points.len(), 5);
        assert_eq!(points[0].rate, None);
        assert!((points[1].rate.unwrap() - 10.0).abs() < 1e-9);
        assert_eq!((points[4].missing, points[4].value), (1, None));
        assert!((points[1].latency[0] - 0.2).abs() < 0.000_2);
    }
}
