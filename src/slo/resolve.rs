//! From the SLOs that a document names to objectives and signals: done once, when the document is read, so that the plan,
//! the judge and the journal know nothing of files.

use std::collections::btree_map::Entry;
use std::path::Path as FilePath;

use faultline_agent::units::{Percent, TimeSpan};

use super::read::{Candidate, read};
use super::{Counter, SloDefinition};
use crate::document::diagnostic::{Diagnostic, Source};
use crate::document::findings::Findings;
use crate::document::load::{LoadError, read_text};
use crate::document::suggest;
use crate::document::yaml::{Path, at};
use crate::experiment::document::{
    BurnRate, ErrorBound, MethodStep, Objective, PrometheusSignal, Signal, SloReference, Spec,
};

/// Below so many events in its long window a burn-rate guardrail is not breached, unless told.
const MINIMUM_EVENTS: u32 = 20;

/// Reads every SLO that a specification names, and makes objectives of the references to them. Everything that is wrong
/// goes to `findings`, or, with the text that it is about, to `in_files`.
pub(crate) fn resolve(
    spec: &mut Spec,
    findings: &mut Findings<'_>,
    sources: &mut Vec<Source>,
    in_files: &mut Vec<Diagnostic>,
) {
    let folder = findings.document.file.folder.clone();
    let mut signals = Vec::new();
    for (name, reference) in &mut spec.slos {
        let path = at!["spec", "slos", name];
        let found = Finder { path: &path, folder: folder.as_deref(), sources, in_files };
        let Some(server) = found.define(reference, findings) else { continue };
        let Some(definition) = &reference.define else { continue };
        match &reference.signal {
            Some(signal) => {
                findings.refers(&path.join("signal"), signal, &at!["spec", "signals"], "signal");
            }
            None => signals.push((name.clone(), path, signal(reference, definition, server))),
        }
    }
    for (name, path, signal) in signals {
        let Some(signal) = signal else {
            findings.error_at_key(
                &path,
                "it is not said which Prometheus server has the counters of this SLO",
                "add `prometheus: http://…` to it",
            );
            spec.slos.remove(&name);
            continue;
        };
        match spec.signals.entry(name) {
            Entry::Vacant(place) => _ = place.insert(Signal::Prometheus(signal)),
            Entry::Occupied(place) => {
                let name = place.key();
                findings.error_at_key(
                    &path,
                    format!("the signal of this SLO would be called `{name}`, as one of the document"),
                    format!(
                        "call one of them otherwise, or write `signal: {name}` if that signal is what is to be judged"
                    ),
                );
                spec.slos.remove(name);
            }
        }
    }
    let length = method_length(spec);
    let allowance = spec.budget.as_ref().map(|budget| budget.allowance);
    let Spec { slos, steady_state, guardrails, .. } = spec;
    for (list, objectives) in [("steadyState", steady_state), ("guardrails", guardrails)] {
        for (index, objective) in objectives.iter_mut().enumerate() {
            let path = at!["spec", list, index];
            let Some(slo) = objective.slo.clone() else {
                if objective.burn_rate.is_some() {
                    findings.error_at_key(
                        &path.join("burnRate"),
                        "a burn rate is of an SLO",
                        "write `slo: NAME` beside it",
                    );
                }
                continue;
            };
            if says_more(objective) {
                findings.error_at_key(
                    &path.join("slo"),
                    "an SLO says signal and bound itself",
                    "leave the other keys out",
                );
                continue;
            }
            if list == "steadyState" && objective.burn_rate.is_some() {
                findings.error_at_key(
                    &path.join("burnRate"),
                    "a burn rate is a guardrail",
                    "put it below `guardrails`",
                );
                continue;
            }
            let known = findings.refers(&path.join("slo"), &slo, &at!["spec", "slos"], "SLO");
            let Some((reference, definition)) = slos.get(&slo).and_then(|found| Some((found, found.define.as_ref()?)))
            else {
                continue;
            };
            if !known {
                continue;
            }
            objective.signal = reference.signal.clone().unwrap_or(slo);
            let below = match &mut objective.burn_rate {
                None => definition.allowed(),
                Some(burn) => {
                    let path = path.join("burnRate");
                    // Where there is none, the document is refused; the target keeps it from being refused twice.
                    burn_rate(burn, definition, allowance, length, &path, findings)
                        .unwrap_or_else(|| definition.allowed())
                }
            };
            objective.errors = Some(ErrorBound { below: Some(below), at_most: None, of: None });
        }
    }
}

fn says_more(objective: &Objective) -> bool {
    !objective.signal.is_empty()
        || objective.latency.is_some()
        || objective.errors.is_some()
        || objective.traffic.is_some()
        || objective.saturation.is_some()
        || objective.value.is_some()
}

/// How long the method takes from its first injection on.
fn method_length(spec: &Spec) -> TimeSpan {
    let steps = spec.method.iter().skip_while(|step| matches!(step, MethodStep::Observe(_)));
    TimeSpan::from(steps.map(MethodStep::lasts).sum::<std::time::Duration>())
}

/// Fills in what a burn-rate guardrail leaves out, and says which share of bad events spends the allowance in its time.
fn burn_rate(
    burn: &mut BurnRate,
    definition: &SloDefinition,
    allowance: Option<Percent>,
    length: TimeSpan,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<Percent> {
    let Some(allowance) = burn.allowance.or(allowance) else {
        findings.error_at_key(
            path,
            "it is not said how much of the budget may be spent",
            "write `allowance: 1%` here, or `budget` below `spec`",
        );
        return None;
    };
    let over = burn.over.unwrap_or(length);
    if over.is_zero() || allowance.number() == 0.0 {
        findings.error_at_key(
            path,
            "a burn rate needs an allowance and a time above 0",
            "as in `burnRate: { allowance: 1%, over: 10m }`",
        );
        return None;
    }
    let factor = allowance.fraction() * definition.window.duration().as_secs_f64() / over.duration().as_secs_f64();
    let share = factor * definition.allowed().fraction();
    *burn = BurnRate {
        allowance: Some(allowance),
        over: Some(over),
        minimum_events: Some(burn.minimum_events.unwrap_or(MINIMUM_EVENTS)),
    };
    if share >= 1.0 {
        findings.error_at_key(
            path,
            format!("it can never be breached: if every request failed for {over}, that would not be {allowance} of the budget"),
            "lower `allowance`, or let it have a longer time by `over`",
        );
        return None;
    }
    Percent::new((share * 1e11).round() / 1e9)
}

/// The signal of an SLO's own counters.
fn signal(reference: &SloReference, definition: &SloDefinition, server: Option<String>) -> Option<PrometheusSignal> {
    Some(PrometheusSignal {
        url: server?,
        bad: Some(definition.bad.clone()),
        total: Some(definition.total.clone()),
        value: None,
        interval: reference.interval.unwrap_or(TimeSpan::from_secs(1)),
        timeout: TimeSpan::from_secs(2),
    })
}

/// Looks for an SLO in its file.
struct Finder<'a> {
    path: &'a Path,
    folder: Option<&'a FilePath>,
    sources: &'a mut Vec<Source>,
    in_files: &'a mut Vec<Diagnostic>,
}

impl Finder<'_> {
    /// Fills in what the SLO is. The server that its file or the document names, if one does; nothing at all if the SLO
    /// cannot be used.
    fn define(self, reference: &mut SloReference, findings: &mut Findings<'_>) -> Option<Option<String>> {
        let path = self.path;
        let server = reference.prometheus.clone();
        let file = match (&reference.file, &mut reference.define) {
            (Some(_), Some(_)) => {
                findings.error_at_key(
                    &path.join("define"),
                    "an SLO is of a file or written out, not both",
                    "leave one out",
                );
                return None;
            }
            (None, None) => {
                findings.error_at_key(
                    path,
                    "it is not said what this SLO is",
                    "write `file: PATH`, or `define: { service: …, target: 99.9%, window: 30d, bad: …, total: … }`",
                );
                return None;
            }
            (None, Some(define)) => {
                return written_out(define, path, findings).then_some(server);
            }
            (Some(file), None) => file.clone(),
        };
        let Some(folder) = self.folder else {
            findings.error(
                &path.join("file"),
                "this document is not in a folder, so it cannot name files",
                "write the SLO out: `define: { service: …, target: 99.9%, window: 30d, bad: …, total: … }`",
            );
            return None;
        };
        let at_file = path.join("file");
        let (name, text) = match read_text(&folder.join(&file)) {
            Ok(read) => read,
            Err(LoadError::Unreadable { source, .. }) => {
                findings.error(
                    &at_file,
                    format!("cannot read {}: {source}", folder.join(&file).display()),
                    "the path is from the folder of this document",
                );
                return None;
            }
            Err(error) => {
                findings.error(&at_file, error.to_string(), "");
                return None;
            }
        };
        let number = self.sources.len();
        self.sources.push(Source { name, text: text.clone() });
        let placed = |mut diagnostic: Diagnostic| {
            diagnostic.place.source = number;
            diagnostic
        };
        let candidates = match read(&text) {
            Ok(candidates) => candidates,
            Err(diagnostic) => {
                self.in_files.push(placed(diagnostic));
                return None;
            }
        };
        let chosen = choose(&candidates, reference, path, findings)?;
        self.in_files.extend(chosen.warnings.iter().cloned().map(placed));
        match &chosen.slo {
            Ok(definition) => {
                let window = reference.window.unwrap_or(definition.window);
                reference.name = Some(chosen.name.clone());
                reference.define = Some(SloDefinition { window, ..definition.clone() });
                Some(server.or_else(|| chosen.prometheus.clone()))
            }
            Err(diagnostic) => {
                self.in_files.push(placed(diagnostic.clone()));
                None
            }
        }
    }
}

fn choose<'a>(
    candidates: &'a [Candidate],
    reference: &SloReference,
    path: &Path,
    findings: &mut Findings<'_>,
) -> Option<&'a Candidate> {
    let mut names: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    names.dedup();
    let named: Vec<&Candidate> = match &reference.name {
        Some(name) => {
            let named: Vec<_> = candidates.iter().filter(|candidate| candidate.name == *name).collect();
            if named.is_empty() {
                let hint = suggest::hint(name, names);
                findings.error(&path.join("name"), format!("there is no SLO `{name}` in the file"), hint);
                return None;
            }
            named
        }
        None if names.len() > 1 => {
            findings.error_at_key(
                path,
                "the file has several SLOs",
                format!("say which by `name`: `{}`", names.join("`, `")),
            );
            return None;
        }
        None => candidates.iter().collect(),
    };
    let fits = |candidate: &&&Candidate| reference.objective.is_none() || candidate.objective == reference.objective;
    let fitting: Vec<_> = named.iter().filter(fits).copied().collect();
    let [one] = fitting.as_slice() else {
        let objectives: Vec<&str> = named.iter().filter_map(|candidate| candidate.objective.as_deref()).collect();
        let hint = format!("say which by `objective`, its displayName: `{}`", objectives.join("`, `"));
        findings.error_at_key(path, "the SLO has several objectives", hint);
        return None;
    };
    Some(one)
}

/// Checks an SLO that the document has itself, and unwraps its queries.
fn written_out(define: &mut SloDefinition, path: &Path, findings: &mut Findings<'_>) -> bool {
    let path = path.join("define");
    let mut whole = true;
    if !(define.target.number() > 0.0 && define.target.number() < 100.0) {
        findings.error(&path.join("target"), "a target lies above 0% and below 100%", "99.9% is a usual one");
        whole = false;
    }
    if define.window.is_zero() {
        findings.error(&path.join("window"), "this must be longer than nothing", "30d is usual");
        whole = false;
    }
    if let Some(calendar) = &define.calendar
        && let Err(why) = super::budget::began(calendar, jiff::Timestamp::now())
    {
        findings.error_at_key(
            &path.join("calendar"),
            why,
            "as in `{ every: 1M, start: 2026-01-01 00:00:00, timeZone: UTC }`",
        );
        whole = false;
    }
    for (key, query) in [("bad", &mut define.bad), ("total", &mut define.total)] {
        match Counter::read(query) {
            Ok(counter) => *query = counter.raw(),
            Err(error) => {
                findings.error(&path.join(key), format!("this query cannot be counted by: {error}"), error.hint);
                whole = false;
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests;
