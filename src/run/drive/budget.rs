//! The error budget, before anything is injected: enough must be left, and it must not burn already.

use std::collections::BTreeMap;

use super::{Drive, Happening};
use crate::experiment::document::Signal;
use crate::signals::prometheus;
use crate::slo::budget::{assess, questions};

impl Drive<'_, '_> {
    /// Reads the budget that the run may spend, and refuses to begin when it does not cover the run.
    pub(super) async fn check_budget(&mut self) -> Result<(), String> {
        let spec = &self.request.experiment.spec;
        let Some(budget) = &spec.budget else { return Ok(()) };
        let unknown = |why: &str| format!("nothing is known of the error budget of {}: {why}", budget.slo);
        let definition = spec.slos.get(&budget.slo).and_then(|slo| slo.define.as_ref());
        let definition = definition.ok_or_else(|| unknown("the document does not say what it is"))?;
        let signal = match spec.budget_signal().and_then(|name| spec.signals.get(name)) {
            Some(Signal::Prometheus(signal)) => signal,
            _ => return Err(unknown("its signal is not one of Prometheus")),
        };
        let mut answers = BTreeMap::new();
        for (name, query) in questions(definition, jiff::Timestamp::now()).map_err(|why| unknown(&why))? {
            let answer = prometheus::number(signal, query.clone()).await;
            answers.insert(name, answer.map_err(|why| format!("{why} (asked for `{query}` of {})", signal.url)));
        }
        let state = assess(definition, budget, |question| {
            answers.get(question).cloned().unwrap_or_else(|| Err(format!("`{question}` was not asked")))
        })?;
        self.note(Happening::Budget(Box::new(state)));
        Ok(())
    }
}
