//! What happens in runs, as the controller's log tells it, its metrics count it, and others hear of it.

use super::telling::Telling;
use crate::controller::Metrics;
use crate::dispatch::Listener;
use crate::run::journal::{Entry, Event};
use crate::store::runs::Run;

/// The log, what is counted, and what is told.
pub(super) struct Log(pub(super) Metrics, pub(super) Telling);

impl Listener for Log {
    fn entry(&self, run: &Run, entry: &Entry) {
        self.0.entry(run, entry);
        self.1.entry(run, entry);
        let (run, experiment) = (run.id.as_str(), run.experiment.as_str());
        match &entry.event {
            Event::State { state, because } => tracing::info!(run, experiment, ?state, because, "a run enters a state"),
            Event::Injected { fault, .. } => tracing::info!(run, experiment, %fault, "a fault is in place"),
            Event::InjectionFailed { fault, reason } => {
                tracing::warn!(run, experiment, %fault, reason, "a fault could not be put in place");
            }
            Event::Undone { fault, verified, .. } => {
                tracing::info!(run, experiment, %fault, verified, "a fault is undone");
            }
            Event::Breached { guardrail } => {
                tracing::warn!(run, experiment, guardrail = guardrail.description, "a guardrail is breached");
            }
            _ => {}
        }
    }

    fn over(&self, run: &Run) {
        self.0.over(run);
        self.1.over(run);
        let (verdict, because) =
            (run.verdict.as_deref().unwrap_or_default(), run.because.as_deref().unwrap_or_default());
        tracing::info!(
            run = run.id,
            experiment = run.experiment,
            state = run.state.as_str(),
            verdict,
            because,
            "a run is over"
        );
    }
}
