//! What came of a gate, one file a format. Like every report, made from data alone: the same result gives the same text.

pub mod annotations;
mod human;
mod json;
mod junit;
mod markdown;

#[cfg(test)]
pub(crate) mod fixture;

use super::ReportError;
use super::ink::Ink;
use crate::gate::result::{ExperimentResult, GateResult, Standing};

/// The formats of a gate's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateFormat {
    /// For people.
    Human {
        /// Whether to use colour.
        colour: bool,
    },
    /// All data.
    Json,
    /// JUnit XML, a suite an experiment.
    Junit,
    /// Markdown, for the summary of a job.
    Markdown,
}

/// Writes a result in a format.
///
/// # Errors
/// If the format cannot hold what the result says.
pub fn render(result: &GateResult, format: GateFormat) -> Result<String, ReportError> {
    match format {
        GateFormat::Human { colour } => Ok(human::render(result, colour)),
        GateFormat::Json => json::render(result),
        GateFormat::Junit => junit::render(result),
        GateFormat::Markdown => Ok(markdown::render(result)),
    }
}

/// What an exit code means, in a few words.
fn meaning(code: u8) -> &'static str {
    match code {
        0 => "passed",
        1 => "violated",
        2 => "a document or the usage is wrong",
        3 => "a precondition is not met, or something did not run",
        4 => "inconclusive, or no data",
        5 => "aborted, and recovered",
        6 => "a fault was not applied, or had no effect",
        7 => "a cleanup could not be verified",
        130 => "interrupted, and undone",
        _ => "unknown",
    }
}

/// What an experiment is to the gate, in words.
fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Passed => "passed",
        Standing::Flaky => "FLAKY",
        Standing::NotDecided => "not decided",
        Standing::Failed => "FAILED",
        Standing::Quarantined => "QUARANTINED",
        Standing::NotRun => "NOT RUN",
    }
}

fn sign(result: &ExperimentResult) -> (&'static str, &'static str, Ink) {
    match (result.standing, result.exit_code) {
        (Standing::Passed, _) => ("✔", "✅", Ink::Good),
        (Standing::Flaky | Standing::NotDecided, 0) | (Standing::Quarantined, _) => ("!", "⚠️", Ink::Open),
        (Standing::NotRun, _) => ("–", "➖", Ink::Bad),
        _ => ("✘", "❌", Ink::Bad),
    }
}

/// How many of what: `4 experiments: 2 passed, 1 FAILED, 1 QUARANTINED`.
fn tally(result: &GateResult) -> String {
    let all = [
        Standing::Passed,
        Standing::Flaky,
        Standing::NotDecided,
        Standing::Failed,
        Standing::Quarantined,
        Standing::NotRun,
    ];
    let counts = all.into_iter().filter_map(|kind| {
        let count = result.experiments.iter().filter(|one| one.standing == kind).count();
        (count > 0).then(|| format!("{count} {}", standing(kind)))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let number = result.experiments.len();
    format!("{number} experiment{}: {counts}", if number == 1 { "" } else { "s" })
}
