//! Guardrails: bounds that are tested at every moment, and whose breach ends the run at once.
//!
//! A steady-state objective bounds a share over a phase. A guardrail must see a change soon, however long everything was
//! well before: so the test of harm starts anew every second, and each start is given a share of the error rate
//! ([`starts`]). Over a whole healthy run a guardrail is breached by chance with at most its error rate, however often it
//! is looked at.
//!
//! No window is shorter than four seconds. With 50 requests a second and a bound of 5% that lets a blip of a fifth of a
//! second pass (10 of 200 failed: 5%), and still sees an outage in less than a second.
//!
//! Where the bad events of the baseline come in bursts, so many of them count as one, as they do for objectives
//! ([`Dispersion`](super::statistics::Dispersion)). A signal that fails in bursts is aborted for later, but it is. Where
//! the baseline shows none it may have been too short for them, which is allowed for as well ([`starts::unseen`]).
//!
//! A guardrail whose signal falls silent protects nobody: silence beyond three intervals (at least three seconds) after
//! the time that an answer may take is a breach too.

mod before;
mod burn_rate;
mod starts;
mod traffic;

use std::collections::BTreeMap;

use crate::experiment::document::Objective;
use crate::signals::sample::Reading;

use super::bound::{Bound, Meaning};
use super::decide::lowest;
use super::phases::Phases;
use super::statistics::{DecisionRule, threshold};
use super::stream::Stream;
use super::tally::Counts;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::words::{count, percent, seconds, significant, time};
use starts::Starts;

/// Bursts of bad events that last up to this share of the baseline show in it: of longer ones fewer than eight stretches
/// of their length fit in, which tell nothing ([`Dispersion`](super::statistics::Dispersion)). For longer ones the error
/// rate of a guardrail is not vouched for.
pub const BURSTS_SHOWN: f64 = 1.0 / 8.0;

/// The shortest window, in seconds.
const SHORTEST: u32 = 4;
/// Numbers that must be on the wrong side one after the other, and for how long together.
const RUN: (usize, f64) = (3, 2.5);

/// A guardrail and what was read for it, by the second.
#[derive(Debug, Clone)]
pub(super) struct Guardrail {
    objective: Objective,
    bound: Bound,
    description: String,
    pub(super) stream: usize,
    seconds: BTreeMap<u32, Counts>,
    numbers: Vec<(f64, f64)>,
    kept: before::Kept,
}

/// A breach: in which window, what was counted, and in words.
struct Breach {
    counts: Counts,
    measured: Option<f64>,
    measured_text: String,
    because: String,
}

impl Guardrail {
    pub(super) fn new(objective: Objective, bound: Bound, description: String, stream: usize) -> Self {
        Self {
            objective,
            bound,
            description,
            stream,
            seconds: BTreeMap::new(),
            numbers: Vec::new(),
            kept: before::Kept::default(),
        }
    }

    pub(super) fn observe(&mut self, at: f64, reading: &Reading) {
        match self.bound.meaning(reading) {
            Meaning::Number(number) => {
                let place = self.numbers.partition_point(|(then, _)| *then <= at);
                self.numbers.insert(place, (at, number));
            }
            meaning => self.seconds.entry(second(at)).or_default().add(meaning),
        }
    }

    /// Whether it is breached at this moment.
    pub(super) fn breach(
        &self,
        stream: &Stream,
        phases: &Phases,
        phase: Phase,
        now: f64,
        error_rate: f64,
        rule: &dyn DecisionRule,
    ) -> Option<ObjectiveVerdict> {
        let began = phases.span(Phase::Before).or(phases.span(phase))?.begin;
        let heard = stream.heard.map_or(began, |heard| heard.max(began));
        if now - heard > stream.cadence.patience() {
            let silent = seconds(now - heard);
            let why = stream.missing.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let because = format!(
                "no data from {} for {silent}{why}: a guardrail that sees nothing protects nobody",
                stream.name
            );
            let breach = Breach { counts: Counts::default(), measured: None, measured_text: String::new(), because };
            return Some(self.verdict(phase, Verdict::NoData, error_rate, breach));
        }
        let breach = match self.bound {
            Bound::Errors { below } if self.objective.burn_rate.is_some() => {
                let burn = self.objective.burn_rate?;
                let dispersion = self.dispersion(stream, phases, phase);
                self.burn_rate(&burn, (stream, dispersion), phases, below, now, error_rate, rule)
            }
            Bound::Latency { .. } | Bound::Errors { .. } => {
                let allowed = self.bound.ratio()?;
                let dispersion = self.dispersion(stream, phases, phase);
                let anywhere = dispersion.max(starts::unseen(phases));
                self.windows(phases, phase, now).find_map(|window| {
                    let presumed = presumed(stream, &window, now)?;
                    let dispersion = if window.is_of_phase { dispersion } else { anywhere };
                    self.ratio(&window, (presumed, dispersion), allowed, now, error_rate, rule)
                })
            }
            Bound::Rate { floor } => self.traffic(stream, phases, phase, now, floor, error_rate, rule),
            Bound::Share { share } if phase != Phase::Before => {
                let before = self.before(phases, stream)?;
                let floor = share * lowest(&before, error_rate / 2.0, rule);
                self.traffic(stream, phases, phase, now, floor, error_rate / 2.0, rule)
            }
            // A guardrail is never compared so; `Judge::new` refuses it.
            Bound::Share { .. } | Bound::LatencyOver { .. } | Bound::ErrorsOver { .. } => None,
            Bound::Saturation { .. } | Bound::Value { .. } => self.run(stream, began),
        }?;
        Some(self.verdict(phase, Verdict::Violated, error_rate, breach))
    }

    fn verdict(&self, phase: Phase, verdict: Verdict, error_rate: f64, breach: Breach) -> ObjectiveVerdict {
        let is_number = matches!(self.bound, Bound::Saturation { .. } | Bound::Value { .. });
        ObjectiveVerdict {
            objective: self.objective.clone(),
            description: self.description.clone(),
            phase,
            verdict,
            measured: breach.measured,
            measured_text: breach.measured_text,
            events: breach.counts.total(),
            bad: breach.counts.bad(),
            error_rate: if is_number || verdict == Verdict::NoData { 0.0 } else { error_rate },
            effect: None,
            because: breach.because,
        }
    }

    /// The windows that end now, the shortest first.
    fn windows(&self, phases: &Phases, phase: Phase, now: f64) -> impl Iterator<Item = Window> {
        let of_run = second(phases.span(Phase::Before).map_or(0.0, |span| span.begin));
        let starts = Starts { of_run, of_phase: second(phases.span(phase).map_or(0.0, |span| span.begin)), phase };
        let mut counts = Counts::default();
        let mut summed = second(now) + 1;
        starts.until(second(now)).map(move |from| {
            for (_, found) in self.seconds.range(from..summed) {
                counts.join(*found);
            }
            summed = from;
            Window {
                from: f64::from(from),
                counts,
                penalty: starts.penalty(from),
                is_of_phase: from == starts.of_phase,
            }
        })
    }

    fn ratio(
        &self,
        window: &Window,
        (good, dispersion): (f64, f64),
        allowed: f64,
        now: f64,
        error_rate: f64,
        rule: &dyn DecisionRule,
    ) -> Option<Breach> {
        let bad = window.counts.bad();
        if bad <= allowed * (bad + good)
            || !rule.ratio_is_shown_above(
                allowed,
                bad / dispersion,
                good / dispersion,
                threshold(error_rate) + window.penalty,
            )
        {
            return None;
        }
        let share = bad / (bad + good);
        let what = match self.bound {
            Bound::Latency { below, .. } => format!("took {} or longer, or failed", time(below)),
            _ => "failed".into(),
        };
        Some(Breach {
            counts: window.counts,
            measured: Some(share * 100.0),
            measured_text: format!("{} of {}", percent(share), count((bad + good).round())),
            because: format!("{}, {} allowed", was_bad(bad, bad + good, now - window.from, &what), percent(allowed)),
        })
    }

    /// Whether the last readings were all on the wrong side, for long enough.
    fn run(&self, stream: &Stream, began: f64) -> Option<Breach> {
        let outside: Vec<f64> = self
            .numbers
            .iter()
            .rev()
            .take_while(|(at, number)| *at >= began && self.bound.is_outside(*number))
            .map(|(at, _)| *at)
            .collect();
        let (newest, oldest) = (outside.first()?, outside.last()?);
        if outside.len() < RUN.0 || newest - oldest + stream.cadence.interval < RUN.1 {
            return None;
        }
        let (_, number) = self.numbers.last()?;
        let shown = match self.bound {
            Bound::Saturation { .. } => percent(*number),
            _ => significant(*number, 4),
        };
        Some(Breach {
            counts: Counts::default(),
            measured: Some(if matches!(self.bound, Bound::Saturation { .. }) { number * 100.0 } else { *number }),
            measured_text: shown.clone(),
            because: format!(
                "{} readings in a row on the wrong side, for {}, the last {shown}",
                count(f64::from(u32::try_from(outside.len()).unwrap_or(u32::MAX))),
                seconds(newest - oldest + stream.cadence.interval)
            ),
        })
    }
}

/// What was seen in a window. In one that is shorter than the shortest, those that are still to come count as good.
fn was_bad(bad: f64, all: f64, lasted: f64, what: &str) -> String {
    let share = percent(bad / all);
    if lasted < f64::from(SHORTEST) {
        let shortest = seconds(f64::from(SHORTEST));
        return format!(
            "{} events in the last {} {what}: {share} of all that come in {shortest}",
            count(bad),
            seconds(lasted)
        );
    }
    format!("{} of {} events in the last {} {what}: {share}", count(bad), count(all.round()), seconds(lasted))
}

/// A stretch of time that ends now.
struct Window {
    from: f64,
    counts: Counts,
    /// By how much the threshold is raised: what this start's share of the error rate costs.
    penalty: f64,
    /// Whether it is that of the whole phase.
    is_of_phase: bool,
}

/// The good events of a window, with those that are still under way presumed to be good.
///
/// Of the newest requests only the quick answers are known. Where a service refuses at once and serves in a second, the
/// quick ones are the failures, and counting them alone would be a false alarm. Nothing where the window is too short to
/// judge by.
fn presumed(stream: &Stream, window: &Window, now: f64) -> Option<f64> {
    let lasted = now - window.from;
    match stream.cadence.starts {
        Some(starts) => {
            let started = starts * lasted.max(f64::from(SHORTEST));
            Some(window.counts.good().max(started - window.counts.bad()))
        }
        None => (lasted >= f64::from(SHORTEST)).then(|| window.counts.good()),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
fn second(at: f64) -> u32 {
    at.clamp(0.0, 4e9) as u32
}
