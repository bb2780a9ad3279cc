//! OpenSLO v1: <https://github.com/OpenSLO/OpenSLO>.
//!
//! Read are SLOs with the budgeting method `Occurrences` and a ratio metric whose source is Prometheus, inline or by
//! reference to an SLI and a data source of the same file. Alert policies are left aside, and it is said so: the
//! guardrails of an experiment are made from its allowance.

use super::SloDefinition;
use super::at::At;
use super::counters::{Counter, Ratio};
use super::read::{Candidate, counter, refused, target, window};
use crate::document::diagnostic::Diagnostic;
use crate::experiment::document::SloCalendar;

const KINDS: [&str; 7] =
    ["SLO", "SLI", "Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"];

/// The SLOs of one object; none of an object of another kind. `all` is what references may mean.
pub(super) fn read(root: &At<'_>, all: &[At<'_>]) -> Result<Vec<Candidate>, Diagnostic> {
    let version = root.need("apiVersion")?;
    if !matches!(version.text(), Some("openslo/v1" | "openslo.com/v1")) {
        let message = format!("this version of OpenSLO is not read: `{}`", version.text().unwrap_or_default());
        return Err(version.wrong(message, "`openslo/v1` is read: write the SLO in that version"));
    }
    let kind = root.need_text("kind")?;
    if !KINDS.contains(&kind) {
        return Err(root
            .need("kind")?
            .wrong(format!("OpenSLO v1 has no `{kind}`"), &format!("it has {}", KINDS.join(", "))));
    }
    if kind != "SLO" {
        return Ok(Vec::new());
    }
    let name = root.need("metadata")?.need_text("name")?;
    let spec = root.need("spec")?;
    let objectives = spec.need("objectives")?.items();
    if objectives.is_empty() {
        return Err(spec.wrong("there is no objective", ""));
    }
    let mut found = Vec::new();
    for objective in &objectives {
        let source = Source::of(&spec, objective, all);
        let mut candidate = Candidate::new(name, source.clone().and_then(|source| one(&spec, objective, &source)));
        candidate.objective =
            (objectives.len() > 1).then(|| objective.text_of("displayName").unwrap_or_default().to_owned());
        candidate.prometheus = source.ok().and_then(|source| source.server);
        if let Some(policies) = spec.get("alertPolicies").filter(|policies| !policies.items().is_empty()) {
            candidate.warnings.push(policies.doubtful(
                "alert policies are left aside",
                "`{ slo: NAME, burnRate: {} }` below `guardrails` makes a burn-rate guardrail from the run's allowance",
            ));
        }
        found.push(candidate);
    }
    Ok(found)
}

/// The counters of an SLO and the server that has them.
#[derive(Debug, Clone)]
struct Source {
    bad: Counter,
    total: Counter,
    server: Option<String>,
}

fn one(spec: &At<'_>, objective: &At<'_>, source: &Source) -> Result<SloDefinition, Diagnostic> {
    if let Some(method) = spec.get("budgetingMethod").filter(|method| method.text() != Some("Occurrences")) {
        return Err(method.wrong(
            format!("a budget by `{}` counts stretches of time, not events", method.text().unwrap_or_default()),
            "a run is judged by events: write an SLO with `budgetingMethod: Occurrences` for it",
        ));
    }
    if let Some(value) = objective.get("compositeWeight") {
        return Err(value.wrong("composite SLOs are not read", "refer to the SLOs that it is made of"));
    }
    let percent = match (objective.get("target"), objective.get("targetPercent")) {
        (Some(at), None) => target(&at, at.number()? * 100.0)?,
        (None, Some(at)) => target(&at, at.number()?)?,
        _ => return Err(objective.wrong("an objective has either `target` or `targetPercent`", "")),
    };
    let windows = spec.need("timeWindow")?;
    let items = windows.items();
    let [time] = items.as_slice() else {
        return Err(windows.wrong("an SLO has exactly one time window", ""));
    };
    let duration = time.need("duration")?;
    let rolling = time.get("isRolling").is_some_and(|at| at.is_true());
    let calendar = match time.get("calendar") {
        Some(at) if rolling => return Err(at.wrong("a rolling window has no calendar", "write `isRolling: false`")),
        Some(at) => Some(SloCalendar {
            every: duration.text().unwrap_or_default().to_owned(),
            start: at.need_text("startTime")?.to_owned(),
            time_zone: at.need_text("timeZone")?.to_owned(),
        }),
        None if rolling => None,
        None => return Err(time.wrong("a window is rolling, or has a calendar", "write `isRolling: true`")),
    };
    if let Some(calendar) = &calendar
        && let Err(why) = super::budget::began(calendar, jiff::Timestamp::now())
    {
        return Err(
            time.wrong(why, "as in `duration: 1M`, `startTime: 2026-01-01 00:00:00`, `timeZone: Europe/Berlin`")
        );
    }
    Ok(SloDefinition {
        service: spec.need_text("service")?.to_owned(),
        target: percent,
        window: window(&duration)?,
        calendar,
        bad: source.bad.raw(),
        total: source.total.raw(),
    })
}

impl Source {
    fn of(spec: &At<'_>, objective: &At<'_>, all: &[At<'_>]) -> Result<Self, Diagnostic> {
        if let Some(at) = objective.any(&["indicator", "indicatorRef"]) {
            return Err(at.wrong("composite SLOs are not read", "refer to the SLOs that it is made of"));
        }
        let indicator = if let Some(indicator) = spec.get("indicator") {
            indicator.need("spec")?
        } else if let Some(reference) = spec.get("indicatorRef") {
            let name = reference.text().unwrap_or_default();
            let hint = "SLIs are looked for in the same file, as documents of their own between `---`";
            object(all, "SLI", name)
                .ok_or_else(|| reference.wrong(format!("there is no SLI `{name}` in this file"), hint))?
                .need("spec")?
        } else {
            return Err(spec.wrong("`indicator` or `indicatorRef` is missing here", ""));
        };
        if let Some(threshold) = indicator.get("thresholdMetric") {
            return Err(threshold.wrong(
                "a threshold metric has a number, no events to count",
                "bound it in the experiment: a signal `prometheus: { url: …, value: QUERY }` and `value: { below: … }`",
            ));
        }
        let ratio = indicator.need("ratioMetric")?;
        if let Some(raw) = ratio.get("raw") {
            let (query, server) = query(&raw, all)?;
            let counters = Ratio::read(query.text().unwrap_or_default()).map_err(|error| refused(&query, &error))?;
            return match ratio.text_of("rawType") {
                Some("failure") => Ok(Self { bad: counters.bad, total: counters.total, server }),
                Some("success") => {
                    let bad = counters.total.clone().minus(counters.bad);
                    Ok(Self { bad, total: counters.total, server })
                }
                _ => Err(ratio.wrong("`rawType` is `success` or `failure`", "")),
            };
        }
        let (total, server) = query(&ratio.need("total")?, all)?;
        let total = counter(&total)?;
        let bad = match (ratio.get("bad"), ratio.get("good")) {
            (Some(bad), None) => counter(&query(&bad, all)?.0)?,
            (None, Some(good)) => total.clone().minus(counter(&query(&good, all)?.0)?),
            _ => return Err(ratio.wrong("a ratio metric has either `good` or `bad` beside `total`", "")),
        };
        Ok(Self { bad, total, server })
    }
}

/// The query of a metric, and the server that answers it.
fn query<'a>(metric: &At<'a>, all: &[At<'a>]) -> Result<(At<'a>, Option<String>), Diagnostic> {
    let source = metric.need("metricSource")?;
    let mut kind = source.get("type");
    let mut server = None;
    if let Some(reference) = source.get("metricSourceRef") {
        let name = reference.text().unwrap_or_default();
        if let Some(data) = object(all, "DataSource", name) {
            let spec = data.need("spec")?;
            kind = kind.or_else(|| spec.get("type"));
            let details = spec.get("connectionDetails");
            server = details.and_then(|details| details.any(&["url", "endpoint", "address", "server"]));
        } else if kind.is_none() {
            let message = format!("there is no DataSource `{name}` in this file");
            return Err(
                reference.wrong(message, "put it into this file, or write `type: Prometheus` beside the reference")
            );
        }
    }
    let kind = kind.ok_or_else(|| source.wrong("`type` is missing here", "write `type: Prometheus`"))?;
    if !kind.text().is_some_and(|kind| kind.eq_ignore_ascii_case("prometheus")) {
        let message = format!("a source of type `{}` cannot be asked", kind.text().unwrap_or_default());
        return Err(kind.wrong(message, "Prometheus, and what answers its queries, is read"));
    }
    let spec = source.need("spec")?;
    let query = spec.any(&["query", "promql", "expr"]).ok_or_else(|| spec.wrong("`query` is missing here", ""))?;
    Ok((query, server.and_then(|at| at.text().map(str::to_owned))))
}

/// The object of a kind and a name.
fn object<'a>(all: &[At<'a>], kind: &str, name: &str) -> Option<At<'a>> {
    let is_it = |at: &&At<'a>| {
        at.text_of("kind") == Some(kind) && at.deep(&["metadata", "name"]).and_then(|at| at.text()) == Some(name)
    };
    all.iter().find(is_it).cloned()
}
