//! Files of Prometheus rules, also as objects of the Prometheus operator: recording rules and alerts with their labels.

use super::at::At;
use super::read::Candidate;
use super::{pyrra_rules, sloth_rules};

/// A rule of a group.
#[derive(Debug, Clone)]
pub(super) struct Rule<'a> {
    /// What it records; nothing of an alert.
    pub(super) record: &'a str,
    /// Where its expression is.
    pub(super) expression: At<'a>,
    labels: Option<At<'a>>,
}

impl<'a> Rule<'a> {
    pub(super) fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.as_ref()?.text_of(name)
    }

    pub(super) fn text(&self) -> &'a str {
        self.expression.text().unwrap_or_default()
    }
}

pub(super) fn read(root: &At<'_>) -> Vec<Candidate> {
    let spec = root.get("spec").unwrap_or_else(|| root.clone());
    let groups = spec.get("groups").map_or_else(Vec::new, |groups| groups.items());
    let rules: Vec<Rule<'_>> = groups
        .iter()
        .filter_map(|group| group.get("rules"))
        .flat_map(|rules| rules.items())
        .filter_map(|rule| {
            let record = rule.text_of("record").unwrap_or_default();
            Some(Rule { record, expression: rule.get("expr")?, labels: rule.get("labels") })
        })
        .collect();
    let mut found = sloth_rules::read(&rules);
    found.extend(pyrra_rules::read(&rules));
    found
}

/// The values of a label, each once, in the order of the file.
pub(super) fn values<'a>(rules: &[Rule<'a>], label: &str) -> Vec<&'a str> {
    let mut values: Vec<&str> = Vec::new();
    for value in rules.iter().filter_map(|rule| rule.label(label)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The number that a rule has as its expression: `vector(0.99)` or `0.99`.
pub(super) fn constant(text: &str) -> Option<f64> {
    let text = text.trim();
    let inner = text.strip_prefix("vector(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    inner.trim().parse().ok()
}
