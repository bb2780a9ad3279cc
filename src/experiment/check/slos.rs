use super::{Findings, at};
use crate::experiment::document::{Signal, Spec};

/// SLOs that nothing refers to, and the budget that a run may spend.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let lists_whole = findings.is_whole(&at!["spec", "steadyState"]) && findings.is_whole(&at!["spec", "guardrails"]);
    for name in spec.slos.keys() {
        let used =
            spec.steady_state.iter().chain(&spec.guardrails).any(|objective| objective.slo.as_ref() == Some(name))
                || spec.budget.as_ref().is_some_and(|budget| budget.slo == *name);
        if !used && lists_whole {
            let hint = format!("write `{{ slo: {name} }}` below `steadyState`");
            findings.warn(&at!["spec", "slos", name], format!("nothing refers to the SLO `{name}`"), hint);
        }
    }
    let Some(budget) = &spec.budget else { return };
    let path = at!["spec", "budget"];
    if budget.allowance.number() == 0.0 {
        findings.error(&path.join("allowance"), "a run that may spend nothing cannot begin", "1% is usual");
    }
    let reserve = budget.reserve.map_or(0.0, |reserve| reserve.number());
    if budget.allowance.number() + reserve > 100.0 {
        findings.error(&path.join("allowance"), "allowance and reserve are more than the whole budget", "");
    }
    if !findings.refers(&path.join("slo"), &budget.slo, &at!["spec", "slos"], "SLO") {
        return;
    }
    let Some(slo) = spec.slos.get(&budget.slo) else { return };
    let counted = spec.budget_signal().and_then(|name| spec.signals.get(name));
    match counted {
        Some(Signal::Prometheus(signal)) if signal.bad.is_some() => {}
        Some(_) => findings.error(
            &path.join("slo"),
            format!(
                "the signal of `{}` does not count what its users get, so it cannot tell what is spent",
                budget.slo
            ),
            "let the SLO have its own counters: leave out its `signal`, and name `prometheus`",
        ),
        None => {}
    }
    if slo.define.is_some() && slo.prometheus.is_none() && counted.is_none() {
        findings.error(&path.join("slo"), "it is not said which Prometheus server has the counters of this SLO", "");
    }
}
