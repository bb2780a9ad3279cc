//! Pyrra's objects, `pyrra.dev/v1alpha1`: <https://github.com/pyrra-dev/pyrra>.

use super::SloDefinition;
use super::at::At;
use super::counters::Counter;
use super::read::{Candidate, refused, target, window};
use crate::document::diagnostic::Diagnostic;

pub(super) fn read(root: &At<'_>) -> Result<Vec<Candidate>, Diagnostic> {
    let metadata = root.need("metadata")?;
    let name = metadata.need_text("name")?;
    let service = metadata
        .get("labels")
        .and_then(|labels| labels.any(&["pyrra.dev/service", "service"]))
        .and_then(|at| at.text())
        .unwrap_or(name);
    Ok(vec![Candidate::new(name, one(root, service))])
}

fn one(root: &At<'_>, service: &str) -> Result<SloDefinition, Diagnostic> {
    let spec = root.need("spec")?;
    let objective = spec.need("target")?;
    let indicator = spec.need("indicator")?;
    let (bad, total) = if let Some(ratio) = indicator.get("ratio") {
        (summed(&ratio, "errors")?, summed(&ratio, "total")?)
    } else if let Some(latency) = indicator.get("latency") {
        let (quick, total) = (summed(&latency, "success")?, summed(&latency, "total")?);
        (total.clone().minus(quick), total)
    } else {
        let kind = indicator.keys().next().unwrap_or("nothing");
        return Err(indicator.wrong(
            format!("`{kind}` has no two counters of events"),
            "`ratio` and `latency` are read; others can be bounded as a `value` of a Prometheus signal",
        ));
    };
    Ok(SloDefinition {
        service: service.to_owned(),
        target: target(&objective, objective.number()?)?,
        window: window(&spec.need("window")?)?,
        calendar: None,
        bad: bad.raw(),
        total: total.raw(),
    })
}

/// A metric, whose series Pyrra adds up.
fn summed(indicator: &At<'_>, key: &str) -> Result<Counter, Diagnostic> {
    let metric = indicator.need(key)?.need("metric")?;
    let query = format!("sum({})", metric.text().unwrap_or_default());
    Counter::read(&query).map_err(|error| refused(&metric, &error))
}
