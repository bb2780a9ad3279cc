//! How long the baseline and the faults must last for each objective to be decided, and which bursts the baseline can show.

use faultline_agent::units::TimeSpan;

use super::ObjectivePlan;
use crate::experiment::document::{Objective, Spec, phases};
use crate::hypothesis::{BURSTS_SHOWN, Judge, Need};
use crate::run::journal::Entry;

/// What each objective needs, in the order of the document; `recorded` is the journal of an earlier run whose baseline
/// tells what comes of the signals.
pub(super) fn objectives(spec: &Spec, recorded: &[Entry]) -> Vec<ObjectivePlan> {
    // What cannot be judged was refused when the document was read.
    let Ok(mut judge) = Judge::new(spec) else { return Vec::new() };
    recorded.iter().for_each(|entry| judge.follow(entry));
    let (baseline, faults) = phases(&spec.method);
    let one = |need: Need| {
        let is_short = |length: &TimeSpan| need.lasts.is_some_and(|lasts| lasts > *length);
        let phases = [("baseline lasts", baseline), ("faults last", faults)];
        let short = phases.into_iter().find(|(_, length)| is_short(length));
        ObjectivePlan {
            objective: need.description,
            needs: need.lasts,
            because: need.because,
            too_short: short.map(|(phase, length)| format!("the {phase} {length}, so this stays inconclusive")),
        }
    };
    judge.needs().into_iter().map(one).collect()
}

/// The longest bursts of bad events that the baseline shows to the guardrails; nothing if no guardrail counts bad events.
pub(super) fn bursts(spec: &Spec) -> Option<TimeSpan> {
    let counts_bad = |objective: &Objective| objective.errors.is_some() || objective.latency.is_some();
    let (baseline, _) = phases(&spec.method);
    let tenths = baseline.duration().mul_f64(BURSTS_SHOWN).as_millis() / 100;
    let shown = TimeSpan::from_millis(u64::try_from(tenths * 100).unwrap_or(u64::MAX));
    spec.guardrails.iter().any(counts_bad).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Ending, document, journal};

    fn spec() -> Spec {
        let experiment: crate::experiment::document::Experiment =
            serde_json::from_value(document()).expect("the fixture");
        experiment.spec
    }

    fn told(recorded: &[Entry]) -> String {
        let line = |plan: ObjectivePlan| {
            let needs = plan.needs.map_or("-".into(), |needs| needs.to_string());
            format!(
                "{needs} {} | {} | {}\n",
                plan.objective,
                plan.because,
                plan.too_short.as_deref().unwrap_or("long enough")
            )
        };
        objectives(&spec(), recorded).into_iter().map(line).collect()
    }

    #[test]
    fn a_document_alone_tells_what_is_needed_if_nothing_fails() {
        insta::assert_snapshot!(told(&[]), @"
        10s checkout: p99 latency below 300ms | at 50/s, if nothing fails | long enough
        10s checkout: errors below 1% | at 50/s, if nothing fails | long enough
        18s checkout: traffic at least 80% of the baseline | at 50/s, if nothing fails | the baseline lasts 12s, so this stays inconclusive
        3s shop-host: cpu below 90% | three readings | long enough
        ");
    }

    #[test]
    fn an_earlier_run_tells_what_comes_of_the_signals() {
        insta::assert_snapshot!(told(&journal(Ending::Held)), @"
        1m checkout: p99 latency below 300ms | at 50/s with 0.5% bad | the baseline lasts 12s, so this stays inconclusive
        1m checkout: errors below 1% | at 50/s with 0.5% bad | the baseline lasts 12s, so this stays inconclusive
        18s checkout: traffic at least 80% of the baseline | at 50/s with 0.5% bad | the baseline lasts 12s, so this stays inconclusive
        3s shop-host: cpu below 90% | three readings | long enough
        ");
    }

    #[test]
    fn an_eighth_of_the_baseline_shows_its_bursts() {
        let (baseline, _) = phases(&spec().method);
        let bursts = bursts(&spec()).expect("it has a guardrail on errors");
        assert!((bursts.duration().as_secs_f64() - baseline.duration().as_secs_f64() / 8.0).abs() < 0.1);
        let mut without = spec();
        without.guardrails.clear();
        assert_eq!(super::bursts(&without), None);
    }
}
