use faultline_agent::units::TimeSpan;

use super::{Findings, at};
use crate::experiment::document::{Allowance, ExecReading, Objective, Reference, Signal, Spec, phases};
use crate::hypothesis::statistics::{
    Events, Margin, SequentialTest, events_to_compare_quantiles, events_to_compare_shares, quantiles_are_shown,
    share_is_below, threshold,
};

/// Whether a run can decide its objectives at all: a share is shown to be small only by enough events, so a short
/// phase with a slow prober ends as `inconclusive` however healthy the service is.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let (before, during) = phases(&spec.method);
    let alpha = spec.stated_error_rate();
    for (index, objective) in spec.steady_state.iter().enumerate() {
        let Some(rate) = spec.signals.get(&objective.signal).and_then(events_per_second) else { continue };
        if let Some((key, compared, of)) = compared(objective) {
            let of_rate = match of {
                Reference::Baseline => Some((rate, before)),
                Reference::Control(signal) => {
                    spec.signals.get(signal).and_then(events_per_second).map(|rate| (rate, during))
                }
            };
            if let Some((of_rate, of_length)) = of_rate {
                let seen = (seen(rate, during), seen(of_rate, of_length));
                compare(&compared, seen, alpha, (rate.min(of_rate), during, of_length), |message, hint| {
                    findings.warn(&at!["spec", "steadyState", index, key], message, hint);
                });
            }
            continue;
        }
        let Some((key, share)) = bad_share(objective) else { continue };
        let needed = events_needed(share, alpha);
        for (phase, length) in [("baseline", before), ("fault", during)] {
            let seen = seen(rate, length);
            if length.is_zero() || seen >= needed {
                continue;
            }
            let seconds = (needed / rate).ceil();
            findings.warn(
                &at!["spec", "steadyState", index, key],
                format!(
                    "the {phase} of {length} brings {seen:.0} events, and even without a bad one about {needed:.0} are \
                     needed: this stays inconclusive"
                ),
                format!("at {rate}/s it takes {seconds:.0}s; raise the signal's rate, the length, or the bound"),
            );
            break;
        }
    }
}

fn seen(rate: f64, length: TimeSpan) -> f64 {
    rate * length.duration().as_secs_f64()
}

/// What is compared with a reference, and what is allowed over it.
enum Compared {
    Errors(Margin),
    Latency(f64, Margin),
}

/// The comparison that an objective asks for, with its key. A percentage of errors is left out: how many events it takes
/// depends on how many of the reference are bad.
fn compared(objective: &Objective) -> Option<(&'static str, Compared, &Reference)> {
    let latency = objective.latency.as_ref().and_then(|bound| {
        let margin = match bound.at_most? {
            Allowance::Percent(percent) => Margin { factor: 1.0 + percent / 100.0, plus: 0.0 },
            Allowance::Time(time) => Margin { factor: 1.0, plus: time.duration().as_secs_f64() },
            Allowance::Points(_) => return None,
        };
        let is_quantile = bound.quantile > 0.0 && bound.quantile < 1.0;
        is_quantile.then_some(("latency", Compared::Latency(bound.quantile, margin), bound.of.as_ref()?))
    });
    let errors = || {
        let bound = objective.errors.as_ref()?;
        match bound.at_most? {
            Allowance::Points(points) if points > 0.0 && points < 100.0 => {
                let margin = Margin { factor: 1.0, plus: points / 100.0 };
                Some(("errors", Compared::Errors(margin), bound.of.as_ref()?))
            }
            _ => None,
        }
    };
    latency.or_else(errors)
}

/// Warns if the events of the fault and of its reference cannot show that nothing got worse, however well all is.
fn compare(
    compared: &Compared,
    (here, reference): (f64, f64),
    alpha: f64,
    (rate, during, of_length): (f64, TimeSpan, TimeSpan),
    warn: impl FnOnce(String, String),
) {
    if here <= 0.0 || reference <= 0.0 || !(alpha > 0.0 && alpha < 1.0) {
        return;
    }
    let needed = threshold(alpha);
    let well = |events: f64| Events { bad: 0.0, good: events };
    let (shown, events) = match *compared {
        Compared::Errors(margin) => (
            share_is_below(&SequentialTest, well(here), well(reference), margin, needed) >= needed,
            events_to_compare_shares(&SequentialTest, 0.0, 0.0, margin, alpha),
        ),
        Compared::Latency(quantile, margin) => (
            quantiles_are_shown(&SequentialTest, quantile, here, reference, margin, alpha),
            events_to_compare_quantiles(&SequentialTest, quantile, margin, alpha),
        ),
    };
    let Some(events) = events.filter(|_| !shown) else { return };
    let seconds = (events / rate).ceil();
    warn(
        format!(
            "the fault of {during} brings {here:.0} events and its reference of {of_length} brings {reference:.0}, and even \
             if nothing gets worse about {events:.0} of each are needed: this stays inconclusive"
        ),
        format!(
            "at {rate}/s this objective needs {seconds:.0}s of each; raise the signal's rate, the lengths, or the allowance"
        ),
    );
}

/// The share of bad events below which an objective wants to stay, with its key.
fn bad_share(objective: &Objective) -> Option<(&'static str, f64)> {
    let latency = objective.latency.as_ref().map(|bound| ("latency", 1.0 - bound.quantile));
    let errors = objective.errors.as_ref().and_then(|bound| Some(("errors", bound.below?.fraction())));
    latency.or(errors).filter(|(_, share)| *share > 0.0 && *share < 1.0)
}

/// How many events a second a signal brings, where the document says so.
fn events_per_second(signal: &Signal) -> Option<f64> {
    match signal {
        Signal::Http(signal) => Some(signal.rate.count_per_second()),
        Signal::Tcp(signal) => Some(signal.rate.count_per_second()),
        Signal::Exec(signal) if signal.read == ExecReading::ExitCode && !signal.interval.is_zero() => {
            Some(1.0 / signal.interval.duration().as_secs_f64())
        }
        _ => None,
    }
}

/// The number of events, all good, after which a share is shown to be below a bound. With a fixed number of events it
/// is ln(1/alpha) / -ln(1 - bound); looking again and again costs some 28% more (382 instead of 299 for 5% and 1%).
fn events_needed(share: f64, alpha: f64) -> f64 {
    (1.28 * alpha.ln() / (1.0 - share).ln()).ceil()
}
