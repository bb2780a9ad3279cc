//! What counts, what does not and why, and the one exit code.

use jiff::civil::Date;

use super::baseline::{self, BaselineFile, Comparison};
use super::drive::Driven;
use super::result::{
    Attempt, BaselineState, ExperimentResult, GateResult, QuarantineState, ResultKind, Standing, worst,
};
use super::{Candidate, Quarantine};
use crate::experiment::document::ApiVersion;
use crate::hypothesis::verdict::RunVerdict;

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rules {
    /// Whether an experiment that was not decided passes. One without data never does.
    pub undecided_passes: bool,
    /// Whether one that held only when it was run again fails.
    pub flaky_fails: bool,
    /// By how many percent an objective may be worse than the baseline.
    pub worse_by: Option<f64>,
}

/// What the result is made of, beside what happened.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// What counts.
    pub rules: Rules,
    /// The quarantine of each experiment.
    pub quarantines: &'a [Option<Quarantine>],
    /// The day.
    pub today: Date,
    /// The baseline and its name.
    pub baseline: Option<(&'a BaselineFile, &'a BaselineState)>,
    /// When the gate began, RFC 3339.
    pub started: String,
    /// The time box.
    pub within: Option<std::time::Duration>,
    /// What is to be known of the whole.
    pub notes: Vec<String>,
}

/// Puts together what came of the gate. Pure.
pub fn settle(candidates: &[Candidate], driven: Driven, circumstances: Circumstances<'_>) -> GateResult {
    let Circumstances { rules, quarantines, today, baseline, started, within, mut notes } = circumstances;
    let Driven { mut attempts, left_out, interrupted, took } = driven;
    let mut experiments = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let quarantine = quarantines.get(index).cloned().flatten();
        let quarantine = quarantine.map(|quarantine| QuarantineState { over: quarantine.is_over(today), quarantine });
        let attempts = attempts.remove(&index).unwrap_or_default();
        let mut result = experiment(candidate, attempts, left_out.get(&index), quarantine, rules);
        if let (Some((file, state)), Some(report)) =
            (baseline, result.attempts.last().and_then(|attempt| attempt.report.as_deref()))
        {
            let (comparison, verdict) = baseline::compare(report, file.runs(&state.name, candidate.name()));
            result.notes.extend(verdict.map(|told| format!("the verdict changed: {told}")));
            result.comparison = comparison;
            judge_worse(&mut result, rules);
        }
        experiments.push(result);
    }
    let mut codes: Vec<u8> = experiments.iter().map(|result| result.exit_code).collect();
    codes.extend(interrupted.is_some().then_some(130));
    if experiments.iter().all(|result| result.standing == Standing::Quarantined) {
        notes.push("every experiment is in quarantine, so nothing that counts was shown".into());
        codes.push(4);
    }
    GateResult {
        api_version: ApiVersion::V1,
        kind: ResultKind::GateResult,
        version: env!("CARGO_PKG_VERSION").into(),
        started,
        duration: took.as_secs_f64(),
        within: within.map(|within| within.as_secs_f64()),
        exit_code: worst(&codes),
        interrupted,
        notes,
        baseline: baseline.map(|(_, state)| state.clone()),
        experiments,
    }
}

fn experiment(
    candidate: &Candidate,
    attempts: Vec<Attempt>,
    left_out: Option<&String>,
    quarantine: Option<QuarantineState>,
    rules: Rules,
) -> ExperimentResult {
    let mut notes = Vec::new();
    let last = attempts.last();
    let retried = attempts.len() > 1;
    let (mut standing, mut exit_code, because) = match last {
        None => {
            (Standing::NotRun, 3, format!("not run: {}", left_out.map_or("nothing is known of it", String::as_str)))
        }
        Some(last) => {
            let standing = match last.verdict {
                RunVerdict::Held if retried => Standing::Flaky,
                RunVerdict::Held => Standing::Passed,
                RunVerdict::Inconclusive if rules.undecided_passes => Standing::NotDecided,
                _ => Standing::Failed,
            };
            let code = match standing {
                Standing::Flaky if rules.flaky_fails => {
                    worst(&attempts.iter().map(|attempt| attempt.exit_code).collect::<Vec<_>>())
                }
                Standing::Failed => last.exit_code,
                _ => 0,
            };
            (standing, code, last.because.clone())
        }
    };
    if retried {
        let words: Vec<&str> = attempts.iter().map(|attempt| attempt.verdict.word()).collect();
        notes.push(format!("run {} times: {}", attempts.len(), words.join(", then ")));
    }
    if let (Some(because), Some(_)) = (left_out, last) {
        notes.push(format!("not run again: {because}"));
    }
    match &quarantine {
        Some(QuarantineState { quarantine, over: true }) => {
            notes.push(format!("its quarantine was over on {} ({}): it counts", quarantine.until, quarantine.reason));
        }
        Some(QuarantineState { quarantine, over: false }) => {
            let ends = format!("in quarantine until {}: {}", quarantine.until, quarantine.reason);
            if exit_code == 7 {
                notes.push(format!("{ends}; what may be left behind counts all the same"));
            } else {
                let held = matches!(standing, Standing::Passed);
                notes.push(format!("{ends}{}", if held { "; it held, and may leave it" } else { "" }));
                (standing, exit_code) = (Standing::Quarantined, 0);
            }
        }
        None => {}
    }
    ExperimentResult {
        experiment: candidate.name().into(),
        file: candidate.loaded.file.clone(),
        line: candidate.line,
        objective_lines: candidate.objective_lines.clone(),
        labels: candidate.loaded.document.metadata.labels.clone(),
        standing,
        exit_code,
        verdict: last.map(|attempt| attempt.verdict),
        because,
        notes,
        quarantine,
        attempts,
        comparison: Vec::new(),
        worse: false,
    }
}

fn judge_worse(result: &mut ExperimentResult, rules: Rules) {
    let Some(percent) = rules.worse_by else { return };
    let worse: Vec<&Comparison> = result.comparison.iter().filter(|one| one.is_worse_by(percent)).collect();
    if worse.is_empty() {
        return;
    }
    let told = worse.iter().map(|one| format!("{}: more than {percent}% {}", one.objective, one.text));
    result.notes.extend(told.collect::<Vec<_>>());
    result.worse = true;
    if result.standing != Standing::Quarantined && result.exit_code == 0 {
        (result.standing, result.exit_code) = (Standing::Failed, 1);
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
