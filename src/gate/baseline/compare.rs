//! What became better or worse since the runs that are kept.
//!
//! The rule is a prediction interval: of `n` runs that were the same, with mean `m` and standard deviation `s`, the next one
//! lies within `m ± t · s · √(1 + 1/n)` with a probability of 99% (`t` of Student's distribution with `n − 1` degrees of
//! freedom; Hahn and Meeker, *Statistical Intervals*, 1991, section 4.7). It takes the runs for independent and about normally
//! distributed: one comparison in a hundred lies outside by chance. With fewer than four runs nothing is said.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::figure::Figure;
use super::{PastObjective, PastRun, during};
use crate::hypothesis::verdict::{RunVerdict, Verdict};
use crate::report::{ObjectiveRow, RunReport, notation};

/// With fewer runs than these their spread says nothing.
pub const FEWEST: usize = 4;
/// The share of equal runs within the interval.
const INSIDE: f64 = 0.99;

/// How an objective compares with the runs before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Within what the runs before let expect.
    Same,
    /// Outside, on the good side.
    Better,
    /// Outside, on the bad side.
    Worse,
    /// Outside, of a value of which neither side is good.
    Different,
    /// Too few runs before.
    TooFew,
    /// Nothing was measured now.
    NotMeasured,
}

/// An objective beside the runs before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The objective in words.
    pub objective: String,
    /// How it compares.
    pub change: Change,
    /// The number measured now, in the unit of what the objective measures; nothing where it has no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// Those of the runs before, the oldest first.
    pub before: Vec<f64>,
    /// The mean of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Between which numbers one more run like those lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<(f64, f64)>,
    /// By how many percent of the mean it is more (or, negative, less); nothing if that is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// All of it in a sentence.
    pub text: String,
}

impl Comparison {
    /// Whether it is worse, and by more than so many percent. From nothing to something is more than any percentage.
    pub fn is_worse_by(&self, percent: f64) -> bool {
        self.change == Change::Worse && self.percent.is_none_or(|by| by.abs() > percent)
    }
}

/// Compares a run with those before, objective by objective; and its verdict with theirs, in a sentence if it changed.
pub fn compare(report: &RunReport, before: &[PastRun]) -> (Vec<Comparison>, Option<String>) {
    (report.objectives.iter().map(|row| one(row, before)).collect(), verdicts(report.verdict, before))
}

fn verdicts(now: RunVerdict, before: &[PastRun]) -> Option<String> {
    let last = before.last()?.verdict;
    let same = before.iter().rev().take_while(|run| run.verdict == last).count();
    let (now_word, last_word) = (notation::run_verdict(now), notation::run_verdict(last));
    (now != last).then(|| match same {
        1 => format!("{now_word}; the last run was {last_word}"),
        same => format!("{now_word}; the last {same} runs were {last_word}"),
    })
}

fn one(row: &ObjectiveRow, before: &[PastRun]) -> Comparison {
    let figure = Figure::of(&row.objective);
    let past: Vec<&PastObjective> = before.iter().filter_map(|run| run.objectives.get(&row.description)).collect();
    let numbers: Vec<f64> = past.iter().filter_map(|run| run.measured).filter(|number| number.is_finite()).collect();
    let found = during(row);
    let now = found.and_then(|found| found.measured).filter(|number| number.is_finite());
    let say = |number: f64| notation::measure(number, figure.unit());
    let mut comparison = Comparison {
        objective: row.description.clone(),
        change: Change::TooFew,
        measured: now,
        mean: mean(&numbers),
        expected: interval(&numbers),
        percent: None,
        text: String::new(),
        before: numbers,
    };
    let Some(now) = now else {
        match figure.without_limit().filter(|_| found.is_some_and(|found| found.events > 0.0)) {
            Some(told) => compare_without_limit(&mut comparison, &told, &past, say),
            None => {
                comparison.change = Change::NotMeasured;
                comparison.text = "nothing was measured".into();
            }
        }
        return comparison;
    };
    let count = comparison.before.len();
    let (Some((low, high)), Some(mean)) = (comparison.expected, comparison.mean) else {
        comparison.text = format!("{}; {count} of the {FEWEST} runs that a comparison needs", say(now));
        return comparison;
    };
    comparison.percent = (mean != 0.0).then(|| (now - mean) / mean.abs() * 100.0);
    comparison.change = match (now < low, now > high, figure.more_is_worse()) {
        (false, false, _) => Change::Same,
        (_, above, Some(worse)) if above == worse => Change::Worse,
        (_, _, Some(_)) => Change::Better,
        (_, _, None) => Change::Different,
    };
    let word = match comparison.change {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Different => "different",
        Change::Same | Change::TooFew | Change::NotMeasured => "same",
    };
    let by = comparison.percent.map(|by| format!(", {by:+.1}%")).unwrap_or_default();
    let (low, high, mean) = (say(low), say(high), say(mean));
    comparison.text =
        format!("{word}: {}, mean of the last {count} runs {mean}{by}; {low} to {high} was to be expected", say(now));
    comparison
}

/// What has no limit lies outside of every interval, unless runs before had none either.
fn compare_without_limit(
    comparison: &mut Comparison,
    told: &str,
    past: &[&PastObjective],
    say: impl Fn(f64) -> String,
) {
    let alike = past.iter().filter(|run| run.measured.is_none() && run.verdict != Verdict::NoData).count();
    let count = comparison.before.len();
    (comparison.change, comparison.text) = match (comparison.expected, comparison.mean) {
        _ if alike > 0 => (Change::Same, format!("same: {told}, as in {alike} of the last {} runs", past.len())),
        (Some((low, high)), Some(mean)) => {
            let (low, high, mean) = (say(low), say(high), say(mean));
            let text =
                format!("worse: {told}, mean of the last {count} runs {mean}; {low} to {high} was to be expected");
            (Change::Worse, text)
        }
        _ => (Change::TooFew, format!("{told}; {count} of the {FEWEST} runs that a comparison needs")),
    };
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// Between which numbers one more run like these lies; nothing of too few.
fn interval(numbers: &[f64]) -> Option<(f64, f64)> {
    if numbers.len() < FEWEST {
        return None;
    }
    let count = numbers.len() as f64;
    let mean = mean(numbers)?;
    let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    let reach = student.inverse_cdf(f64::midpoint(1.0, INSIDE)) * (variance * (1.0 + 1.0 / count)).sqrt();
    Some((mean - reach, mean + reach))
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
