//! What is wrong with an experiment that can be told without a host: everything that types alone do not forbid.

mod method;
mod names;
mod objectives;
mod power;
mod services;
mod signals;
mod targets;

use faultline_agent::units::TimeSpan;

use super::diagnostic::{Diagnostic, Severity};
use super::document::Experiment;
use super::typing::as_written;
use super::yaml::{Node, Path, at};

/// The texts behind an experiment.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The tree that became the experiment: its paths are the experiment's.
    pub tree: &'a Node,
    /// The tree as it was read; more than `tree` where something did not fit its type.
    pub whole: &'a Node,
    /// What is only in `whole`: paths as written.
    pub left_out: &'a [Path],
}

/// The longest time that a step, a recovery or a timeout may take.
const LONGEST: TimeSpan = TimeSpan::from_secs(24 * 3600);

/// Finds everything wrong with an experiment, in no certain order.
pub fn check(experiment: &Experiment, document: &Document<'_>) -> Vec<Diagnostic> {
    let mut findings = Findings { document, found: Vec::new() };
    let spec = &experiment.spec;
    names::check(experiment, &mut findings);
    if spec.hypothesis.trim().is_empty() {
        findings.error(&at!["spec", "hypothesis"], "the hypothesis is empty", "write the sentence that is tested");
    }
    if let Some(rate) = spec.error_rate
        && !(rate.number() > 0.0 && rate.number() < 50.0)
    {
        let hint = "5% is usual, 1% asks for more data";
        findings.error(&at!["spec", "errorRate"], "an error rate is above 0% and below 50%", hint);
    }
    findings.time(&at!["spec", "recovery", "within"], spec.recovery.within);
    services::check(spec, &mut findings);
    signals::check(spec, &mut findings);
    objectives::check(spec, &mut findings);
    targets::check(spec, &mut findings);
    method::check(spec, &mut findings);
    power::check(spec, &mut findings);
    findings.found
}

/// What was found so far.
struct Findings<'a> {
    document: &'a Document<'a>,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    /// Something wrong with the value at a path.
    fn error(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, path, message.into(), hint.into());
    }

    /// Something that is probably not meant.
    fn warn(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, path, message.into(), hint.into());
    }

    fn add(&mut self, severity: Severity, path: &Path, message: String, hint: String) {
        let place = self.document.tree.place_of(path);
        let hint = (!hint.is_empty()).then_some(hint);
        let path = as_written(path, self.document.left_out).to_string();
        self.found.push(Diagnostic { severity, path, message, hint, place });
    }

    /// As [`error`](Self::error), shown at the key rather than at its value.
    fn error_at_key(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.error(path, message, hint);
        if let Some(last) = self.found.last_mut() {
            last.place = self.document.tree.place_of_key(path);
        }
    }

    /// Checks a length of time that must not be nothing, and not absurd.
    fn time(&mut self, path: &Path, time: TimeSpan) {
        if time.is_zero() {
            self.error(path, "this must be longer than nothing", "");
        } else if time > LONGEST {
            self.error(path, format!("`{time}` is too long"), format!("at most {LONGEST}"));
        }
    }

    /// Whether all that is written below a path was understood, so that what is not there is really missing.
    fn is_whole(&self, path: &Path) -> bool {
        let path = as_written(path, self.document.left_out);
        !self.document.left_out.iter().any(|out| out.starts_with(&path))
    }

    /// The names written in a mapping, understood or not.
    fn names(&self, path: &Path) -> Vec<String> {
        self.document.whole.at(path).map_or_else(Vec::new, |node| node.keys().map(str::to_owned).collect())
    }

    /// Checks that a name is one of a mapping's keys.
    fn refers(&mut self, path: &Path, name: &str, mapping: &Path, what: &str) -> bool {
        let names = self.names(mapping);
        let known = names.iter().any(|known| known == name);
        if !known {
            let hint = match names.as_slice() {
                [] => format!("the document has no `{mapping}`"),
                _ => super::suggest::hint(name, names.iter().map(String::as_str)),
            };
            self.error(path, format!("there is no {what} `{name}`"), hint);
        }
        known
    }
}

#[cfg(test)]
mod tests;
