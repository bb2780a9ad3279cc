//! What is wrong with an experiment that can be told without a host: everything that types alone do not forbid.

mod about;
mod alone;
mod contradiction;
mod hosts;
mod method;
mod names;
mod objectives;
mod power;
mod services;
mod signals;
mod slos;
mod targets;

use super::document::{Experiment, Spec};
pub(crate) use crate::document::findings::Findings;
pub(crate) use crate::document::yaml::at;
pub(crate) use alone::can_run_alone;

/// Finds everything wrong with an experiment, in no certain order.
pub(crate) fn check(experiment: &Experiment, findings: &mut Findings<'_>) {
    findings.name(&at!["metadata", "name"], &experiment.metadata.name, "an experiment's");
    check_spec(&experiment.spec, findings);
}

/// As [`check`], for the specification alone.
pub(crate) fn check_spec(spec: &Spec, findings: &mut Findings<'_>) {
    names::check(spec, findings);
    if spec.hypothesis.trim().is_empty() {
        findings.error(&at!["spec", "hypothesis"], "the hypothesis is empty", "write the sentence that is tested");
    }
    if let Some(rate) = spec.error_rate
        && !(rate.number() > 0.0 && rate.number() < 50.0)
    {
        let hint = "5% is usual, 1% asks for more data";
        findings.error(&at!["spec", "errorRate"], "an error rate is above 0% and below 50%", hint);
    }
    findings.time(&at!["spec", "recovery", "within"], spec.recovery.within);
    about::check(spec, findings);
    services::check(spec, findings);
    signals::check(spec, findings);
    slos::check(spec, findings);
    objectives::check(spec, findings);
    targets::check(spec, findings);
    method::check(spec, findings);
    power::check(spec, findings);
}

#[cfg(test)]
mod hosts_tests;
#[cfg(test)]
mod tests;
