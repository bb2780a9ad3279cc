//! What would raise a score: each thing that can be done, with the points that one held run of it would add now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{Parts, age_days, newest_verdicts};
use super::{Outcome, Trial, points};

/// Something that would raise a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Advice {
    /// What to do.
    pub what: AdviceKind,
    /// With what: the name of an experiment, of a dependency, or of the service.
    pub about: String,
    /// How many points one held run would add now.
    pub gain: f64,
    /// The same in words.
    pub sentence: String,
}

/// What can be done for a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceKind {
    /// Test a dependency that has no verdict.
    TestDependency,
    /// Mend what an experiment shows to be violated.
    Mend,
    /// Run an experiment again: its verdict is old, its last run decided nothing, or it was not always held.
    RunAgain,
    /// Say on what the service depends.
    DeclareDependencies,
}

/// What can be done for a service by its trials, the oldest first: what adds the most points first, and nothing that adds
/// less than a tenth.
pub(super) fn advice(trials: &[&Trial], now: Timestamp) -> Vec<Advice> {
    let parts = Parts::of(trials, now);
    let value = points(parts.value());
    let with = |trial: Trial| {
        let more: Vec<&Trial> = trials.iter().copied().chain([&trial]).collect();
        rounded(points(Parts::of(&more, now).value()) - value)
    };
    let mut all = Vec::new();
    let Some(newest) = trials.last() else { return all };
    if parts.dependencies.is_none() {
        let declared = with(Trial { depends_on: Some(Vec::new()), ..as_held(newest, now) });
        all.push(Advice {
            what: AdviceKind::DeclareDependencies,
            about: newest.service.clone(),
            gain: declared,
            sentence: format!(
                "say what {} depends on (`spec.about.dependsOn`, an empty list for nothing): what is not known counts as not \
                 tested",
                newest.service
            ),
        });
    }
    for (name, _) in parts.dependencies.iter().flatten().filter(|(_, experiments)| experiments.is_empty()) {
        let tested =
            Trial { experiment: format!("a test of {name}"), tests: vec![name.clone()], ..as_held(newest, now) };
        all.push(Advice {
            what: AdviceKind::TestDependency,
            about: name.clone(),
            gain: with(tested),
            sentence: format!("test the dependency `{name}`: no run of it came to a verdict"),
        });
    }
    let mut by_name: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
    for trial in trials {
        by_name.entry(&trial.experiment).or_default().push(trial);
    }
    for (name, trials) in by_name {
        let Some(last) = trials.iter().rev().find(|trial| trial.outcome != Outcome::Placebo) else { continue };
        let (what, sentence) = of_experiment(name, last, &newest_verdicts(&trials), now);
        all.push(Advice { what, about: name.to_owned(), gain: with(as_held(last, now)), sentence });
    }
    all.retain(|advice| advice.gain >= 0.1);
    all.sort_by(|one, other| {
        other.gain.total_cmp(&one.gain).then_with(|| (one.what, &one.about).cmp(&(other.what, &other.about)))
    });
    all
}

/// The same experiment once more, now, and held.
fn as_held(trial: &Trial, now: Timestamp) -> Trial {
    Trial { run: "~".into(), ended: now, outcome: Outcome::Held, ..trial.clone() }
}

fn of_experiment(name: &str, last: &Trial, verdicts: &[&Trial], now: Timestamp) -> (AdviceKind, String) {
    let held = verdicts.iter().filter(|trial| trial.outcome == Outcome::Held).count();
    let (of, run) = (verdicts.len(), &last.run);
    match (last.outcome, verdicts.last()) {
        (Outcome::Nothing(_) | Outcome::Placebo, _) => {
            let word = last.outcome.word();
            (
                AdviceKind::RunAgain,
                format!("run `{name}` to a verdict: its last run, {run}, came to {word}, which proves nothing"),
            )
        }
        (Outcome::Violated, _) => {
            let times = if held == 0 && of == 1 {
                String::new()
            } else {
                format!(" in {} of its last {of} verdicts", of - held)
            };
            (AdviceKind::Mend, format!("mend what `{name}` shows: violated{times}, last in run {run}"))
        }
        (Outcome::Held, _) if held < of => {
            let sentence = format!("run `{name}` again: it was held in {held} of its last {of} verdicts");
            (AdviceKind::RunAgain, sentence)
        }
        (Outcome::Held, newest) => {
            let age = newest.map_or(0.0, |newest| age_days(newest.ended, now)).floor();
            (AdviceKind::RunAgain, format!("run `{name}` again: its last verdict is {age} days old"))
        }
    }
}

fn rounded(points: f64) -> f64 {
    (points * 10.0).round() / 10.0
}
