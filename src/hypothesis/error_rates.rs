//! How the error rate of the document is spent.

use crate::experiment::document::Spec;

use super::decide::ErrorRates;

impl ErrorRates {
    /// A healthy run is refused, violated or aborted by chance with at most the probability that the document states: it is
    /// divided by everything that could go wrong by chance, each objective in each phase and each guardrail (Bonferroni).
    /// "Held" needs no division: a run is held only if every objective is held in every phase, so that a run with any one of
    /// them broken is passed with at most the stated probability (an intersection-union test, Berger 1982).
    #[expect(clippy::cast_precision_loss, reason = "a document has far fewer than 2^53 objectives")]
    pub(super) fn of(error_rate: f64, spec: &Spec) -> Self {
        let chances = 3 * spec.steady_state.len() + spec.guardrails.len();
        Self { harm: error_rate / chances as f64, health: error_rate }
    }
}

/// How often the judge may call signals unfit that are not, over all objectives of a healthy run: a tenth of the error
/// rate that the document states, divided by the objectives (Bonferroni). It comes on top of that error rate, and makes a
/// run inconclusive, never held nor violated.
#[expect(clippy::cast_precision_loss, reason = "a document has far fewer than 2^53 objectives")]
pub(super) fn unfit_rate(error_rate: f64, spec: &Spec) -> f64 {
    error_rate / 10.0 / spec.steady_state.len().max(1) as f64
}
