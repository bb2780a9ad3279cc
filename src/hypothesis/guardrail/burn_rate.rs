//! Burn-rate guardrails at the scale of an experiment.
//!
//! An alert on a budget of 30 days looks at an hour and five minutes (SRE workbook, chapter 5); a run is over by then.
//! Here a run may spend an allowance B of the budget of a window P in a time T, so that it burns at most B·P/T times as
//! fast as the target allows. Two pairs of windows are looked at: T with T/12, at that rate, and T/2 with T/24, at twice
//! the rate. A pair breaches when both of its windows are above: the long one by a test, since few events prove nothing,
//! and with a minimum of events; the short one as it is, so that what is over already breaches nothing.
//!
//! Each second starts one test (a long window that begins there) with its share of the error rate; the pairs halve it, and
//! so do the time before the fault and the time from then on. So a run that burns at the very rate that is allowed is aborted by chance with at most the error rate.

use super::{Breach, Guardrail, SHORTEST, Window, presumed, second};
use crate::experiment::document::BurnRate;
use crate::hypothesis::phases::Phases;
use crate::hypothesis::statistics::{DecisionRule, threshold};
use crate::hypothesis::stream::Stream;
use crate::hypothesis::tally::Counts;
use crate::hypothesis::verdict::Phase;
use crate::hypothesis::words::{count, percent, seconds};

/// The parts of the time and the multiples of the rate of the two pairs.
const PAIRS: [f64; 2] = [1.0, 2.0];
/// How much shorter the short window of a pair is.
const SHORT: f64 = 12.0;

impl Guardrail {
    /// Whether the budget burns too fast; `allowed` is the share of bad events that spends the allowance in its time.
    #[expect(clippy::too_many_arguments, reason = "what a breach is made of")]
    pub(super) fn burn_rate(
        &self,
        burn: &BurnRate,
        (stream, dispersion): (&Stream, f64),
        phases: &Phases,
        allowed: f64,
        now: f64,
        error_rate: f64,
        rule: &dyn DecisionRule,
    ) -> Option<Breach> {
        let over = burn.over?.duration().as_secs_f64();
        // What was before the fault is no part of what the fault burns.
        let first = second(phases.span(Phase::During).or(phases.span(Phase::Before))?.begin);
        PAIRS.into_iter().find_map(|part| {
            let allowed = allowed * part;
            if allowed >= 1.0 {
                return None;
            }
            let long = self.last(first, now, over / part);
            let short = self.last(first, now, (over / part / SHORT).max(f64::from(SHORTEST)).max(3.0 * stream.cadence.interval));
            let (bad, good) = (long.counts.bad(), presumed(stream, &long, now)?);
            let (newly_bad, newly_good) = (short.counts.bad(), presumed(stream, &short, now)?);
            let is_over = |bad: f64, good: f64| bad > allowed * (bad + good);
            let shares = threshold(error_rate) + long.penalty + 2.0_f64.ln();
            if !is_over(bad, good)
                || !is_over(newly_bad, newly_good)
                || bad + good < f64::from(burn.minimum_events.unwrap_or(0))
                || !rule.ratio_is_shown_above(allowed, bad / dispersion, good / dispersion, shares)
            {
                return None;
            }
            let share = bad / (bad + good);
            Some(Breach {
                counts: long.counts,
                measured: Some(share * 100.0),
                measured_text: format!("{} of {}", percent(share), count((bad + good).round())),
                because: format!(
                    "{} of {} events in the last {} failed, and {} of {} in the last {}: {} allowed, or all of the allowance is \
                     spent in {}",
                    count(bad),
                    count((bad + good).round()),
                    seconds(now - long.from),
                    count(newly_bad),
                    count((newly_bad + newly_good).round()),
                    seconds(now - short.from),
                    percent(allowed),
                    seconds(over / part)
                ),
            })
        })
    }

    /// The last so many seconds, as far as they are not before the first one.
    fn last(&self, first: u32, now: f64, length: f64) -> Window {
        let from = second((now - length).max(0.0)).max(first);
        let mut counts = Counts::default();
        for (_, found) in self.seconds.range(from..) {
            counts.join(*found);
        }
        let number = f64::from(from - first);
        Window {
            from: f64::from(from),
            counts,
            penalty: 2.0_f64.ln() + ((number + 1.0) * (number + 2.0)).ln(),
            is_of_phase: number == 0.0,
        }
    }
}
