//! The rules that Pyrra generates: burn rates by window, alerts that hold the target, and increases over the period.
//! (`slo/rules.go` in <https://github.com/pyrra-dev/pyrra>.)

use faultline_agent::units::TimeSpan;

use super::SloDefinition;
use super::counters::Ratio;
use super::duration;
use super::read::{Candidate, refused, target};
use super::rules::{Rule, constant, values};
use crate::document::diagnostic::Diagnostic;

const GENERATED: &str = "name the whole file that Pyrra makes, with its increases and alerts, or the file of the \
                         ServiceLevelObjective itself";

pub(super) fn read(rules: &[Rule<'_>]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for name in values(rules, "slo") {
        let own: Vec<&Rule<'_>> = rules.iter().filter(|rule| rule.label("slo") == Some(name)).collect();
        let Some(first) = own.first() else { continue };
        let service = own.iter().find_map(|rule| rule.label("service")).unwrap_or(name);
        found.push(Candidate::new(name, one(&own, first, service)));
    }
    found
}

fn one(rules: &[&Rule<'_>], first: &Rule<'_>, service: &str) -> Result<SloDefinition, Diagnostic> {
    let missing =
        |what: &str| first.expression.wrong(format!("the rules of this SLO do not tell its {what}"), GENERATED);
    let burn = rules.iter().find(|rule| rule.record.contains(":burnrate")).ok_or_else(|| missing("ratio of errors"))?;
    let counters = Ratio::read(burn.text()).map_err(|error| refused(&burn.expression, &error))?;
    let percent = rules.iter().find_map(|rule| share(rule)).ok_or_else(|| missing("target"))? * 100.0;
    let window = rules.iter().find_map(|rule| period(rule)).ok_or_else(|| missing("window"))?;
    Ok(SloDefinition {
        service: service.to_owned(),
        target: target(&first.expression, percent)?,
        window,
        calendar: None,
        bad: counters.bad.raw(),
        total: counters.total.raw(),
    })
}

/// The target of `pyrra_objective`, or of an alert: `… > (14 * (1-0.99))`.
fn share(rule: &Rule<'_>) -> Option<f64> {
    if rule.record == "pyrra_objective" {
        return constant(rule.text());
    }
    let (_, rest) = rule.record.is_empty().then(|| rule.text().split_once("(1-"))??;
    rest.split_once(')')?.0.trim().parse().ok()
}

/// The window of `pyrra_window` in seconds, or of a record such as `requests:increase4w`.
fn period(rule: &Rule<'_>) -> Option<TimeSpan> {
    if rule.record == "pyrra_window" {
        return duration::window(&format!("{}s", constant(rule.text())?));
    }
    duration::window(rule.record.rsplit_once(":increase")?.1)
}
