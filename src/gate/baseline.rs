//! A named baseline: the last runs of each experiment, kept in a file, and what became better or worse since.
//!
//! The rule is a prediction interval: of `n` runs that were the same, with mean `m` and standard deviation `s`, the next one
//! lies within `m ± t · s · √(1 + 1/n)` with a probability of 99% (`t` of Student's distribution with `n − 1` degrees of
//! freedom; Hahn and Meeker, *Statistical Intervals*, 1991, section 4.7). It takes the runs for independent and about normally
//! distributed: one comparison in a hundred lies outside by chance. With fewer than four runs nothing is said.

mod figure;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::experiment::document::ApiVersion;
use crate::hypothesis::verdict::{Phase, RunVerdict, Verdict};
use crate::report::{ObjectiveRow, PhaseVerdict, RunReport, notation};

use figure::Figure;

/// How many runs of an experiment are kept unless told.
pub const KEPT: usize = 10;
/// With fewer runs than these their spread says nothing.
pub const FEWEST: usize = 4;
/// The share of equal runs within the interval.
const INSIDE: f64 = 0.99;

/// A file of baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaselineFile {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `GateBaseline`.
    pub kind: BaselineKind,
    /// The runs of each experiment, the oldest first, by the baselines' names.
    pub baselines: BTreeMap<String, BTreeMap<String, Vec<PastRun>>>,
}

/// What the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaselineKind {
    /// Baselines of the gate.
    GateBaseline,
}

/// A run before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastRun {
    /// Its id.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// What was measured under the fault, by the objectives in words.
    pub objectives: BTreeMap<String, PastObjective>,
}

/// An objective of a run before, under the fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastObjective {
    /// Its verdict.
    pub verdict: Verdict,
    /// The number measured, as [`ObjectiveVerdict::measured`](crate::hypothesis::verdict::ObjectiveVerdict) has it; none of
    /// a quantile of the latency that is a failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
}

/// A baseline file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the baseline {}: {reason}", path.display())]
pub struct BaselineError {
    what: &'static str,
    path: PathBuf,
    reason: String,
}

impl BaselineFile {
    /// One without any runs.
    pub fn empty() -> Self {
        Self { api_version: ApiVersion::V1, kind: BaselineKind::GateBaseline, baselines: BTreeMap::new() }
    }

    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// If it cannot be read, or is none: it is not written over then.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let failed = |reason: String| BaselineError { what: "read", path: path.to_owned(), reason };
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::empty()),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let failed = |reason: String| BaselineError { what: "write", path: path.to_owned(), reason };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        write_as_a_whole(path, &(text + "\n")).map_err(|error| failed(error.to_string()))
    }

    /// The runs of an experiment in a baseline, the oldest first.
    pub fn runs(&self, baseline: &str, experiment: &str) -> &[PastRun] {
        self.baselines.get(baseline).and_then(|runs| runs.get(experiment)).map_or(&[], Vec::as_slice)
    }

    /// Adds a run, and forgets the oldest beyond so many. Only runs that came to a verdict about the system are kept: held,
    /// violated and not decided ones, and no placebo.
    pub fn add(&mut self, baseline: &str, report: &RunReport, kept: usize) {
        let judged = matches!(report.verdict, RunVerdict::Held | RunVerdict::Violated | RunVerdict::Inconclusive);
        if !judged || report.placebo {
            return;
        }
        let objectives = report.objectives.iter().filter_map(|row| {
            let found = during(row)?;
            Some((row.description.clone(), PastObjective { verdict: found.verdict, measured: found.measured }))
        });
        let run = PastRun {
            run: report.run.id.clone(),
            started: report.run.started.clone(),
            verdict: report.verdict,
            objectives: objectives.collect(),
        };
        let runs = self.baselines.entry(baseline.into()).or_default();
        let runs = runs.entry(report.run.experiment.clone()).or_default();
        runs.push(run);
        runs.drain(..runs.len().saturating_sub(kept));
    }
}

/// Writes a file as a whole or not at all.
///
/// # Errors
/// If it cannot be written, or the path is none of a file.
pub(crate) fn write_as_a_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let beside = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

fn during(row: &ObjectiveRow) -> Option<&PhaseVerdict> {
    row.phases.iter().find(|found| found.phase == Phase::During)
}

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
mod tests {
    use super::*;
    use crate::report::fixture::{self, Ending};

    fn past(measured: &[f64], report: &RunReport) -> Vec<PastRun> {
        let name = report.objectives[0].description.clone();
        let run = |measured: &f64| PastRun {
            run: "a".into(),
            started: "2026-11-21T08:15:00Z".into(),
            verdict: RunVerdict::Held,
            objectives: BTreeMap::from([(
                name.clone(),
                PastObjective { verdict: Verdict::Held, measured: Some(*measured) },
            )]),
        };
        measured.iter().map(run).collect()
    }

    fn compared(measured: &[f64]) -> Comparison {
        let mut report = fixture::report(Ending::Held);
        for found in report.objectives.iter_mut().flat_map(|row| &mut row.phases) {
            found.measured = Some(200.0);
        }
        compare(&report, &past(measured, &report)).0.swap_remove(0)
    }

    #[test]
    fn the_spread_of_the_last_runs_decides_and_too_few_say_so() {
        let now = compared(&[]).measured.unwrap();
        let around = |by: f64| [now + by - 2.0, now + by - 1.0, now + by, now + by + 1.0, now + by + 2.0];
        assert_eq!(compared(&around(0.0)[..3]).change, Change::TooFew);
        assert!(compared(&around(0.0)[..3]).text.ends_with("3 of the 4 runs that a comparison needs"));
        assert_eq!(compared(&around(0.0)).change, Change::Same);
        assert_eq!(compared(&around(5.0)).change, Change::Same);
        assert_eq!(compared(&around(-20.0)).change, Change::Worse);
        assert_eq!(compared(&around(20.0)).change, Change::Better);
        let worse = compared(&around(-20.0));
        assert!(worse.is_worse_by(1.0) && !worse.is_worse_by(1000.0));
        assert!(!compared(&around(20.0)).is_worse_by(0.0));
    }

    #[test]
    fn a_latency_without_limit_is_worse_than_any_number_and_not_unmeasured() {
        let mut report = fixture::report(Ending::Violated);
        let row = report.objectives.iter_mut().find(|row| row.objective.latency.is_some()).unwrap();
        let during = row.phases.iter_mut().find(|found| found.phase == Phase::During).unwrap();
        (during.measured, during.events) = (None, 100.0);
        let row = row.clone();
        report.objectives = vec![row];
        let mut before = past(&[198.0, 199.0, 200.0, 201.0], &report);
        let compared = |before: &[PastRun]| compare(&report, before).0.swap_remove(0);
        assert_eq!(compared(&before[..3]).change, Change::TooFew);
        let worse = compared(&before);
        assert!(worse.is_worse_by(1000.0), "{worse:?}");
        insta::assert_snapshot!(worse.text, @"worse: p99 is a failed request, mean of the last 4 runs 199.5 ms; 191.07 ms to 207.93 ms was to be expected");
        let name = report.objectives[0].description.clone();
        // Nothing was measured in that run: it says nothing of this one.
        before[3].objectives.insert(name.clone(), PastObjective { verdict: Verdict::NoData, measured: None });
        assert_eq!(compared(&before).change, Change::TooFew);
        before[3].objectives.insert(name, PastObjective { verdict: Verdict::Violated, measured: None });
        insta::assert_snapshot!(compared(&before).text, @"same: p99 is a failed request, as in 1 of the last 4 runs");
        let mut silent = report.clone();
        silent.objectives[0].phases.iter_mut().for_each(|found| found.events = 0.0);
        assert_eq!(compare(&silent, &before).0[0].change, Change::NotMeasured);
    }

    /// R: `mean(x) + c(-1, 1) * qt(0.995, 4) * sd(x) * sqrt(1 + 1/5)` of `x <- c(10, 11, 12, 13, 14)`.
    #[test]
    fn the_interval_is_that_of_the_textbook() {
        let (low, high) = interval(&[10.0, 11.0, 12.0, 13.0, 14.0]).unwrap();
        assert!((low - 4.025_7).abs() < 1e-3 && (high - 19.974_3).abs() < 1e-3, "{low} {high}");
        assert_eq!(interval(&[1.0, 1.0, 1.0]), None);
        assert_eq!(interval(&[1.0; 4]), Some((1.0, 1.0)));
    }

    #[test]
    fn one_more_run_of_the_same_is_outside_about_once_in_a_hundred() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        // Twelve uniform numbers make a normal one, near enough.
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>();
        let outside = (0..20_000)
            .filter(|_| {
                let before: Vec<f64> = (0..6).map(|_| normal()).collect();
                let (low, high) = interval(&before).unwrap();
                let next = normal();
                next < low || next > high
            })
            .count();
        assert!((140..260).contains(&outside), "{outside} of 20,000");
    }

    #[test]
    fn a_verdict_that_changed_is_told_with_the_row_before_it() {
        let report = fixture::report(Ending::Violated);
        let held = past(&[1.0, 1.0, 1.0], &report);
        let told = compare(&report, &held).1.unwrap();
        assert_eq!(told, "violated; the last 3 runs were held");
        assert_eq!(compare(&fixture::report(Ending::Held), &held).1, None);
        assert_eq!(compare(&report, &[]).1, None);
    }

    #[test]
    fn the_file_keeps_the_last_runs_and_is_never_half_written() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("baseline.json");
        let mut file = BaselineFile::read(&path).unwrap();
        let mut report = fixture::report(Ending::Held);
        for number in 0..5 {
            report.run.id = number.to_string();
            file.add("main", &report, 3);
        }
        // What came to no verdict about the system is no measure of it.
        file.add("main", &fixture::report(Ending::Aborted), 3);
        file.write(&path).unwrap();
        let read = BaselineFile::read(&path).unwrap();
        assert_eq!(read, file);
        let runs = read.runs("main", &report.run.experiment);
        assert_eq!(runs.iter().map(|run| &*run.run).collect::<Vec<_>>(), ["2", "3", "4"]);
        assert_eq!(read.runs("other", &report.run.experiment), []);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
        std::fs::write(&path, "{").unwrap();
        assert!(BaselineFile::read(&path).is_err());
    }
}
