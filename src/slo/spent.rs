//! What a run spent of an error budget. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{BudgetState, percent};
use crate::run::journal::{Entry, Event, RunState};
use crate::signals::sample::{Reading, Sample};

/// What a run spent of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSpent {
    /// What there was before the run.
    pub before: BudgetState,
    /// The bad events from the first injection to the run's end.
    pub bad: f64,
    /// How many of them would have come anyway, as fast as in the baseline. They count against the run's allowance all the
    /// same, since nobody can tell them apart while it runs.
    #[serde(default)]
    pub usual: f64,
}

impl BudgetSpent {
    /// What a run spent, from the entries of its journal; nothing if it has no budget, or ended before it was read.
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let mut signal = None;
        let mut before = None;
        let mut injected = f64::INFINITY;
        let mut counted = Vec::new();
        for entry in entries {
            match &entry.event {
                Event::Started(started) => signal = Some(started.experiment.spec.budget_signal()?.to_owned()),
                Event::Budget(state) => before = Some(state.as_ref().clone()),
                Event::State { state: RunState::Injecting, .. } => injected = injected.min(entry.at),
                Event::Sample(Sample { signal: of, at, reading: Reading::Counts { bad, .. } })
                    if signal.as_ref() == Some(of) =>
                {
                    counted.push((*at, *bad));
                }
                _ => {}
            }
        }
        let (bad, usual) = bad_and_usual(&counted, injected);
        Some(Self { before: before?, bad, usual })
    }

    /// Which share of the budget chaos spent: what came beyond the usual.
    pub fn share(&self) -> f64 {
        (self.bad - self.usual) / self.before.budget
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        let left = 1.0 - (self.before.spent + self.bad) / self.before.budget;
        let anyway =
            if self.usual > 0.0 { format!(", {} of which come anyway", whole(self.usual)) } else { String::new() };
        format!(
            "chaos spent {} of {} ({} bad events of {}{anyway}; {} were allowed); {} of it is left",
            percent(self.share()),
            self.before.name(),
            whole(self.bad),
            whole(self.before.budget),
            whole(self.before.allowance),
            percent(left)
        )
    }
}

/// Of bad events as they were counted, each with the moment: those from a moment on, and how many of them would have come
/// as fast as those before it did.
fn bad_and_usual(counted: &[(f64, f64)], from: f64) -> (f64, f64) {
    let (before, after) = counted.split_at(counted.partition_point(|(at, _)| *at < from));
    let bad = after.iter().map(|(_, bad)| bad).sum();
    let (Some((first, earlier)), Some((end, _))) = (before.split_first(), after.last()) else { return (bad, 0.0) };
    // What the first sample counts came before it.
    let (until, came) = (before[before.len() - 1].0, earlier.iter().map(|(_, bad)| bad).sum::<f64>());
    let lasted = until - first.0;
    let usual = if lasted > 0.0 { came / lasted * (end - until) } else { 0.0 };
    (bad, usual.min(bad))
}

/// A count of events, which Prometheus may tell in fractions.
fn whole(count: f64) -> String {
    let text = if count < 10.0 { format!("{count:.1}") } else { format!("{count:.0}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_come_anyway_is_not_what_chaos_spent() {
        // 2 in 10 s, then 9 in 20 s.
        let counted = [(0.0, 70.0), (5.0, 2.0), (10.0, 0.0), (20.0, 5.0), (30.0, 4.0)];
        assert_eq!(bad_and_usual(&counted, 11.0), (9.0, 4.0));
        assert_eq!(bad_and_usual(&counted, 0.0), (81.0, 0.0), "nothing is known of before");
        assert_eq!(bad_and_usual(&counted[..3], 11.0), (0.0, 0.0));
        let quiet = [(0.0, 0.0), (10.0, 5.0), (20.0, 1.0)];
        assert_eq!(bad_and_usual(&quiet, 11.0), (1.0, 1.0), "never more than came");
        assert_eq!(bad_and_usual(&[], 1.0), (0.0, 0.0));
    }

    #[test]
    fn it_is_told_in_one_sentence() {
        let before = serde_json::json!({"slo": "checkout", "service": "shop", "window": "30d", "events": 1e6,
            "budget": 1000.0, "spent": 100.0, "allowance": 10.0});
        let mut spent = BudgetSpent { before: serde_json::from_value(before).unwrap(), bad: 9.0, usual: 4.0 };
        insta::assert_snapshot!(spent.sentence(), @"chaos spent 0.5% of the 30d budget of shop (9 bad events of 1000, 4 of which come anyway; 10 were allowed); 89.1% of it is left");
        spent.usual = 0.0;
        insta::assert_snapshot!(spent.sentence(), @"chaos spent 0.9% of the 30d budget of shop (9 bad events of 1000; 10 were allowed); 89.1% of it is left");
    }
}
