//! Guardrails on traffic: too few good events, over any of the windows that end now.

use super::{Breach, Guardrail, SHORTEST, presumed};
use crate::hypothesis::phases::Phases;
use crate::hypothesis::statistics::{DecisionRule, threshold};
use crate::hypothesis::stream::Stream;
use crate::hypothesis::verdict::Phase;
use crate::hypothesis::words::{seconds, significant};

impl Guardrail {
    /// Whether less comes than the floor, in good events a second.
    #[expect(clippy::too_many_arguments, reason = "what a breach is made of")]
    pub(super) fn traffic(
        &self,
        stream: &Stream,
        phases: &Phases,
        phase: Phase,
        now: f64,
        floor: f64,
        error_rate: f64,
        rule: &dyn DecisionRule,
    ) -> Option<Breach> {
        self.windows(phases, phase, now).find_map(|window| {
            // Until when the window is complete: a poll covers the time up to it, and the first one in the window also
            // some time before it.
            let (good, covered) = match stream.cadence.starts {
                Some(_) => (presumed(stream, &window, now)?, now - window.from),
                None if now - window.from < f64::from(SHORTEST) => return None,
                None => (window.counts.good(), stream.heard? - window.from - stream.cadence.interval),
            };
            let covered = covered * (1.0 - window.counts.missing_share());
            if covered <= 0.0 || window.counts.readings == 0 || good >= floor * covered {
                return None;
            }
            if !rule.rate_is_shown_below(floor * covered, good, threshold(error_rate) + window.penalty) {
                return None;
            }
            let rate = good / covered;
            Some(Breach {
                counts: window.counts,
                measured: Some(rate),
                measured_text: format!("{} good events/s", significant(rate, 3)),
                because: format!(
                    "{} good events/s over the last {}; at least {}/s asked",
                    significant(rate, 3),
                    seconds(covered),
                    significant(floor, 3)
                ),
            })
        })
    }
}
