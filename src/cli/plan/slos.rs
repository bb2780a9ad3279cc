use std::fmt::Write as _;

use crate::experiment::document::{Signal, Spec};

/// Each SLO: where it is from, what it says, and which bounds and signal it became.
pub(super) fn lines(spec: &Spec) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, reference) in &spec.slos {
        let Some(slo) = &reference.define else { continue };
        let origin = reference.file.as_ref().map_or_else(
            || "written out in the document".to_owned(),
            |file| {
                let named = reference.name.as_deref().unwrap_or(name);
                format!("{named} of {}", file.display())
            },
        );
        let mut line =
            format!("{name}: {origin}, {} of the events of {} good over {}", slo.target, slo.service, slo.window);
        let signal = reference.signal.as_deref().unwrap_or(name);
        let of_it = |objective: &&crate::experiment::document::Objective| objective.slo.as_ref() == Some(name);
        for objective in spec.steady_state.iter().filter(of_it) {
            let _ = write!(line, "\n          objective  {}", objective.describe());
        }
        for objective in spec.guardrails.iter().filter(of_it) {
            let _ = write!(line, "\n          guardrail  {}", objective.describe());
            if let (Some(_), Some(below)) =
                (objective.burn_rate, objective.errors.as_ref().and_then(|errors| errors.below))
            {
                let _ = write!(line, " ({below} of bad events)");
            }
        }
        if let Some(Signal::Prometheus(read)) = spec.signals.get(signal) {
            for (key, query) in [("bad", &read.bad), ("total", &read.total)] {
                let query = query.as_deref().unwrap_or_default();
                let _ = write!(line, "\n          {key:<10} {query}");
            }
            let _ = write!(line, "\n          asked of   {}", read.url);
        } else {
            let _ = write!(line, "\n          signal     {signal}");
        }
        lines.push(line);
    }
    lines
}

/// What may be spent, and what must be left for the run to begin.
pub(super) fn budget(spec: &Spec) -> Option<String> {
    let budget = spec.budget.as_ref()?;
    let reserve = budget.reserve.map_or_else(String::new, |reserve| format!(" and {reserve} in reserve"));
    Some(format!(
        "{} of that of {} may be spent; refused unless that{reserve} is left, aborted when it is spent",
        budget.allowance, budget.slo
    ))
}
