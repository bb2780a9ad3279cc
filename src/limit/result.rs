//! What came of a search: the limit with its interval, what was asked of it, and the exit code. Pure.

use std::path::PathBuf;

use serde::Serialize;

use super::asked::worst_code;
pub use super::asked::{Asked, Met, Requirement};
use super::drive::{Driven, Ending};
use super::search::{Answer, Known, Search, Stop};
use super::{Dose, DoseRange};
use crate::experiment::document::ApiVersion;
use crate::hypothesis::verdict::RunVerdict;
use crate::report::notation;

/// What the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum LimitResultKind {
    /// That of a search for a limit.
    LimitResult,
}

/// What came of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The limit, as narrow as was wanted.
    Found,
    /// The harshest dose of the range holds: the limit is beyond it.
    HoldsThroughout,
    /// Not even the mildest dose of the range holds.
    NeverHolds,
    /// The limit lies in an interval that is wider than was wanted.
    NotNarrow,
    /// Nothing is known: no run came to an answer.
    NotKnown,
}

impl Outcome {
    /// Whether it is a limit that can be kept and compared with.
    pub const fn is_found(self) -> bool {
        matches!(self, Self::Found | Self::HoldsThroughout)
    }
}

/// A dose in a result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoseTold {
    /// As a document has it: `231ms`.
    pub written: String,
    /// Its number: seconds of a time, bytes, percent, times a second, or the number itself.
    pub number: f64,
    /// For people: `231 ms`.
    #[serde(skip)]
    pub told: String,
}

impl From<Dose> for DoseTold {
    fn from(dose: Dose) -> Self {
        Self { written: dose.written(), number: dose.number, told: dose.told() }
    }
}

/// A run of the search.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// The dose.
    pub dose: DoseTold,
    /// The run's id; nothing if it could not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its verdict.
    pub verdict: RunVerdict,
    /// What it says about the limit.
    pub answer: Answer,
    /// Why, in one sentence.
    pub because: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// Its folder, with journal and report, if it is on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// Everything that came of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitResult {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `LimitResult`.
    pub kind: LimitResultKind,
    /// The version of faultline.
    pub version: String,
    /// When the search began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The experiment's name.
    pub experiment: String,
    /// Its file.
    pub file: String,
    /// The parameter, as `--set` names it.
    pub parameter: String,
    /// The mildest dose of the range.
    pub from: DoseTold,
    /// The harshest.
    pub to: DoseTold,
    /// With which probability a single answer may be wrong.
    pub error_rate: f64,
    /// The probability of the interval, from 0 to 1.
    pub confidence: f64,
    /// What came of it.
    pub outcome: Outcome,
    /// The exit code.
    pub exit_code: u8,
    /// The limit: as likely too low as too high.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<DoseTold>,
    /// The lower end of the interval: the hypothesis is taken to hold there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<DoseTold>,
    /// The upper end of the interval: the hypothesis is taken to fail there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<DoseTold>,
    /// The same in a sentence.
    pub answer: String,
    /// Why no more was run, in a sentence; nothing if the limit was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What was asked of the limit.
    pub requirements: Vec<Requirement>,
    /// The runs, in order.
    pub runs: Vec<RunRow>,
}

/// What the result is made of, beside what was run.
#[derive(Debug, Clone)]
pub struct Circumstances<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// Its file.
    pub file: &'a str,
    /// The parameter's path.
    pub parameter: &'a str,
    /// The range.
    pub range: &'a DoseRange,
    /// With which probability an answer may be wrong.
    pub error_rate: f64,
    /// The probability of the interval.
    pub confidence: f64,
    /// When the search began, RFC 3339.
    pub started: String,
    /// What is asked of the limit.
    pub asked: &'a [Asked],
}

/// Puts together what came of the search.
pub fn settle(search: &Search, driven: Driven, circumstances: Circumstances<'_>) -> LimitResult {
    let Circumstances { experiment, file, parameter, range, error_rate, confidence, started, asked } = circumstances;
    let Driven { runs, ending, took } = driven;
    let known = search.known();
    let dose = |index: usize| range.dose(search.dose(index));
    let answered = runs.iter().any(|run| run.answer != Answer::None);
    let outcome = match (answered, known, &ending) {
        (false, ..) => Outcome::NotKnown,
        (true, Known { high: None, .. }, Ending::Search(Stop::Known)) => Outcome::HoldsThroughout,
        (true, Known { low: None, .. }, Ending::Search(Stop::Known)) => Outcome::NeverHolds,
        (true, _, Ending::Search(Stop::Known)) => Outcome::Found,
        (true, ..) => Outcome::NotNarrow,
    };
    let known = if answered { known } else { Known { limit: None, low: None, high: None } };
    let [limit, low, high] = [known.limit, known.low, known.high].map(|index| index.map(dose));
    let requirements: Vec<Requirement> = asked.iter().map(|asked| asked.compared(range, low, high)).collect();
    let exit_code = exit_code(&ending, outcome, &requirements);
    let answer = answer(outcome, limit, low, high, confidence, runs.len(), range);
    LimitResult {
        api_version: ApiVersion::V1,
        kind: LimitResultKind::LimitResult,
        version: env!("CARGO_PKG_VERSION").into(),
        started,
        duration: took.as_secs_f64(),
        experiment: experiment.into(),
        file: file.into(),
        parameter: parameter.into(),
        from: range.dose(range.mildest).into(),
        to: range.dose(range.harshest).into(),
        error_rate,
        confidence,
        outcome,
        exit_code,
        limit: limit.map(Into::into),
        low: low.map(Into::into),
        high: high.map(Into::into),
        answer,
        because: because(&ending),
        requirements,
        runs: runs
            .into_iter()
            .map(|run| RunRow {
                dose: run.dose.into(),
                run: run.attempt.run,
                verdict: run.attempt.verdict,
                answer: run.answer,
                because: run.attempt.because,
                duration: run.attempt.duration,
                folder: run.attempt.folder,
            })
            .collect(),
    }
}

fn exit_code(ending: &Ending, outcome: Outcome, requirements: &[Requirement]) -> u8 {
    match ending {
        Ending::Interrupted(_) => return 130,
        Ending::Broken(verdict, _) => return verdict.exit_code(),
        Ending::Search(_) | Ending::TimeBox => {}
    }
    if requirements.is_empty() {
        return match outcome {
            Outcome::Found | Outcome::HoldsThroughout => 0,
            Outcome::NeverHolds => 1,
            Outcome::NotNarrow | Outcome::NotKnown => 4,
        };
    }
    worst_code(requirements)
}

fn because(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Search(Stop::Known) => None,
        Ending::Search(Stop::RunsSpent) => Some("there were as many runs as there may be: --runs allows more".into()),
        Ending::Search(Stop::Undecided) => Some(
            "the doses that are left were run and not decided: more events for the judge (a longer `for`, a higher rate) decide them"
                .into(),
        ),
        Ending::TimeBox => Some("the time box has no room for another run: --within gives more".into()),
        Ending::Interrupted(because) | Ending::Broken(_, because) => Some(because.clone()),
    }
}

fn answer(
    outcome: Outcome,
    limit: Option<Dose>,
    low: Option<Dose>,
    high: Option<Dose>,
    confidence: f64,
    runs: usize,
    range: &DoseRange,
) -> String {
    let sure = notation::measure(confidence * 100.0, "%");
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    let told = |number: f64| range.dose(number).told();
    let (mildest, harshest) = (told(range.mildest), told(range.harshest));
    match outcome {
        Outcome::NotKnown => format!("nothing is known of the limit after {runs}"),
        Outcome::HoldsThroughout => {
            format!("holds up to {harshest}, the end of the range, and perhaps beyond it ({sure}) in {runs}")
        }
        Outcome::NeverHolds => {
            format!("does not hold even at {mildest}, the mildest dose of the range ({sure}), in {runs}")
        }
        Outcome::Found | Outcome::NotNarrow => {
            let about = if outcome == Outcome::NotNarrow { "about " } else { "" };
            let limit = limit.map_or_else(|| format!("less than {mildest}"), Dose::told);
            let low = low.map_or_else(|| format!("less than {mildest}"), Dose::told);
            let high = high.map_or_else(|| format!("more than {harshest}"), Dose::told);
            let (low, high) = apart(&low, &high);
            format!("holds up to {about}{limit} ({sure}: {low} to {high}) in {runs}")
        }
    }
}

/// `225` and `240 ms` of `225 ms` and `240 ms`.
fn apart<'a>(low: &'a str, high: &'a str) -> (&'a str, &'a str) {
    let unit = |text: &'a str| text.rsplit_once(' ');
    match (unit(low), unit(high)) {
        (Some((number, one)), Some((_, other))) if one == other && !number.contains(' ') => (number, high),
        _ => (low, high),
    }
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
