//! What a score is the mean of: each dependency, and the service itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{FRESH_DAYS, HALF_LIFE_DAYS, Outcome, Trial, WINDOW};

/// The parts of a service's score: in each the experiments that have a verdict there, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parts<'a> {
    /// Each declared dependency; nothing if none was declared.
    pub(super) dependencies: Option<BTreeMap<String, BTreeMap<&'a str, f64>>>,
    /// The experiments that test no declared dependency.
    pub(super) itself: BTreeMap<&'a str, f64>,
}

impl<'a> Parts<'a> {
    /// Of the trials of one service, the oldest first.
    pub(super) fn of(trials: &[&'a Trial], now: Timestamp) -> Self {
        let declared = declared(trials);
        let is_declared = |name: &String| declared.as_ref().is_some_and(|declared| declared.contains(name));
        let itself: Vec<&Trial> = trials.iter().copied().filter(|trial| !trial.tests.iter().any(is_declared)).collect();
        let dependencies = declared.as_ref().map(|declared| {
            let part = |name: &String| {
                let of: Vec<&Trial> = trials.iter().copied().filter(|trial| trial.tests.contains(name)).collect();
                (name.clone(), by_experiment(&of, now))
            };
            declared.iter().map(part).collect()
        });
        Self { dependencies, itself: by_experiment(&itself, now) }
    }

    /// From 0 to 1. A dependency that was not tested is worth nothing, and so is not to say what there are.
    pub(super) fn value(&self) -> f64 {
        let mut parts: Vec<f64> = match &self.dependencies {
            Some(dependencies) => dependencies.values().map(|of| mean(of.values().copied())).collect(),
            None => vec![0.0],
        };
        if !self.itself.is_empty() {
            parts.push(mean(self.itself.values().copied()));
        }
        mean(parts.into_iter())
    }
}

/// What the experiments of a service declare, each by its newest run that came to a verdict.
fn declared(trials: &[&Trial]) -> Option<BTreeSet<String>> {
    let mut newest: BTreeMap<&str, &Trial> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.outcome.is_verdict()) {
        newest.insert(&trial.experiment, trial);
    }
    let lists: Vec<&Vec<String>> = newest.values().filter_map(|trial| trial.depends_on.as_ref()).collect();
    (!lists.is_empty()).then(|| lists.into_iter().flatten().cloned().collect())
}

fn by_experiment<'a>(trials: &[&'a Trial], now: Timestamp) -> BTreeMap<&'a str, f64> {
    let mut by_name: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| trial.outcome.is_verdict()) {
        by_name.entry(&trial.experiment).or_default().push(trial);
    }
    by_name.into_iter().map(|(name, trials)| (name, experiment(&newest_verdicts(&trials), now))).collect()
}

/// The verdicts that count, the oldest first.
pub(super) fn newest_verdicts<'a>(trials: &[&'a Trial]) -> Vec<&'a Trial> {
    let verdicts: Vec<&Trial> = trials.iter().copied().filter(|trial| trial.outcome.is_verdict()).collect();
    let from = verdicts.len().saturating_sub(WINDOW);
    verdicts.into_iter().skip(from).collect()
}

/// The share of held verdicts, each by its freshness, times the freshness of the newest that was held.
///
/// A violated run lowers the share and leaves the freshness; a held one of now raises both.
pub(super) fn experiment(verdicts: &[&Trial], now: Timestamp) -> f64 {
    let weights =
        || verdicts.iter().map(|trial| (trial.outcome == Outcome::Held, freshness(age_days(trial.ended, now))));
    let all: f64 = weights().map(|(_, weight)| weight).sum();
    let held: f64 = weights().filter(|(held, _)| *held).map(|(_, weight)| weight).sum();
    let newest = weights().filter(|(held, _)| *held).map(|(_, weight)| weight).fold(0.0, f64::max);
    if all > 0.0 { held / all * newest } else { 0.0 }
}

/// What a verdict of this age is worth.
pub(super) fn freshness(days: f64) -> f64 {
    (-(days - FRESH_DAYS).max(0.0) / HALF_LIFE_DAYS).exp2()
}

/// Days from then to now; none if then is yet to come.
pub(super) fn age_days(then: Timestamp, now: Timestamp) -> f64 {
    (now.duration_since(then).as_secs_f64() / 86_400.0).max(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 experiments")]
pub(super) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 { 0.0 } else { values.sum::<f64>() / count as f64 }
}
