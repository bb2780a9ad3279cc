//! Verdicts in words: what was measured, why the verdict is what it is, and what would decide an open one.

mod figures;
mod fitness;
mod relative;

pub(super) use figures::{count, percent, seconds, significant, time};

use crate::experiment::document::{Allowance, quantile_name};

use super::bound::Bound;
use super::decide::{Cause, Comparison, ErrorRates, MOST_MISSING, Outcome, Window, mean};
use super::statistics::{DecisionRule, events_to_decide, seconds_to_decide};
use super::tally::Latencies;
use super::verdict::Verdict;

/// What a verdict is worded from.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) signal: &'a str,
    pub(super) bound: Bound,
    pub(super) window: &'a Window<'a>,
    pub(super) outcome: Outcome,
    /// Seconds of a block of the baseline.
    pub(super) beat: f64,
    pub(super) comparison: &'a Comparison,
    pub(super) latencies: &'a Latencies,
    /// The last reason for which nothing could be read.
    pub(super) missing: Option<&'a str>,
    /// What a relative objective allows over its reference.
    pub(super) allowed: Option<Allowance>,
    pub(super) rates: ErrorRates,
    pub(super) rule: &'a dyn DecisionRule,
}

/// A verdict in words.
#[derive(Debug, PartialEq)]
pub(super) struct Words {
    pub(super) measured: Option<f64>,
    pub(super) measured_text: String,
    pub(super) because: String,
}

/// Words a verdict.
pub(super) fn explain(facts: &Facts<'_>) -> Words {
    let (measured, measured_text, finding) = match facts.bound {
        Bound::Latency { quantile, below } => latency(facts, quantile, below),
        Bound::Errors { below } => errors(facts, below),
        Bound::Rate { .. } | Bound::Share { .. } => traffic(facts),
        Bound::LatencyOver { quantile, .. } => relative::latency(facts, quantile),
        Bound::ErrorsOver { .. } => relative::errors(facts),
        Bound::Saturation { .. } | Bound::Value { .. } => numbers(facts),
    };
    let (window, signal) = (facts.window, facts.signal);
    let lasted = seconds(window.to - window.from);
    let because = match facts.outcome.cause {
        Cause::NothingCame => format!("nothing came from {signal} in {lasted}"),
        Cause::AllMissing => {
            format!("none of {} readings of {signal} could be taken{}", window.counts.missing, missing(facts))
        }
        Cause::NoEvents => {
            format!("{signal} was read {} times in {lasted} and saw not one event", window.counts.readings)
        }
        Cause::NoReference => relative::nothing(facts),
        Cause::ControlSilentSince(since) => {
            let silent = seconds(window.to - since);
            format!("nothing came from {} for the last {silent}; until then: {finding}", relative::name(facts))
        }
        Cause::ControlGaps(share) => {
            let (share, most) = (percent(share), percent(MOST_MISSING));
            format!(
                "{share} of the readings of {} are missing, more than {most}; the rest: {finding}",
                relative::name(facts)
            )
        }
        Cause::SilentSince(since) => {
            let silent = seconds(window.to - since);
            format!("nothing came from {signal} for the last {silent}{}; until then: {finding}", missing(facts))
        }
        Cause::Gaps(share) => {
            let (share, most) = (percent(share), percent(MOST_MISSING));
            format!(
                "{share} of the readings of {signal} are missing, more than {most}{}; the rest: {finding}",
                missing(facts)
            )
        }
        Cause::Shown | Cause::Sustained(..) => finding,
        Cause::IsBaseline => format!("{finding}; this is the baseline"),
        Cause::Unfit(unfit) => format!("{finding}; {}", fitness::unfit(facts, unfit)),
        Cause::FewReadings => format!("{finding}; needs three readings"),
        Cause::Undecided => format!("{finding}; {}", undecided(facts)),
    };
    let is_unfit = matches!(facts.outcome.cause, Cause::Unfit(_));
    let because = if window.dispersion > 1.0 && !is_unfit {
        let events = significant(window.dispersion, 2);
        format!(
            "{because}; {signal} fails in bursts before the fault already, so {events} {} count as one",
            unit(facts, 2.0)
        )
    } else {
        because
    };
    Words { measured, measured_text, because }
}

fn missing(facts: &Facts<'_>) -> String {
    facts.missing.map_or_else(String::new, |why| format!(" ({why})"))
}

fn unit(facts: &Facts<'_>, number: f64) -> &'static str {
    match (facts.window.single, number == 1.0) {
        (true, true) => "request",
        (true, false) => "requests",
        (false, true) => "event",
        (false, false) => "events",
    }
}

fn latency(facts: &Facts<'_>, wanted: f64, below: f64) -> (Option<f64>, String, String) {
    let name = quantile_name(wanted);
    let counts = facts.window.counts;
    let Some(found) = facts.latencies.quantile(wanted) else {
        return (None, String::new(), format!("no {} finished", unit(facts, 0.0)));
    };
    let text =
        if found.is_finite() { format!("{name} {}", time(found)) } else { format!("{name} is a failed request") };
    let side = if found < below { "below" } else { "not below" };
    let share = counts.share().unwrap_or(0.0);
    let failed = match facts.latencies.failed() {
        0 => "slower".to_owned(),
        failed => format!("slower or failed ({} failed)", figures::whole(failed)),
    };
    let finding = format!(
        "{text}, {side} {}; {} {}, {} {failed}: {}, {} allowed",
        time(below),
        count(counts.total()),
        unit(facts, counts.total()),
        count(counts.bad()),
        percent(share),
        percent(1.0 - wanted),
    );
    (found.is_finite().then_some(found * 1_000.0), text, finding)
}

fn errors(facts: &Facts<'_>, below: f64) -> (Option<f64>, String, String) {
    let counts = facts.window.counts;
    let Some(share) = counts.share() else {
        return (None, String::new(), format!("no {}", unit(facts, 0.0)));
    };
    let text = format!("{} of {}", percent(share), count(counts.total()));
    let side = if share < below { "below" } else { "not below" };
    let noun = unit(facts, counts.total());
    let finding = format!(
        "{} of {} {noun} failed: {}, {side} {}",
        count(counts.bad()),
        count(counts.total()),
        percent(share),
        percent(below)
    );
    (Some(share * 100.0), text, finding)
}

fn traffic(facts: &Facts<'_>) -> (Option<f64>, String, String) {
    let window = facts.window;
    let lasted = window.to - window.from;
    if window.counts.readings == 0 || lasted <= 0.0 {
        return (None, String::new(), "no readings".into());
    }
    let rate = window.counts.good() / lasted;
    let served = format!("{} good {}/s", significant(rate, 3), unit(facts, 0.0));
    match (facts.bound, facts.comparison) {
        (Bound::Share { share }, Comparison::With(Some(compared))) if compared.baseline.rate() > 0.0 => {
            let (baseline, name) = (&compared.baseline, relative::name(facts));
            let part = rate / baseline.rate();
            let text = format!("{} of {name}", percent(part));
            let finding = format!(
                "{served} over {}, {} of {name}'s {}/s; at least {} asked",
                seconds(lasted),
                percent(part),
                significant(baseline.rate(), 3),
                percent(share)
            );
            (Some(part * 100.0), text, finding)
        }
        (Bound::Rate { floor }, _) => {
            let finding = format!("{served} over {}; at least {}/s asked", seconds(lasted), significant(floor, 3));
            (Some(rate), served, finding)
        }
        _ => (None, served.clone(), format!("{served} over {}", seconds(lasted))),
    }
}

fn numbers(facts: &Facts<'_>) -> (Option<f64>, String, String) {
    let window = facts.window;
    let Some(mean) = mean(window) else {
        return (None, String::new(), "no readings".into());
    };
    let (shown, measured, bound): (fn(f64) -> String, f64, String) = match facts.bound {
        Bound::Saturation { below, .. } => (percent, mean * 100.0, format!("below {}", percent(below))),
        Bound::Value { below, at_least } => {
            let below = below.map(|below| format!("below {}", significant(below, 6)));
            let least = at_least.map(|least| format!("at least {}", significant(least, 6)));
            let bounds: Vec<_> = below.into_iter().chain(least).collect();
            (|number| significant(number, 4), mean, bounds.join(" and "))
        }
        _ => return (None, String::new(), String::new()),
    };
    let text = format!("mean {}", shown(mean));
    let readings = window.numbers.len();
    let noun = if readings == 1 { "reading" } else { "readings" };
    let finding = match facts.outcome.cause {
        Cause::Sustained(from, to) => format!(
            "on the wrong side of the bound ({bound}) from {} to {} of the run without a break; mean {} over {readings} {noun}",
            seconds(from),
            seconds(to),
            shown(mean)
        ),
        _ => {
            let side = if facts.bound.is_outside(mean) { "outside" } else { "within" };
            format!("mean {} over {readings} {noun}, {side} the bound: {bound}", shown(mean))
        }
    };
    (Some(measured), text, finding)
}

/// How many readings are on the wrong side.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 readings")]
pub(super) fn outside(bound: Bound, window: &Window<'_>) -> f64 {
    window.numbers.iter().filter(|(_, number)| bound.is_outside(*number)).count() as f64
}

/// What would decide an open question, if what comes is like what came.
fn undecided(facts: &Facts<'_>) -> String {
    debug_assert_eq!(facts.outcome.verdict, Verdict::Inconclusive);
    let counts = facts.window.counts;
    let lasted = facts.window.to - facts.window.from;
    let too_near = "too near the bound for any wait to tell";
    if let Bound::LatencyOver { .. } | Bound::ErrorsOver { .. } = facts.bound {
        return relative::undecided(facts);
    }
    if lasted <= 0.0 {
        return too_near.into();
    }
    if let (Some(allowed), Some(share)) = (facts.bound.ratio(), counts.share()) {
        let error_rate = if share < allowed { facts.rates.health } else { facts.rates.harm };
        let pace = counts.total() / lasted;
        let needed = events_to_decide(facts.rule, allowed, share, error_rate);
        return match needed.map(|needed| needed * facts.window.dispersion) {
            Some(needed) if needed > counts.total() => {
                let more = seconds((needed - counts.total()) / pace);
                format!("needs about {more} more at {} {}/s", significant(pace, 3), unit(facts, 0.0))
            }
            Some(_) => format!("needs a little more at {} {}/s", significant(pace, 3), unit(facts, 0.0)),
            None => too_near.into(),
        };
    }
    let floor = match (facts.bound, facts.comparison) {
        (Bound::Rate { floor }, _) => floor,
        (Bound::Share { share }, Comparison::With(Some(compared))) => share * compared.baseline.rate(),
        _ => return too_near.into(),
    };
    let rate = counts.good() / lasted;
    let error_rate = if rate > floor { facts.rates.health } else { facts.rates.harm };
    match seconds_to_decide(facts.rule, floor, rate, error_rate) {
        Some(needed) if needed > lasted => format!("needs about {} more", seconds(needed - lasted)),
        Some(_) => "needs a longer baseline or a little more time".into(),
        None => too_near.into(),
    }
}
