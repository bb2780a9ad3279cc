use faultline_agent::units::TimeSpan;

use super::{Findings, at};
use crate::experiment::document::{ExecReading, MethodStep, Objective, Signal, Spec};

/// Whether a run can decide its objectives at all: a share is shown to be small only by enough events, so a short
/// phase with a slow prober ends as `inconclusive` however healthy the service is.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let (before, during) = phases(&spec.method);
    let alpha = spec.error_rate.map_or(0.05, |rate| rate.fraction());
    for (index, objective) in spec.steady_state.iter().enumerate() {
        let Some((key, share)) = bad_share(objective) else { continue };
        let Some(rate) = spec.signals.get(&objective.signal).and_then(events_per_second) else { continue };
        let needed = events_needed(share, alpha);
        for (phase, length) in [("baseline", before), ("fault", during)] {
            let seen = rate * length.duration().as_secs_f64();
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

/// How long the baseline lasts, and from the first injection to the end of the last.
fn phases(method: &[MethodStep]) -> (TimeSpan, TimeSpan) {
    let is_fault = |step: &MethodStep| !matches!(step, MethodStep::Observe(_));
    let first = method.iter().position(is_fault).unwrap_or(method.len());
    let last = method.iter().rposition(is_fault).map_or(first, |last| last + 1);
    let sum = |steps: &[MethodStep]| TimeSpan::from(steps.iter().map(MethodStep::lasts).sum::<std::time::Duration>());
    (sum(&method[..first]), sum(&method[first..last]))
}

/// The share of bad events below which an objective wants to stay, with its key.
fn bad_share(objective: &Objective) -> Option<(&'static str, f64)> {
    // Against a reference at least as many are needed as against a number.
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
