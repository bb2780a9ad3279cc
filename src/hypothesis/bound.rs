//! An objective, understood: which bound, on which signal, and what a reading means to it.

use std::collections::BTreeMap;

use crate::experiment::document::{Allowance, ExecReading, Objective, Reference, Resource, Signal, TrafficFloor};
use crate::signals::sample::Reading;

use super::error::JudgeError;
use super::statistics::Margin;
use super::tally::rounded;

/// One bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// A quantile of the latency stays below so many seconds.
    Latency { quantile: f64, below: f64 },
    /// The share of bad events stays below this, from 0 to 1.
    Errors { below: f64 },
    /// A quantile of the latency is at most the reference's with a margin, in seconds.
    LatencyOver { quantile: f64, margin: Margin },
    /// The share of bad events is at most the reference's with a margin.
    ErrorsOver { margin: Margin },
    /// At least so many good events a second.
    Rate { floor: f64 },
    /// At least so large a share of the reference's good events a second.
    Share { share: f64 },
    /// The use of a resource stays below this, from 0 to 1.
    Saturation { resource: Resource, below: f64 },
    /// A value stays below the one and at or above the other.
    Value { below: Option<f64>, at_least: Option<f64> },
}

/// What one reading means to one bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// So many events, so many of them bad in the objective's sense.
    Events { bad: f64, total: f64 },
    /// A number to compare.
    Number(f64),
    /// Nothing that could be used.
    Missing,
}

impl Bound {
    /// Understands an objective, and refuses one that could never be judged.
    pub(super) fn read(objective: &Objective, signals: &BTreeMap<String, Signal>) -> Result<Self, JudgeError> {
        let refuse = |why: &str| JudgeError::Objective { signal: objective.signal.clone(), why: why.to_owned() };
        let signal = signals
            .get(&objective.signal)
            .ok_or_else(|| JudgeError::NoSuchSignal { signal: objective.signal.clone() })?;
        let given = [
            objective.latency.is_some(),
            objective.errors.is_some(),
            objective.traffic.is_some(),
            objective.saturation.is_some(),
            objective.value.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(refuse("it must give exactly one of latency, errors, traffic, saturation and value"));
        }
        if let Some(latency) = &objective.latency {
            if !(latency.quantile > 0.0 && latency.quantile < 1.0) {
                return Err(refuse("the quantile must lie above 0 and below 1"));
            }
            if !timed(signal) {
                return Err(refuse("this signal measures no latency; http, tcp and exec with an exit code do"));
            }
            let quantile = latency.quantile;
            let margin = match (latency.below, latency.at_most, &latency.of) {
                (Some(below), None, None) if below.is_zero() => {
                    return Err(refuse("nothing answers in less than no time; give a time above 0"));
                }
                (Some(below), None, None) => {
                    return Ok(Self::Latency { quantile, below: below.duration().as_secs_f64() });
                }
                (None, Some(Allowance::Percent(percent)), Some(_)) => {
                    Margin { factor: 1.0 + percent / 100.0, plus: 0.0 }
                }
                (None, Some(Allowance::Time(time)), Some(_)) => {
                    Margin { factor: 1.0, plus: time.duration().as_secs_f64() }
                }
                (None, Some(Allowance::Points(_)), Some(_)) => {
                    return Err(refuse("a latency is no percentage; allow a time such as +20ms, or +10%"));
                }
                _ => return Err(refuse(ONE_LIMIT)),
            };
            return Ok(Self::LatencyOver { quantile, margin });
        }
        if let Some(errors) = &objective.errors {
            let relative = match (errors.below, errors.at_most, &errors.of) {
                (Some(below), None, None) => Self::Errors { below: below.fraction() },
                (None, Some(Allowance::Percent(percent)), Some(_)) => {
                    Self::ErrorsOver { margin: Margin { factor: 1.0 + percent / 100.0, plus: 0.0 } }
                }
                (None, Some(Allowance::Points(points)), Some(_)) => {
                    Self::ErrorsOver { margin: Margin { factor: 1.0, plus: points / 100.0 } }
                }
                (None, Some(Allowance::Time(_)), Some(_)) => {
                    return Err(refuse("errors are no time; allow percentage points such as +0.5pp, or +50%"));
                }
                _ => return Err(refuse(ONE_LIMIT)),
            };
            if matches!(relative, Self::Errors { below } if !(below > 0.0 && below < 1.0)) {
                return Err(refuse("a share of errors can only be judged against a bound above 0% and below 100%"));
            }
            if !timed(signal) && !counted(signal, true) {
                return Err(refuse(
                    "this signal tells no bad events from good ones; http, tcp, exec with an exit code and prometheus with `bad` and `total` do",
                ));
            }
            return Ok(relative);
        }
        if let Some(traffic) = &objective.traffic {
            if !timed(signal) && !counted(signal, false) {
                return Err(refuse(
                    "this signal counts no events; http, tcp, exec with an exit code and prometheus with `total` do",
                ));
            }
            return match (traffic.at_least, &traffic.of) {
                (TrafficFloor::Rate(rate), None) => Ok(Self::Rate { floor: rate.count_per_second() }),
                (TrafficFloor::Share(share), Some(_)) if share.fraction() > 0.0 => {
                    Ok(Self::Share { share: share.fraction() })
                }
                (TrafficFloor::Share(_), Some(_)) => Err(refuse("0% of a reference is no bound; give more than 0%")),
                (TrafficFloor::Share(_), None) => Err(refuse("a percentage of traffic needs `of: baseline`")),
                (TrafficFloor::Rate(_), Some(_)) => Err(refuse("a rate stands for itself; leave out `of`")),
            };
        }
        if let Some(saturation) = objective.saturation {
            if !matches!(signal, Signal::Host(_)) {
                return Err(refuse("only a host signal reads how much of a resource is in use"));
            }
            if saturation.below.fraction() <= 0.0 {
                return Err(refuse("use never lies below 0%; give more than 0%"));
            }
            return Ok(Self::Saturation { resource: saturation.resource, below: saturation.below.fraction() });
        }
        let Some(value) = objective.value else {
            return Err(refuse("it gives no bound"));
        };
        let valued = match signal {
            Signal::Prometheus(prometheus) => prometheus.value.is_some(),
            Signal::Exec(exec) => exec.read == ExecReading::Number,
            Signal::Http(_) | Signal::Tcp(_) | Signal::Host(_) => false,
        };
        if !valued {
            return Err(refuse("this signal reads no value; prometheus with `value` and exec with `read: number` do"));
        }
        match (value.below, value.at_least) {
            (None, None) => Err(refuse("a value needs `below`, `atLeast` or both")),
            (Some(bound), _) | (_, Some(bound)) if !bound.is_finite() => Err(refuse("a bound must be a finite number")),
            (Some(below), Some(at_least)) if at_least >= below => Err(refuse("`atLeast` must be smaller than `below`")),
            (below, at_least) => Ok(Self::Value { below, at_least }),
        }
    }

    /// What a reading means. Whatever is not a number, or of another kind than the bound, is missing: never zero, never good.
    pub(super) fn meaning(self, reading: &Reading) -> Meaning {
        let meaning = match (self, reading) {
            (Self::Latency { below, .. }, Reading::Request { latency, failure }) if *latency >= 0.0 => {
                Meaning::Events {
                    bad: f64::from(u8::from(failure.is_some() || rounded(*latency) >= below)),
                    total: 1.0,
                }
            }
            (Self::LatencyOver { .. }, Reading::Request { latency, failure }) if *latency >= 0.0 => {
                Meaning::Events { bad: f64::from(u8::from(failure.is_some())), total: 1.0 }
            }
            (
                Self::Errors { .. } | Self::ErrorsOver { .. } | Self::Rate { .. } | Self::Share { .. },
                Reading::Request { failure, .. },
            ) => Meaning::Events { bad: f64::from(u8::from(failure.is_some())), total: 1.0 },
            (
                Self::Errors { .. } | Self::ErrorsOver { .. } | Self::Rate { .. } | Self::Share { .. },
                Reading::Counts { bad, total },
            ) if *bad >= 0.0 && *total >= 0.0 => Meaning::Events { bad: *bad, total: *total },
            (Self::Saturation { resource, .. }, Reading::Host { saturation, .. }) => saturation
                .iter()
                .find(|(found, _)| *found == resource)
                .map_or(Meaning::Missing, |(_, used)| Meaning::Number(rounded(*used))),
            (Self::Value { .. }, Reading::Value { value }) => Meaning::Number(rounded(*value)),
            _ => Meaning::Missing,
        };
        match meaning {
            Meaning::Events { bad, total } if !bad.is_finite() || !total.is_finite() => Meaning::Missing,
            Meaning::Number(number) if !number.is_finite() => Meaning::Missing,
            usable => usable,
        }
    }

    /// Whether it compares latencies rather than counts.
    pub(super) fn compares_latencies(self) -> bool {
        matches!(self, Self::LatencyOver { .. })
    }

    /// Whether it bounds a share of bad events, which bursts would make seem surer than it is.
    pub(super) fn counts_bad_events(self) -> bool {
        matches!(self, Self::Latency { .. } | Self::Errors { .. } | Self::ErrorsOver { .. })
    }

    /// Whether it is relative to a reference.
    pub(super) fn is_relative(self) -> bool {
        matches!(self, Self::LatencyOver { .. } | Self::ErrorsOver { .. } | Self::Share { .. })
    }

    /// For a bound on a share of events: that share.
    pub(super) fn ratio(self) -> Option<f64> {
        match self {
            Self::Latency { quantile, .. } => Some(1.0 - quantile),
            Self::Errors { below } => Some(below),
            _ => None,
        }
    }

    /// Whether a number is on the wrong side.
    pub(super) fn is_outside(self, number: f64) -> bool {
        match self {
            Self::Saturation { below, .. } => number >= below,
            Self::Value { below, at_least } => {
                below.is_some_and(|below| number >= below) || at_least.is_some_and(|least| number < least)
            }
            _ => false,
        }
    }
}

const ONE_LIMIT: &str = "give `below`, or `atMost` with `of`";

/// What an objective allows over its reference.
pub(super) fn allowed(objective: &Objective) -> Option<Allowance> {
    let latency = objective.latency.as_ref().and_then(|bound| bound.at_most);
    latency.or(objective.errors.as_ref().and_then(|bound| bound.at_most))
}

/// The reference of an objective, where it has one.
pub(super) fn reference(objective: &Objective) -> Option<&Reference> {
    let latency = objective.latency.as_ref().and_then(|bound| bound.of.as_ref());
    let errors = objective.errors.as_ref().and_then(|bound| bound.of.as_ref());
    let traffic = objective.traffic.as_ref().and_then(|bound| bound.of.as_ref());
    latency.or(errors).or(traffic)
}

/// Whether a signal gives one reading a request, with its latency.
fn timed(signal: &Signal) -> bool {
    match signal {
        Signal::Http(_) | Signal::Tcp(_) => true,
        Signal::Exec(exec) => exec.read == ExecReading::ExitCode,
        Signal::Prometheus(_) | Signal::Host(_) => false,
    }
}

/// Whether a signal counts events, and where that is asked, bad ones among them.
fn counted(signal: &Signal, bad: bool) -> bool {
    matches!(signal, Signal::Prometheus(prometheus) if prometheus.total.is_some() && (!bad || prometheus.bad.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_missing() {
        let value = Bound::Value { below: Some(5.0), at_least: None };
        for reading in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(value.meaning(&Reading::Value { value: reading }), Meaning::Missing);
            let counts = Reading::Counts { bad: reading, total: 10.0 };
            assert_eq!(Bound::Errors { below: 0.01 }.meaning(&counts), Meaning::Missing);
            let request = Reading::Request { latency: f64::NAN, failure: None };
            assert_eq!(Bound::Latency { quantile: 0.99, below: 0.3 }.meaning(&request), Meaning::Missing);
        }
        assert_eq!(value.meaning(&Reading::Missing { reason: "refused".into() }), Meaning::Missing);
    }

    #[test]
    fn a_failed_request_is_slower_than_any_bound() {
        let request = Reading::Request { latency: 0.001, failure: Some("connection refused".into()) };
        let bound = Bound::Latency { quantile: 0.99, below: 0.3 };
        assert_eq!(bound.meaning(&request), Meaning::Events { bad: 1.0, total: 1.0 });
    }

    #[test]
    fn a_bound_is_met_only_below_it() {
        let bound = Bound::Latency { quantile: 0.99, below: 0.3 };
        let at = |latency| bound.meaning(&Reading::Request { latency, failure: None });
        assert_eq!(at(0.3), Meaning::Events { bad: 1.0, total: 1.0 });
        assert_eq!(at(0.299), Meaning::Events { bad: 0.0, total: 1.0 });
        assert!(Bound::Saturation { resource: Resource::Disk, below: 0.95 }.is_outside(0.95));
        assert!(!Bound::Value { below: None, at_least: Some(3.0) }.is_outside(3.0));
    }
}
