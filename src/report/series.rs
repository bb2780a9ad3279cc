//! Signals over time: samples put in bins, and summed up by phase.

mod bins;
mod bounds;

pub(crate) use bins::Sums;

use std::collections::BTreeMap;

use super::assemble::Collected;
use super::model::{Failure, PhaseLatency, PhaseSpan, PhaseSummary, SignalSeries};
use super::notation;
use crate::experiment::document::Signal;
use crate::signals::sample::{Reading, Sample};

/// Every signal of the document, by name.
pub(super) fn all(run: &Collected, phases: &[PhaseSpan]) -> Vec<SignalSeries> {
    let mut samples: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in &run.samples {
        samples.entry(&sample.signal).or_default().push(sample);
    }
    let one = |(name, signal): (&String, &Signal)| {
        let mut samples = samples.remove(name.as_str()).unwrap_or_default();
        samples.sort_by(|one, other| one.at.total_cmp(&other.at));
        series(run, phases, name, signal, &samples)
    };
    run.started.experiment.spec.signals.iter().map(one).collect()
}

fn series(run: &Collected, phases: &[PhaseSpan], name: &str, signal: &Signal, samples: &[&Sample]) -> SignalSeries {
    let pace = pace(signal);
    let bin = bins::width(run.end, pace);
    let quantiles = quantiles(run, name);
    let points = bins::points(samples, bin, pace, &quantiles);
    let summaries: Vec<PhaseSummary> = phases.iter().filter_map(|span| summary(span, samples, pace)).collect();
    SignalSeries {
        name: name.into(),
        source: notation::source(signal),
        bin,
        bounds: bounds::of(run, name, &summaries),
        quantiles,
        points,
        phases: summaries,
        failures: reasons(samples, |reading| match reading {
            Reading::Request { failure, .. } => failure.as_deref(),
            _ => None,
        }),
        missing: reasons(samples, |reading| match reading {
            Reading::Missing { reason } => Some(reason),
            _ => None,
        }),
    }
}

/// The time from one reading of a signal to the next, in seconds.
pub(crate) fn pace(signal: &Signal) -> f64 {
    match signal {
        Signal::Http(http) => http.rate.interval(),
        Signal::Tcp(tcp) => tcp.rate.interval(),
        Signal::Prometheus(prometheus) => prometheus.interval.duration(),
        Signal::Exec(exec) => exec.interval.duration(),
        Signal::Host(host) => host.interval.duration(),
    }
    .as_secs_f64()
}

/// The quantiles worth plotting: the median, the 99th percentile, and those on which there are bounds.
fn quantiles(run: &Collected, signal: &str) -> Vec<f64> {
    let spec = &run.started.experiment.spec;
    let mut quantiles = vec![0.5, 0.99];
    let bounded = spec.steady_state.iter().chain(&spec.guardrails).filter(|objective| objective.signal == signal);
    for bound in bounded.filter_map(|objective| objective.latency.as_ref()) {
        if !quantiles.iter().any(|quantile| (quantile - bound.quantile).abs() < 1e-9) {
            quantiles.push(bound.quantile);
        }
    }
    quantiles.sort_by(f64::total_cmp);
    quantiles
}

/// Reasons and how often each was given, the most frequent first.
fn reasons<'a>(samples: &[&'a Sample], reason: impl Fn(&'a Reading) -> Option<&'a str>) -> Vec<Failure> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in samples.iter().filter_map(|sample| reason(&sample.reading)) {
        *counts.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<Failure> =
        counts.into_iter().map(|(reason, count)| Failure { reason: reason.into(), count }).collect();
    reasons.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
    reasons
}

/// A signal in one phase; nothing if the phase holds no sample of it.
fn summary(span: &PhaseSpan, samples: &[&Sample], pace: f64) -> Option<PhaseSummary> {
    let first = samples.partition_point(|sample| sample.at < span.start);
    let last = samples.partition_point(|sample| sample.at < span.end);
    let within = samples.get(first..last).filter(|samples| !samples.is_empty())?;
    let previous = first.checked_sub(1).and_then(|index| samples.get(index)).map(|sample| sample.at);
    let mut sums = Sums::new(previous);
    for sample in within {
        sums.take(sample);
    }
    let quantile = |share| sums.latency(share);
    Some(PhaseSummary {
        phase: span.phase,
        events: sums.events,
        bad: sums.bad,
        rate: sums.rate(pace),
        latency: quantile(0.5)
            .zip(quantile(0.9))
            .zip(quantile(0.99))
            .zip(quantile(1.0))
            .map(|(((p50, p90), p99), max)| PhaseLatency { p50, p90, p99, max }),
        value: sums.value(),
        host: sums.host(),
        missing: sums.missing,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hypothesis::verdict::Phase;

    fn request(at: f64, milliseconds: u64, failed: bool) -> Sample {
        Sample::request("shop", at, Duration::from_millis(milliseconds), failed.then(|| "status 500".into()))
    }

    #[test]
    fn a_phase_counts_what_was_meant_to_start_in_it() {
        let samples: Vec<Sample> = (0..100).map(|n| request(f64::from(n) * 0.1, 10, n % 10 == 0)).collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        let span = PhaseSpan { phase: Phase::During, start: 2.0, end: 4.0 };
        let summary = summary(&span, &samples, 0.1).unwrap();
        assert_eq!((summary.events, summary.bad), (20.0, 2.0));
        assert!((summary.rate.unwrap() - 9.0).abs() < 0.1, "{summary:?}");
        assert!((summary.latency.unwrap().p50 - 0.01).abs() < 0.000_05);
        assert_eq!(super::summary(&PhaseSpan { start: 20.0, end: 30.0, ..span }, &samples, 0.1), None);
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let samples = [request(0.0, 1, true), request(0.1, 1, true), request(0.2, 1, false)];
        let missing = Sample { signal: "x".into(), at: 0.3, reading: Reading::Missing { reason: "refused".into() } };
        let samples: Vec<&Sample> = samples.iter().chain([&missing]).collect();
        let failures = reasons(&samples, |reading| match reading {
            Reading::Request { failure, .. } => failure.as_deref(),
            Reading::Missing { reason } => Some(reason),
            _ => None,
        });
        let counts: Vec<(&str, u64)> = failures.iter().map(|one| (one.reason.as_str(), one.count)).collect();
        assert_eq!(counts, [("status 500", 2), ("refused", 1)]);
    }
}
