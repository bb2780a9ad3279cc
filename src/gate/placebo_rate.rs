//! How often the gate itself is wrong: runs in which nothing is injected, and in which whatever is alarmed is a false alarm.
//!
//! The interval of a rate is that of Clopper and Pearson (*The use of confidence or fiducial limits illustrated in the case of the binomial*,
//! Biometrika 26, 1934): it holds the truth with at least 95%, however few the runs are. A rate is shown to be above the stated one if the
//! whole interval is.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::function::beta::beta_reg;

use super::drive::Driven;
use super::result::worst;
use super::{Attempt, Candidate};
use crate::experiment::document::{ApiVersion, ERROR_RATE};
use crate::hypothesis::verdict::RunVerdict;
use crate::report::notation;

/// The probability of the intervals.
pub const CONFIDENCE: f64 = 0.95;

/// What the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PlaceboRateKind {
    /// That of placebo runs.
    PlaceboRate,
}

/// Placebo runs, counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// How many runs were judged.
    pub judged: u64,
    /// How many of them were violated, or aborted by a guardrail.
    pub alarms: u64,
    /// How many of them were not decided: no alarm, and no pass either.
    pub undecided: u64,
    /// How many more came to no verdict, by what they came to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unjudged: BTreeMap<&'static str, u64>,
    /// The share of alarms, from 0 to 1; nothing if no run was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Between which rates the truth lies.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The rate that the documents state.
    pub stated: f64,
    /// Whether the rate is shown to be above the stated one.
    pub above: bool,
    /// All of it in a sentence.
    pub text: String,
}

/// The placebo runs of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentRate {
    /// Its name.
    pub experiment: String,
    /// Its rate.
    #[serde(flatten)]
    pub rate: Rate,
    /// The ids of the runs that alarmed, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub alarmed: BTreeMap<String, String>,
    /// Runs that were not begun, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What came of all placebo runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceboRate {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `PlaceboRate`.
    pub kind: PlaceboRateKind,
    /// The version of faultline.
    pub version: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The probability of the intervals, from 0 to 1.
    pub confidence: f64,
    /// 1 if a rate is shown to be above the stated one; 4 if no run was judged, or not all were begun; 7 and 130 as always.
    pub exit_code: u8,
    /// By what it was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// Each experiment.
    pub experiments: Vec<ExperimentRate>,
    /// All of them together.
    pub all: Rate,
}

/// What a placebo run counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Quiet,
    Undecided,
    Alarm,
    Unjudged,
}

fn count(attempt: &Attempt) -> Count {
    let breached = |attempt: &Attempt| {
        attempt.report.as_ref().is_some_and(|report| report.guardrails.iter().any(|one| one.breached_at.is_some()))
    };
    match attempt.verdict {
        RunVerdict::Held => Count::Quiet,
        RunVerdict::Inconclusive => Count::Undecided,
        RunVerdict::Violated => Count::Alarm,
        RunVerdict::Aborted if breached(attempt) => Count::Alarm,
        _ => Count::Unjudged,
    }
}

/// Counts placebo runs. `copies` are the experiments as they were run, several times each.
pub fn settle(copies: &[Candidate], driven: &Driven) -> PlaceboRate {
    let mut names: Vec<&str> = Vec::new();
    for copy in copies {
        if !names.contains(&copy.name()) {
            names.push(copy.name());
        }
    }
    let mut experiments = Vec::new();
    let mut codes = Vec::new();
    for name in names {
        let of = || copies.iter().enumerate().filter(|(_, copy)| copy.name() == name);
        let attempts: Vec<&Attempt> = of().filter_map(|(index, _)| driven.attempts.get(&index)).flatten().collect();
        let stated = of().next().map_or(ERROR_RATE, |(_, copy)| copy.loaded.document.spec.stated_error_rate());
        let alarmed = attempts.iter().filter(|attempt| count(attempt) == Count::Alarm);
        let alarmed = alarmed.map(|one| (one.run.clone().unwrap_or_default(), one.because.clone())).collect();
        let left_out: Vec<String> = of().filter_map(|(index, _)| driven.left_out.get(&index).cloned()).collect();
        codes.extend(
            attempts.iter().filter(|one| one.verdict == RunVerdict::CleanupUnverified).map(|one| one.exit_code),
        );
        let rate = rate(&attempts, stated);
        codes.push(match (rate.above, rate.judged > 0 && left_out.is_empty()) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => 4,
        });
        experiments.push(ExperimentRate { experiment: name.into(), rate, alarmed, left_out });
    }
    let everything: Vec<&Attempt> = driven.attempts.values().flatten().collect();
    // What is stated for all is what is stated for each, by the runs that were judged.
    let weights: f64 = experiments.iter().map(|one| many(one.rate.judged)).sum();
    let weighted: f64 = experiments.iter().map(|one| many(one.rate.judged) * one.rate.stated).sum();
    let all = rate(&everything, if weights > 0.0 { weighted / weights } else { ERROR_RATE });
    codes.extend([all.above.then_some(1), driven.interrupted.is_some().then_some(130)].into_iter().flatten());
    PlaceboRate {
        api_version: ApiVersion::V1,
        kind: PlaceboRateKind::PlaceboRate,
        version: env!("CARGO_PKG_VERSION").into(),
        duration: driven.took.as_secs_f64(),
        confidence: CONFIDENCE,
        exit_code: worst(&codes),
        interrupted: driven.interrupted.clone(),
        experiments,
        all,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs")]
fn many(count: u64) -> f64 {
    count as f64
}

fn rate(attempts: &[&Attempt], stated: f64) -> Rate {
    let number = |wanted| attempts.iter().filter(|attempt| count(attempt) == wanted).map(|_| 1_u64).sum::<u64>();
    let (alarms, undecided) = (number(Count::Alarm), number(Count::Undecided));
    let judged = number(Count::Quiet) + alarms + undecided;
    let mut unjudged = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| count(attempt) == Count::Unjudged) {
        *unjudged.entry(attempt.verdict.word()).or_default() += 1;
    }
    let (low, high) = clopper_pearson(alarms, judged);
    let above = low > stated;
    let percent = |share: f64| notation::measure(share * 100.0, "%");
    let rate = (judged > 0).then(|| many(alarms) / many(judged));
    let mut text = match rate {
        None => "no placebo run was judged".to_owned(),
        Some(rate) => format!(
            "{alarms} of {judged} placebo runs alarmed: {} ({}: {} to {}), and {} is stated: {}",
            percent(rate),
            percent(CONFIDENCE),
            percent(low),
            percent(high),
            percent(stated),
            if above { "more than stated" } else { "not shown to be more" }
        ),
    };
    if undecided > 0 {
        text += &format!("; {undecided} were not decided");
    }
    for (word, count) in &unjudged {
        text += &format!("; {count} more: {word}");
    }
    Rate { judged, alarms, undecided, unjudged, rate, low, high, stated, above, text }
}

/// Between which rates the truth lies of which so many events of all were seen.
pub fn clopper_pearson(events: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let (events, others) = (many(events), many(all - events));
    // So many or more events have this probability at the lower end, so many or fewer at the upper one.
    let low = if events == 0.0 { 0.0 } else { quantile(events, others + 1.0, tail) };
    let high = if others == 0.0 { 1.0 } else { quantile(events + 1.0, others, 1.0 - tail) };
    (low, high)
}

/// A quantile of the beta distribution, by halving.
fn quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta_reg(a, b, middle) < probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::document::smallest::{FILL, smallest};
    use crate::gate::candidate::tests::candidate;
    use crate::report::fixture::{self, Ending};

    /// R: `binom.test(x, n)$conf.int`.
    #[test]
    fn the_interval_is_that_of_the_textbook() {
        for ((events, all), (low, high)) in [
            ((0, 10), (0.0, 0.308_497_1)),
            ((1, 20), (0.001_265_089, 0.248_732_8)),
            ((5, 20), (0.086_571_47, 0.491_045_9)),
            ((10, 10), (0.691_502_9, 1.0)),
        ] {
            let found = clopper_pearson(events, all);
            assert!((found.0 - low).abs() < 1e-6 && (found.1 - high).abs() < 1e-6, "{events} of {all}: {found:?}");
        }
        assert_eq!(clopper_pearson(0, 0), (0.0, 1.0));
    }

    fn document(name: &str) -> Candidate {
        candidate("a.yaml", &smallest(name, "", FILL))
    }

    fn counted(verdicts: &[RunVerdict]) -> PlaceboRate {
        let copies: Vec<Candidate> = verdicts
            .iter()
            .enumerate()
            .map(|(index, _)| document(if index % 2 == 0 { "even" } else { "odd" }))
            .collect();
        let attempts = verdicts.iter().map(|verdict| match verdict {
            RunVerdict::Aborted => Attempt::of(fixture::report(Ending::Aborted), None),
            verdict => Attempt::without_report(*verdict, "as told"),
        });
        let attempts = attempts.map(|attempt| vec![attempt]).enumerate().collect();
        settle(&copies, &Driven { attempts, ..Driven::default() })
    }

    #[test]
    fn alarms_are_counted_and_beyond_the_stated_rate_they_fail() {
        use RunVerdict::{Aborted, CleanupUnverified, Held, Inconclusive, Refused, Violated};
        let quiet = counted(&[Held; 20]);
        assert_eq!((quiet.exit_code, quiet.all.alarms, quiet.experiments.len()), (0, 0, 2));
        let once = counted(&[Held, Held, Violated, Inconclusive, Held, Refused]);
        assert_eq!((once.exit_code, once.all.judged, once.all.alarms, once.all.undecided), (0, 5, 1, 1));
        assert_eq!(
            once.all.text,
            "1 of 5 placebo runs alarmed: 20% (95%: 0.50508% to 71.642%), and 5% is stated: not shown to be more; \
             1 were not decided; 1 more: refused"
        );
        // Of one experiment all alarm; by a guardrail as well.
        let often = counted(&[Violated, Held, Aborted, Held, Violated, Held]);
        assert_eq!(often.exit_code, 1);
        let above = |result: &PlaceboRate| result.experiments.iter().map(|one| one.rate.above).collect::<Vec<_>>();
        assert_eq!(above(&often), [true, false]);
        assert_eq!(counted(&[Refused, Held]).exit_code, 4);
        assert_eq!(counted(&[Held, Held, CleanupUnverified]).exit_code, 7);
    }
}
