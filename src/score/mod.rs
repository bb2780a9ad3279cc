//! The resilience of services over time: one number a service, from the verdicts of its runs, what of its dependencies was
//! tested, and how long ago. Pure: trials and a moment in, scores out; only [`record`] reads journals.
//!
//! `docs/score.md` has the definition with an example. What it keeps to:
//! - only `held` and `violated` count. A run that a guardrail aborted counts as violated. Whatever else a run comes to
//!   (inconclusive, no data, invalid, refused, interrupted, not cleaned up), and every placebo, changes nothing;
//! - what was not tested counts as zero, and so do dependencies that nobody declared;
//! - of one experiment the last [`WINDOW`] verdicts count by their share, the older ones for less;
//! - a verdict is fresh for [`FRESH_DAYS`], and from then on worth half as much every [`HALF_LIFE_DAYS`].

mod advice;
mod parts;
pub mod record;
#[cfg(test)]
mod tests;
pub mod text;
mod trend;

pub use advice::{Advice, AdviceKind};
pub use trend::{AroundRun, WeekScore, around};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::hypothesis::verdict::RunVerdict;
use parts::Parts;

/// How many verdicts of an experiment count: the newest ones.
pub const WINDOW: usize = 5;
/// For so many days a verdict is worth what it was worth on its first.
pub const FRESH_DAYS: f64 = 7.0;
/// After that, in so many days it becomes worth half as much.
pub const HALF_LIFE_DAYS: f64 = 30.0;
/// How many weeks a trend goes back.
const WEEKS: u32 = 12;

/// One run, as far as it says something of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The run's id.
    pub run: String,
    /// The service that it is about.
    pub service: String,
    /// The experiment's name.
    pub experiment: String,
    /// When it ended.
    pub ended: Timestamp,
    /// What it showed.
    pub outcome: Outcome,
    /// What it declares the service to depend on; nothing if it declares nothing.
    pub depends_on: Option<Vec<String>>,
    /// The dependencies that it tests.
    pub tests: Vec<String>,
}

/// What a run showed of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The hypothesis was shown to hold.
    Held,
    /// It was shown not to, or a guardrail was breached.
    Violated,
    /// Neither: with this verdict, or none since the run did not finish.
    Nothing(Option<RunVerdict>),
    /// Nothing, since no fault was injected on purpose.
    Placebo,
}

impl Outcome {
    fn is_verdict(self) -> bool {
        matches!(self, Self::Held | Self::Violated)
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Nothing(Some(verdict)) => verdict.word(),
            Self::Nothing(None) => "unfinished",
            Self::Placebo => "placebo",
        }
    }
}

/// The score of a service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceScore {
    /// The service.
    pub service: String,
    /// From 0 to 100, rounded down to a tenth.
    pub score: f64,
    /// How many runs it has, those that count for nothing included.
    pub runs: usize,
    /// Its dependencies with a score each; nothing if no experiment declares them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<Vec<DependencyScore>>,
    /// The score of the experiments that test none of the dependencies, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itself: Option<f64>,
    /// Its experiments.
    pub experiments: Vec<ExperimentScore>,
    /// The score at the end of each of the last weeks, the oldest first.
    pub trend: Vec<WeekScore>,
    /// What would raise it, the most first.
    pub advice: Vec<Advice>,
}

/// The score of one dependency of a service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyScore {
    /// Its name.
    pub name: String,
    /// From 0 to 100: the mean of the experiments that test it, 0 without any.
    pub score: f64,
    /// Those with a verdict.
    pub experiments: Vec<String>,
}

/// The score of one experiment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentScore {
    /// Its name.
    pub name: String,
    /// From 0 to 100: the share of held verdicts, as fresh as the newest of them.
    pub score: f64,
    /// How many of its newest verdicts were held.
    pub held: usize,
    /// Of how many.
    pub of: usize,
    /// How its newest run ended, whether that counts or not.
    pub last: String,
    /// That run.
    pub last_run: String,
    /// Days since its newest verdict that counts; nothing if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<f64>,
}

/// The scores of all services with trials that ended by this moment, in alphabetical order.
pub fn scores(trials: &[Trial], now: Timestamp) -> Vec<ServiceScore> {
    let services: BTreeSet<&str> =
        trials.iter().filter(|trial| trial.ended <= now).map(|trial| trial.service.as_str()).collect();
    services.into_iter().map(|service| one(service, trials, now)).collect()
}

fn one(service: &str, all: &[Trial], now: Timestamp) -> ServiceScore {
    let trials = until(all.iter().filter(|trial| trial.service == service), now);
    let parts = Parts::of(&trials, now);
    let dependencies = parts.dependencies.as_ref().map(|dependencies| {
        let score = |(name, experiments): (&String, &BTreeMap<&str, f64>)| DependencyScore {
            name: name.clone(),
            score: points(parts::mean(experiments.values().copied())),
            experiments: experiments.keys().map(|name| (*name).to_owned()).collect(),
        };
        dependencies.iter().map(score).collect()
    });
    ServiceScore {
        service: service.to_owned(),
        score: points(parts.value()),
        runs: trials.len(),
        dependencies,
        itself: (!parts.itself.is_empty()).then(|| points(parts::mean(parts.itself.values().copied()))),
        experiments: experiments(&trials, now),
        trend: trend::weeks(&trials, now, WEEKS),
        advice: advice::advice(&trials, now),
    }
}

/// Those that ended by then, the oldest first.
fn until<'a>(trials: impl Iterator<Item = &'a Trial>, now: Timestamp) -> Vec<&'a Trial> {
    let mut trials: Vec<&Trial> = trials.filter(|trial| trial.ended <= now).collect();
    trials.sort_by(|one, other| (one.ended, &one.run).cmp(&(other.ended, &other.run)));
    trials
}

fn experiments(trials: &[&Trial], now: Timestamp) -> Vec<ExperimentScore> {
    let mut by_name: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        by_name.entry(&trial.experiment).or_default().push(trial);
    }
    let score = |(name, trials): (&str, Vec<&Trial>)| {
        let newest = parts::newest_verdicts(&trials);
        let last = trials.last()?;
        Some(ExperimentScore {
            name: name.to_owned(),
            score: points(parts::experiment(&newest, now)),
            held: newest.iter().filter(|trial| trial.outcome == Outcome::Held).count(),
            of: newest.len(),
            last: last.outcome.word().to_owned(),
            last_run: last.run.clone(),
            age_days: newest.last().map(|trial| (parts::age_days(trial.ended, now) * 10.0).floor() / 10.0),
        })
    };
    by_name.into_iter().filter_map(score).collect()
}

/// A share as points of a hundred, rounded down to a tenth, so that 100 says 100.
fn points(share: f64) -> f64 {
    // A share such as 0.7 is a little less than that in binary.
    ((share * 1000.0 + 1e-9).floor() / 10.0).clamp(0.0, 100.0)
}
