//! The hard cap: a run is aborted when it has spent its allowance of an error budget. What was counted is certain, so
//! no test and no error rate stand between the count and the breach.

use crate::experiment::document::{BurnRate, ErrorBound, Objective, Spec};
use crate::signals::sample::Reading;
use crate::slo::budget::BudgetState;

use super::phases::Phases;
use super::tally::Counts;
use super::verdict::{ObjectiveVerdict, Phase, Verdict};
use super::words::count;
use super::{bound::Meaning, stream::Stream};

/// What of a budget may be spent, and what was.
#[derive(Debug, Clone)]
pub(super) struct BudgetCap {
    pub(super) stream: usize,
    objective: Objective,
    /// What was read before the run; nothing until then.
    state: Option<BudgetState>,
    /// What was counted since the first injection.
    counts: Counts,
}

impl BudgetCap {
    /// The cap of a document that has a budget, by the number of its signal.
    pub(super) fn of(spec: &Spec, stream: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let budget = spec.budget.as_ref()?;
        let signal = spec.budget_signal()?;
        let below = spec.slos.get(&budget.slo)?.define.as_ref()?.allowed();
        let objective = Objective {
            signal: signal.to_owned(),
            slo: Some(budget.slo.clone()),
            errors: Some(ErrorBound { below: Some(below), at_most: None, of: None }),
            burn_rate: Some(BurnRate { allowance: Some(budget.allowance), ..BurnRate::default() }),
            latency: None,
            traffic: None,
            saturation: None,
            value: None,
        };
        Some(Self { stream: stream(signal)?, objective, state: None, counts: Counts::default() })
    }

    pub(super) fn read(&mut self, state: &BudgetState) {
        self.state = Some(state.clone());
    }

    pub(super) fn observe(&mut self, phases: &Phases, at: f64, reading: &Reading) {
        let injected = phases.span(Phase::During).is_some_and(|during| at >= during.begin);
        if let (true, Reading::Counts { bad, total }) = (injected, reading) {
            self.counts.add(Meaning::Events { bad: *bad, total: *total });
        }
    }

    /// Whether the allowance is spent.
    pub(super) fn breach(&self, stream: &Stream, phase: Phase) -> Option<ObjectiveVerdict> {
        let state = self.state.as_ref()?;
        let bad = self.counts.bad();
        // A single fraction of an event is none; an allowance below one event is spent by the first.
        if bad < state.allowance || bad <= 0.0 {
            return None;
        }
        let share = bad / state.budget;
        Some(ObjectiveVerdict {
            objective: self.objective.clone(),
            description: format!("{}: spends at most {} of {}", stream.name, self.allowance(), state.name()),
            phase,
            verdict: Verdict::Violated,
            measured: Some(share * 100.0),
            measured_text: format!("{} of {}", super::words::percent(share), state.name()),
            events: self.counts.total(),
            bad,
            error_rate: 0.0,
            effect: None,
            because: format!(
                "{} bad events since the fault, and {} were allowed",
                count(bad.round()),
                super::words::significant(state.allowance, 3)
            ),
        })
    }

    fn allowance(&self) -> String {
        let allowance = self.objective.burn_rate.and_then(|burn| burn.allowance);
        allowance.map_or_else(String::new, |allowance| allowance.to_string())
    }
}
