use std::collections::BTreeMap;

use super::selector;
use crate::document::findings::Findings;
use crate::document::yaml::{Path, at};
use crate::experiment::document::{MethodStep, Spec};
use crate::game_day::document::{ExpectedAlert, ExperimentSource, GameDaySpec};
use crate::schedule::check::experiment_source;

/// What is run, in order.
pub(super) fn check(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    let all = at!["spec", "experiments"];
    if spec.experiments.is_empty() && findings.is_whole(&all) {
        findings.error(&all, "no experiment is run", "name one: `- experiment: checkout-survives-a-slow-backend`");
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, planned) in spec.experiments.iter().enumerate() {
        let path = all.join(index);
        experiment_source(path.join("experiment"), &planned.experiment, findings);
        match (&planned.name, &planned.experiment) {
            (None, ExperimentSource::Inline(_)) if findings.is_whole(&path.join("name")) => {
                findings.error(&path, "an experiment written out here needs a name", "give `name: slow-backend`");
            }
            (Some(name), _) => findings.name(&path.join("name"), name, "an experiment's"),
            _ => {}
        }
        if let Some(first) = names.insert(planned.name(), index)
            && (planned.name.is_some() || matches!(planned.experiment, ExperimentSource::Named(_)))
        {
            findings.error(
                &path,
                format!("it has the same name as experiment {}: `{}`", first + 1, planned.name()),
                "the run sheet tells them apart by their names: give one of them a `name` of its own",
            );
        }
        for (number, alert) in planned.expect.alerts.iter().enumerate() {
            expected(&path.join("expect").join("alerts").join(number), alert, findings);
        }
    }
    longer_than_window(spec, findings);
}

fn expected(path: &Path, alert: &ExpectedAlert, findings: &mut Findings<'_>) {
    selector(path, &alert.selector(), findings);
    findings.time(&path.join("within"), alert.within);
    if let Some(resolved) = alert.resolved_within {
        findings.time(&path.join("resolvedWithin"), resolved);
    }
}

/// How long a method takes at least.
fn least(spec: &Spec) -> std::time::Duration {
    let step = |step: &MethodStep| match step {
        MethodStep::Observe(time) => time.duration(),
        _ => step.injections().iter().map(|inject| inject.lasts.duration()).max().unwrap_or_default(),
    };
    spec.method.iter().map(step).fold(std::time::Duration::ZERO, |sum, one| sum.saturating_add(one))
}

/// Experiments that cannot all end in time would be undone half-way.
fn longer_than_window(spec: &GameDaySpec, findings: &mut Findings<'_>) {
    let Some(window) = spec.window else { return };
    let zone = spec.time_zone.rules();
    let (Some(from), Some(until)) = (window.from.instant(zone), window.until.instant(zone)) else { return };
    let inline = spec.experiments.iter().filter_map(|planned| match &planned.experiment {
        ExperimentSource::Inline(spec) => Some(least(spec)),
        ExperimentSource::Named(_) => None,
    });
    let needed = inline.fold(std::time::Duration::ZERO, |sum, one| sum.saturating_add(one));
    let window = until.duration_since(from);
    if window.is_positive() && needed > window.unsigned_abs() {
        findings.error(
            &at!["spec", "window"],
            format!(
                "the experiments take {} at least, the window is {} long",
                crate::report::notation::seconds(needed.as_secs_f64()),
                crate::report::notation::seconds(window.as_secs_f64())
            ),
            "what runs at the end of the window is undone: make it longer",
        );
    }
}
