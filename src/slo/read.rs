//! A file of SLOs of whichever dialect: each that is in it, or why it cannot be used.

use faultline_agent::units::{Percent, TimeSpan};

use super::SloDefinition;
use super::at::At;
use super::counters::Counter;
use super::promql::QueryError;
use super::{openslo, pyrra, rules, sloth};
use crate::document::diagnostic::{Diagnostic, Severity};
use crate::document::yaml::{Place, read as yaml};

/// One SLO of a file.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Its name, by which a document asks for it.
    pub(crate) name: String,
    /// The name of one of several objectives of an OpenSLO.
    pub(crate) objective: Option<String>,
    /// The Prometheus server that its file names, if it does.
    pub(crate) prometheus: Option<String>,
    /// What it is, or what of it is not supported.
    pub(crate) slo: Result<SloDefinition, Diagnostic>,
    /// What of it is left aside.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Candidate {
    pub(super) fn new(name: &str, slo: Result<SloDefinition, Diagnostic>) -> Self {
        Self { name: name.to_owned(), objective: None, prometheus: None, slo, warnings: Vec::new() }
    }
}

const DIALECTS: &str =
    "OpenSLO v1, Sloth (prometheus/v1), Pyrra and the Prometheus rules that Sloth and Pyrra generate are read";

/// Reads a file.
///
/// # Errors
/// If it is no YAML, or nothing in it is an SLO of a dialect that is known.
pub(crate) fn read(text: &str) -> Result<Vec<Candidate>, Diagnostic> {
    let documents = yaml::read(text, 0).map_err(|error| Diagnostic {
        severity: Severity::Error,
        path: String::new(),
        message: error.message,
        hint: error.hint,
        place: error.place,
    })?;
    let roots: Vec<At<'_>> = documents.iter().map(At::root).collect();
    let mut found = Vec::new();
    for root in &roots {
        let version = root.text_of("apiVersion").unwrap_or_default();
        let kind = root.text_of("kind").unwrap_or_default();
        if version.starts_with("openslo") {
            found.extend(openslo::read(root, &roots)?);
        } else if root.text_of("version").is_some_and(|version| version.starts_with("prometheus/"))
            || version.starts_with("sloth.slok.dev/")
        {
            found.extend(sloth::read(root)?);
        } else if version.starts_with("pyrra.dev/") {
            found.extend(pyrra::read(root)?);
        } else if kind == "PrometheusRule" || root.get("groups").is_some() {
            found.extend(rules::read(root));
        } else {
            return Err(root.wrong("this is no SLO of a dialect that is known", DIALECTS));
        }
    }
    if found.is_empty() {
        let place = Place::default();
        let message = "there is no SLO in this file".to_owned();
        return Err(Diagnostic {
            severity: Severity::Error,
            path: String::new(),
            message,
            hint: Some(DIALECTS.into()),
            place,
        });
    }
    Ok(found)
}

/// A query that a place holds.
pub(super) fn counter(at: &At<'_>) -> Result<Counter, Diagnostic> {
    let query = at.text().ok_or_else(|| at.wrong("this must be a query", ""))?;
    Counter::read(query).map_err(|error| refused(at, &error))
}

/// What is wrong with a query, where it stands.
pub(super) fn refused(at: &At<'_>, error: &QueryError) -> Diagnostic {
    at.wrong(format!("this query cannot be counted by: {error}"), &error.hint)
}

/// A target from 0 to 100, both excluded: nothing is to be judged at the ends.
pub(super) fn target(at: &At<'_>, percent: f64) -> Result<Percent, Diagnostic> {
    // As people write them, targets have far fewer digits than the twelve that are left here.
    let percent = (percent * 1e9).round() / 1e9;
    let target = Percent::new(percent).filter(|target| target.number() > 0.0 && target.number() < 100.0);
    target.ok_or_else(|| at.wrong(format!("a target of {percent}% leaves nothing to judge"), "99.9% is a usual one"))
}

/// A window that a place holds.
pub(super) fn window(at: &At<'_>) -> Result<TimeSpan, Diagnostic> {
    let text = at.text().unwrap_or_default();
    let window = super::duration::window(text);
    window.ok_or_else(|| at.wrong(format!("`{text}` is no window"), "as in `30d` or `4w`, up to 366 days"))
}

#[cfg(test)]
mod tests;
