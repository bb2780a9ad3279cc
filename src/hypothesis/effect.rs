//! How large what was seen is, with an interval that holds the truth at every look.

use super::bound::Bound;
use super::decide::{Comparison, Window, covered};
use super::statistics::{DecisionRule, Interval, Pace, Ranked, shift};
use super::verdict::{Effect, Measure};
use super::words::{percent, significant, time};

/// The seed of the bootstrap: the same samples give the same interval.
const SEED: u64 = 7;

/// What an effect is computed from.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) bound: Bound,
    pub(super) window: &'a Window<'a>,
    pub(super) comparison: &'a Comparison,
    pub(super) latencies: &'a Ranked,
    /// The numbers of the baseline, for a bound on numbers in a later phase.
    pub(super) before: &'a [(f64, f64)],
}

/// The effect, where there is anything to compute it from.
pub(super) fn effect(seen: &Seen<'_>, error_rate: f64, rule: &dyn DecisionRule) -> Option<Effect> {
    let window = seen.window;
    let here = window.events();
    let compared = match seen.comparison {
        Comparison::With(Some(compared)) => Some(compared),
        _ => None,
    };
    let over = |unit: &str| {
        let reference = compared.and_then(|compared| compared.control.as_ref());
        reference.map_or_else(|| format!("{unit} the baseline"), |control| format!("{unit} the control {control}"))
    };
    let (measure, scale, estimate, interval, shown) = match seen.bound {
        Bound::Errors { .. } => {
            let interval = Interval::of_share(rule, here, error_rate)?;
            (Measure::ErrorsPercent, 100.0, here.share()?, interval, Shown::plain(percent, "errors"))
        }
        Bound::Latency { quantile, .. } => {
            let interval = Interval::of_quantile(rule, quantile, seen.latencies, error_rate)?;
            let estimate = seen.latencies.quantile(quantile)?;
            (Measure::LatencyMilliseconds, 1_000.0, estimate, interval, Shown::plain(time, "latency"))
        }
        Bound::Rate { .. } => {
            let pace = Pace { count: window.counts.good(), seconds: covered(window) };
            let interval = Interval::of_rate(rule, pace, error_rate)?;
            (Measure::TrafficPerSecond, 1.0, pace.rate()?, interval, Shown::plain(per_second, "traffic"))
        }
        Bound::Share { .. } => {
            let (of_whole, _) = compared?.paces();
            let pace = Pace { count: window.counts.good(), seconds: covered(window) };
            let interval = Interval::of_rate_ratio(rule, pace, of_whole, error_rate)?;
            let estimate = pace.rate()? / of_whole.rate().filter(|rate| *rate > 0.0)?;
            let shown = Shown { number: percent, signed: false, what: "traffic".into(), of: over("of") };
            (Measure::TrafficPercent, 100.0, estimate, interval, shown)
        }
        Bound::ErrorsOver { margin } => {
            let reference = compared?.events_by(window.dispersion);
            if margin.plus == 0.0 && reference.bad > 0.0 {
                let interval = Interval::of_share_ratio(rule, here, reference, error_rate)?;
                let estimate = here.share()? / reference.share()?;
                let shown = Shown { number: percent, signed: true, what: "errors".into(), of: over("over") };
                (Measure::ErrorsChangePercent, 100.0, estimate - 1.0, less_one(interval), shown)
            } else {
                let interval = Interval::of_share_difference(rule, here, reference, error_rate)?;
                let estimate = here.share()? - reference.share()?;
                let shown = Shown { number: points, signed: true, what: "errors".into(), of: over("over") };
                (Measure::ErrorsPoints, 100.0, estimate, interval, shown)
            }
        }
        Bound::LatencyOver { quantile, margin } => {
            let latencies = compared?.latencies()?;
            let (found, of) = (latencies.0.quantile(quantile)?, latencies.1.quantile(quantile)?);
            if margin.plus == 0.0 {
                let interval = Interval::of_quantile_ratio(rule, quantile, latencies.0, latencies.1, error_rate)?;
                let shown = Shown { number: percent, signed: true, what: "latency".into(), of: over("over") };
                (Measure::LatencyChangePercent, 100.0, found / of - 1.0, less_one(interval), shown)
            } else {
                let interval = Interval::of_quantile_difference(rule, quantile, latencies.0, latencies.1, error_rate)?;
                let shown = Shown { number: time, signed: true, what: "latency".into(), of: over("over") };
                (Measure::LatencyAddedMilliseconds, 1_000.0, found - of, interval, shown)
            }
        }
        Bound::Saturation { .. } | Bound::Value { .. } => {
            let numbers = |numbers: &[(f64, f64)]| numbers.iter().map(|(_, number)| *number).collect::<Vec<f64>>();
            let found = shift(&numbers(window.numbers), &numbers(seen.before), error_rate, SEED)?;
            let is_share = matches!(seen.bound, Bound::Saturation { .. });
            let (measure, scale, number): (_, _, fn(f64) -> String) = if is_share {
                (Measure::SaturationPoints, 100.0, points)
            } else {
                (Measure::Value, 1.0, |number| significant(number, 4))
            };
            let shown = Shown { number, signed: true, what: "shift".into(), of: over("over") };
            (measure, scale, found.estimate, found.interval, shown)
        }
    };
    let known = |number: f64| number.is_finite().then_some(number * scale);
    Some(Effect {
        measure,
        estimate: known(estimate),
        low: known(interval.low),
        high: known(interval.high),
        confidence: 1.0 - error_rate,
        reference_events: compared.map(|compared| compared.events.bad + compared.events.good),
        text: shown.text(estimate, interval, 1.0 - error_rate),
    })
}

fn less_one(interval: Interval) -> Interval {
    Interval { low: interval.low - 1.0, high: interval.high - 1.0 }
}

fn points(share: f64) -> String {
    format!("{}pp", significant(share * 100.0, 3))
}

fn per_second(rate: f64) -> String {
    format!("{}/s", significant(rate, 3))
}

/// How numbers are shown.
struct Shown {
    number: fn(f64) -> String,
    /// With a plus before what is not negative.
    signed: bool,
    what: String,
    of: String,
}

impl Shown {
    fn plain(number: fn(f64) -> String, what: &str) -> Self {
        Self { number, signed: false, what: what.into(), of: String::new() }
    }

    fn one(&self, number: f64) -> String {
        let size = (self.number)(number.abs());
        match (number < 0.0, self.signed) {
            (true, _) => format!("-{size}"),
            (false, true) => format!("+{size}"),
            (false, false) => size,
        }
    }

    /// `errors +0.35pp over the baseline, with 95% from +0.1pp to +0.9pp`.
    fn text(&self, estimate: f64, interval: Interval, confidence: f64) -> String {
        let space = if self.of.is_empty() { "" } else { " " };
        let found = if estimate.is_finite() { self.one(estimate) } else { "without limit".into() };
        let range = match (interval.low.is_finite(), interval.high.is_finite()) {
            (true, true) => format!("from {} to {}", self.one(interval.low), self.one(interval.high)),
            (true, false) => format!("{} or more", self.one(interval.low)),
            (false, true) => format!("{} or less", self.one(interval.high)),
            (false, false) => return format!("{} {found}{space}{}", self.what, self.of),
        };
        format!("{} {found}{space}{}, with {} {range}", self.what, self.of, percent(confidence))
    }
}
