//! A score over time.

use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::advice::{self, Advice};
use super::parts::Parts;
use super::{Trial, points, until};

/// How many weeks the report of a run shows.
const WEEKS_OF_REPORT: u32 = 8;

/// A score at the end of a week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeekScore {
    /// The last day of the week, in UTC.
    pub until: String,
    /// From 0 to 100.
    pub score: f64,
    /// How many runs ended in the week.
    pub runs: usize,
}

/// The score of a service before a run and after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AroundRun {
    /// The service.
    pub service: String,
    /// At the end of the run, without it.
    pub before: f64,
    /// At the end of the run, with it.
    pub after: f64,
    /// How many runs of the service there were before.
    pub earlier_runs: usize,
    /// The score at the end of each of the weeks before, the oldest first.
    pub trend: Vec<WeekScore>,
    /// What would raise it most.
    pub advice: Vec<Advice>,
}

impl AroundRun {
    /// In one sentence.
    pub fn sentence(&self) -> String {
        let runs = if self.earlier_runs == 1 { "1 run".into() } else { format!("{} runs", self.earlier_runs) };
        let change = if self.after > self.before {
            "raised"
        } else if self.after < self.before {
            "lowered"
        } else {
            "left"
        };
        let to = if change == "left" { String::new() } else { format!(" to {:.1}", self.after) };
        format!("{runs} before this one had it at {:.1} of 100; this one {change} it{to}.", self.before)
            .replace("left it.", "left it there.")
    }
}

/// The score at the end of each week that ends at this hour of today's weekday, from the first run on.
pub(super) fn weeks(trials: &[&Trial], now: Timestamp, most: u32) -> Vec<WeekScore> {
    let Some(first) = trials.first() else { return Vec::new() };
    let week = |back: u32| {
        let end = now.checked_sub((168 * i64::from(back)).hours()).ok()?;
        let start = end.checked_sub(168.hours()).ok()?;
        let then = until(trials.iter().copied(), end);
        (first.ended <= end).then(|| WeekScore {
            until: end.strftime("%Y-%m-%d").to_string(),
            score: points(Parts::of(&then, end).value()),
            runs: then.iter().filter(|trial| trial.ended > start).count(),
        })
    };
    (0..most).rev().filter_map(week).collect()
}

/// The score of a run's service before it and after it; nothing if the run is not among the trials, or is the first.
pub fn around(trials: &[Trial], run: &str) -> Option<AroundRun> {
    let this = trials.iter().find(|trial| trial.run == run)?;
    let with = until(trials.iter().filter(|trial| trial.service == this.service), this.ended);
    let without: Vec<&Trial> = with.iter().copied().filter(|trial| trial.run != run).collect();
    if without.is_empty() {
        return None;
    }
    let mut advice = advice::advice(&with, this.ended);
    advice.truncate(3);
    Some(AroundRun {
        service: this.service.clone(),
        before: points(Parts::of(&without, this.ended).value()),
        after: points(Parts::of(&with, this.ended).value()),
        earlier_runs: without.len(),
        trend: weeks(&with, this.ended, WEEKS_OF_REPORT),
        advice,
    })
}
