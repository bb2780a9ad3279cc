//! The rules that `sloth generate` makes: a ratio of errors by window, and the target and the period as constants.

use faultline_agent::units::TimeSpan;

use super::SloDefinition;
use super::counters::Ratio;
use super::read::{Candidate, refused, target};
use super::rules::{Rule, constant, values};
use crate::document::diagnostic::Diagnostic;

const GENERATED: &str = "name the whole file that `sloth generate` makes, with the recordings and the meta recordings";

pub(super) fn read(rules: &[Rule<'_>]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for id in values(rules, "sloth_id") {
        let own: Vec<&Rule<'_>> = rules.iter().filter(|rule| rule.label("sloth_id") == Some(id)).collect();
        let Some(first) = own.first() else { continue };
        let name = first.label("sloth_slo").unwrap_or(id);
        let service = first.label("sloth_service").unwrap_or(id);
        found.push(Candidate::new(name, one(&own, first, service)));
    }
    found
}

fn one(rules: &[&Rule<'_>], first: &Rule<'_>, service: &str) -> Result<SloDefinition, Diagnostic> {
    let missing = |record: &str| first.expression.wrong(format!("this SLO has no rule `{record}`"), GENERATED);
    let recorded =
        |record: &str| rules.iter().find(|rule| rule.record == record).copied().ok_or_else(|| missing(record));
    // The rule of the whole period is made of the others; any shorter one holds the queries.
    let ratio = rules.iter().find(|rule| {
        rule.record.starts_with("slo:sli_error:ratio_rate") && !rule.text().contains("slo:sli_error:ratio_rate")
    });
    let ratio = ratio.ok_or_else(|| missing("slo:sli_error:ratio_rate5m"))?;
    let counters = Ratio::read(ratio.text()).map_err(|error| refused(&ratio.expression, &error))?;
    let objective = recorded("slo:objective:ratio")?;
    let share = constant(objective.text());
    let share = share.ok_or_else(|| objective.expression.wrong("this is no constant", GENERATED))?;
    let period = recorded("slo:time_period:days")?;
    let days = constant(period.text()).filter(|days| *days > 0.0 && *days <= 366.0);
    let days = days.ok_or_else(|| period.expression.wrong("this is no number of days", GENERATED))?;
    Ok(SloDefinition {
        service: service.to_owned(),
        target: target(&objective.expression, share * 100.0)?,
        window: TimeSpan::from(std::time::Duration::from_secs_f64((days * 86_400.0).round())),
        calendar: None,
        bad: counters.bad.raw(),
        total: counters.total.raw(),
    })
}
