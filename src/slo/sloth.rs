//! Sloth's specification, `prometheus/v1`, also as an object of Kubernetes: <https://sloth.dev/specs/default/>.

use faultline_agent::units::TimeSpan;

use super::SloDefinition;
use super::at::At;
use super::counters::Ratio;
use super::read::{Candidate, counter, refused, target};
use crate::document::diagnostic::Diagnostic;

/// The period that Sloth takes unless its command line says otherwise; its files do not tell.
const PERIOD: TimeSpan = TimeSpan::from_secs(30 * 86_400);

pub(super) fn read(root: &At<'_>) -> Result<Vec<Candidate>, Diagnostic> {
    let spec = root.get("spec").unwrap_or_else(|| root.clone());
    let (at, known) = match root.any(&["version", "apiVersion"]) {
        Some(at) => (at.clone(), matches!(at.text(), Some("prometheus/v1" | "sloth.slok.dev/v1"))),
        None => (root.clone(), false),
    };
    if !known {
        return Err(at.wrong("this version of Sloth's specification is not known", "`prometheus/v1` is read"));
    }
    let service = spec.need_text("service")?;
    let slos = spec.need("slos")?;
    slos.items().iter().map(|at| Ok(Candidate::new(at.need_text("name")?, one(at, service)))).collect()
}

fn one(at: &At<'_>, service: &str) -> Result<SloDefinition, Diagnostic> {
    let objective = at.need("objective")?;
    let sli = at.need("sli")?;
    let (bad, total) = if let Some(events) = sli.get("events") {
        let query = |keys: [&str; 2]| {
            events.any(&keys).ok_or_else(|| events.wrong(format!("`{}` is missing here", keys[0]), ""))
        };
        (counter(&query(["error_query", "errorQuery"])?)?, counter(&query(["total_query", "totalQuery"])?)?)
    } else if let Some(raw) = sli.get("raw") {
        let query = raw.any(&["error_ratio_query", "errorRatioQuery"]);
        let query = query.ok_or_else(|| raw.wrong("`error_ratio_query` is missing here", ""))?;
        let ratio = Ratio::read(query.text().unwrap_or_default()).map_err(|error| refused(&query, &error))?;
        (ratio.bad, ratio.total)
    } else if let Some(plugin) = sli.get("plugin") {
        return Err(plugin.wrong(
            "a plugin makes the queries, and only Sloth can run it",
            "name the file that `sloth generate` makes of this one instead",
        ));
    } else {
        return Err(sli.wrong("an indicator is `events` or `raw`", ""));
    };
    Ok(SloDefinition {
        service: service.to_owned(),
        target: target(&objective, objective.number()?)?,
        window: PERIOD,
        calendar: None,
        bad: bad.raw(),
        total: total.raw(),
    })
}
