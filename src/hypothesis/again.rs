//! Judging a recorded run by the objectives of another document, from its journal alone.
//!
//! What happened stays what it was: which faults were put in place, whether they acted, whether they were undone, who
//! stopped the run. What is judged is decided anew: whether the run would have begun, which guardrail would have ended
//! it and when, every objective in every phase, and recovery. The judge is asked at fixed moments, ten times a second
//! from the first state on, so that the same journal and the same document give the same verdict, byte for byte.

use crate::document::suggest;
use crate::experiment::document::{Objective, Spec};
use crate::run::journal::{Entry, Event, Started};

use super::bound;
use super::error::JudgeError;
use super::judge::Judge;
use super::rejudge::{beginning, rejudge};
use super::replay::Replay;
use super::run_verdict::{RunFacts, run_verdict};
use super::verdict::{ObjectiveVerdict, RunVerdict};
use super::words::seconds;

/// A run, judged again.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The journal as it would be: the document with the other objectives, and the new judgement in place of the old.
    pub entries: Vec<Entry>,
    /// The verdict that the run itself came to, and why; nothing if it did not finish.
    pub was: Option<(RunVerdict, String)>,
    /// Whether verdict and objectives are those of the run itself, byte for byte.
    pub same: bool,
    /// What must be known of the judgement, one sentence each.
    pub notes: Vec<String>,
}

/// Why a run cannot be judged again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgainError {
    /// The hypothesis, or the journal.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// An objective bounds a signal of which the run has no samples.
    #[error("an objective is on the signal `{signal}`, which this run did not record")]
    NotRecorded {
        /// The signal.
        signal: String,
        /// Those that it recorded.
        recorded: Vec<String>,
    },
}

impl AgainError {
    /// The way on.
    pub fn hint(&self) -> Option<String> {
        let Self::NotRecorded { signal, recorded } = self else { return None };
        let near = suggest::nearest(signal, recorded.iter().map(String::as_str));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        Some(format!("{near}it recorded {}; what was not measured then cannot be judged now", recorded.join(", ")))
    }
}

/// Judges a run again: by its own document, or by steady state, guardrails, error rate and recovery of another one.
///
/// # Errors
/// [`AgainError`] if the other document bounds what was not recorded, or nothing can be judged.
pub fn judge_again(entries: &[Entry], other: Option<&Spec>) -> Result<Again, AgainError> {
    let started = beginning(entries)?;
    let recorded = &started.experiment.spec;
    let spec = other.map_or_else(|| recorded.clone(), |other| merged(recorded, other));
    let mut notes = Vec::new();
    if let Some(other) = other {
        are_recorded(recorded, &spec)?;
        notes.extend(defined_otherwise(recorded, other, &spec));
    }
    let version = env!("CARGO_PKG_VERSION");
    if started.version != version {
        notes.push(format!("The run was recorded by faultline {}, and is judged by {version}.", started.version));
    }
    let mut again = if judges_alike(recorded, &spec) {
        by_its_own(entries)?
    } else {
        by_others(entries, started, spec, &mut notes)?
    };
    again.notes.extend(notes);
    Ok(again)
}

/// What of two documents decides a verdict is the same.
fn judges_alike(one: &Spec, other: &Spec) -> bool {
    one.steady_state == other.steady_state
        && one.guardrails == other.guardrails
        && one.error_rate == other.error_rate
        && one.recovery == other.recovery
}

fn merged(recorded: &Spec, other: &Spec) -> Spec {
    let mut slos = other.slos.clone();
    slos.extend(recorded.slos.clone());
    Spec {
        hypothesis: other.hypothesis.clone(),
        steady_state: other.steady_state.clone(),
        guardrails: other.guardrails.clone(),
        error_rate: other.error_rate,
        recovery: other.recovery,
        slos,
        ..recorded.clone()
    }
}

/// The signals that objectives and guardrails read.
fn signals_of(spec: &Spec) -> impl Iterator<Item = &str> {
    let of = |objective| {
        let control = match bound::reference(objective) {
            Some(crate::experiment::document::Reference::Control(signal)) => Some(signal.as_str()),
            _ => None,
        };
        std::iter::once(objective.signal.as_str()).chain(control)
    };
    spec.steady_state.iter().chain(&spec.guardrails).flat_map(move |objective: &Objective| of(objective))
}

fn are_recorded(recorded: &Spec, spec: &Spec) -> Result<(), AgainError> {
    match signals_of(spec).find(|signal| !recorded.signals.contains_key(*signal)) {
        None => Ok(()),
        Some(signal) => Err(AgainError::NotRecorded {
            signal: signal.to_owned(),
            recorded: recorded.signals.keys().cloned().collect(),
        }),
    }
}

fn defined_otherwise(recorded: &Spec, other: &Spec, spec: &Spec) -> Vec<String> {
    let mut read: Vec<&str> = signals_of(spec).collect();
    read.sort_unstable();
    read.dedup();
    let differs =
        |signal: &&str| other.signals.get(*signal).is_some_and(|other| recorded.signals.get(*signal) != Some(other));
    let told = |signal| {
        format!(
            "Signal {signal} is defined otherwise in the other document: its samples are those of the run's own definition."
        )
    };
    read.into_iter().filter(differs).map(told).collect()
}

/// The same judgement once more: every decision of the run stands, and the objectives are judged anew from the samples.
fn by_its_own(entries: &[Entry]) -> Result<Again, AgainError> {
    let objectives = rejudge(entries)?;
    let (verdict, because) = run_verdict(&RunFacts::from_entries(entries)?, &objectives);
    Ok(written(entries, None, &objectives, (verdict, because), Decisions::default()))
}

/// What is decided otherwise than it was in the run.
#[derive(Debug, Default)]
struct Decisions {
    /// By another document: its guardrails and its recovery take the place of the recorded ones.
    anew: bool,
    breach: Option<(f64, ObjectiveVerdict)>,
    recovered: Option<(f64, f64)>,
}

fn by_others(entries: &[Entry], started: &Started, spec: Spec, notes: &mut Vec<String>) -> Result<Again, AgainError> {
    let mut replay = Replay::new(Judge::new(&spec)?);
    entries.iter().for_each(|entry| replay.follow(entry));
    let objectives = replay.judge.verdicts();
    let within = spec.recovery.within.duration().as_secs_f64();
    let recovered = replay.recovered(&objectives).filter(|(_, after)| *after <= within);
    let mut facts = RunFacts::from_entries(entries)?;
    let cut_short = own_guardrail(entries);
    if cut_short.is_some() {
        facts.aborted = None;
    }
    let mut watched_on = true;
    match (&replay.breach, replay.injecting) {
        (Some((at, breach)), Some(injecting)) if *at >= injecting => {
            let moment = seconds(at - injecting);
            facts.aborted.get_or_insert(format!("would have aborted {moment} into the fault: {}", breach.reason()));
            watched_on = false;
        }
        (Some((at, breach)), _) => {
            let moment = seconds(at - replay.steady.unwrap_or(0.0));
            let why =
                format!("would not have begun: guardrail breached {moment} into the baseline: {}", breach.reason());
            facts.refused.get_or_insert(why);
            facts.steady_before = false;
        }
        (None, Some(_)) => {
            if let Some(why) = &replay.not_steady {
                facts.refused.get_or_insert(format!("would not have begun: {why}"));
                facts.steady_before = false;
            }
        }
        (None, None) => {}
    }
    facts.recovered = recovered.map(|(_, after)| after);
    let verdict = conclude(&facts, &objectives, cut_short.filter(|_| watched_on), || {
        let watched = replay.watched_recovery();
        (watched < within).then(|| {
            format!(
                "not shown to be steady again in the {} that were recorded after the undo; {} are given, and nothing is \
                 known of the rest",
                seconds(watched),
                seconds(within)
            )
        })
    });
    if let Some(reason) = cut_short.filter(|_| facts.aborted.is_none()) {
        notes.push(format!(
            "The run was ended by a guardrail of its own ({reason}); the fault acted no longer than until then."
        ));
    }
    let mut started = started.clone();
    started.experiment.spec = spec;
    let decisions = Decisions { anew: true, breach: replay.breach, recovered };
    Ok(written(entries, Some(&started), &objectives, verdict, decisions))
}

/// The guardrail by which the run itself was ended, if it was the first to end it.
fn own_guardrail(entries: &[Entry]) -> Option<&str> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Breached { guardrail } => Some(Some(guardrail.description.as_str())),
        Event::Stopped { .. } => Some(None),
        _ => None,
    })?
}

/// The verdict. A run that its own guardrail cut short proves nothing of the rest of the fault, and a record that ends
/// before the time for recovery is over proves nothing of that; what was shown to be violated stays so.
fn conclude(
    facts: &RunFacts,
    objectives: &[ObjectiveVerdict],
    cut_short: Option<&str>,
    not_watched: impl Fn() -> Option<String>,
) -> (RunVerdict, String) {
    if let Some(reason) = cut_short.filter(|_| facts.aborted.is_none()) {
        // What was not injected or measured because of the abort is no failure of the fault.
        let aborted = RunFacts { aborted: Some(String::new()), ..facts.clone() };
        let (verdict, because) = run_verdict(&aborted, objectives);
        if verdict != RunVerdict::Aborted {
            return (verdict, because);
        }
        let (verdict, because) = run_verdict(facts, objectives);
        if matches!(verdict, RunVerdict::Held | RunVerdict::Invalid) {
            let because =
                format!("the run was cut short by its own guardrail ({reason}): the fault did not act to its end");
            return (RunVerdict::Inconclusive, because);
        }
        return (verdict, because);
    }
    if facts.recovered.is_none()
        && let Some(because) = not_watched()
    {
        let as_if = RunFacts { recovered: Some(0.0), ..facts.clone() };
        let (verdict, other) = run_verdict(&as_if, objectives);
        return if verdict == RunVerdict::Held { (RunVerdict::Inconclusive, because) } else { (verdict, other) };
    }
    run_verdict(facts, objectives)
}

/// The journal with the new judgement, and whether it says what the old one said.
fn written(
    entries: &[Entry],
    started: Option<&Started>,
    objectives: &[ObjectiveVerdict],
    (verdict, because): (RunVerdict, String),
    decisions: Decisions,
) -> Again {
    let mut was = None;
    let mut judged: Option<&Vec<ObjectiveVerdict>> = None;
    let anew = Event::Judged { objectives: objectives.to_owned() };
    let mut new = Vec::with_capacity(entries.len() + 2);
    for entry in entries {
        let event = match (&entry.event, started) {
            (Event::Started(_), Some(started)) => Event::Started(Box::new(started.clone())),
            (Event::Breached { .. } | Event::Recovered { .. }, _) if decisions.anew => continue,
            (Event::Judged { objectives: old }, _) => {
                judged = Some(old);
                anew.clone()
            }
            (Event::Finished { verdict: old, because: why }, _) => {
                was = Some((*old, why.clone()));
                // A run that was refused before it took a baseline was never judged.
                if judged.is_none() && !objectives.is_empty() {
                    new.push(Entry { at: entry.at, event: anew.clone() });
                }
                Event::Finished { verdict, because: because.clone() }
            }
            (other, _) => other.clone(),
        };
        new.push(Entry { at: entry.at, event });
    }
    if judged.is_none() && was.is_none() {
        let at = entries.last().map_or(0.0, |entry| entry.at);
        new.push(Entry { at, event: anew });
    }
    let judged_alike = judged.map_or(objectives.is_empty(), |old| bytes(old) == bytes(objectives));
    let same = judged_alike && was.as_ref() == Some(&(verdict, because));
    let breach = decisions.breach.map(|(at, breach)| (at, Event::Breached { guardrail: Box::new(breach) }));
    let recovered = decisions.recovered.map(|(at, after)| (at, Event::Recovered { after }));
    for (at, event) in breach.into_iter().chain(recovered) {
        // Before the judgement, also where it has the same moment.
        let judged = new.iter().position(|entry| matches!(entry.event, Event::Judged { .. } | Event::Finished { .. }));
        let place = new.partition_point(|entry| entry.at <= at).min(judged.unwrap_or(new.len()));
        new.insert(place, Entry { at, event });
    }
    Again { entries: new, was, same, notes: Vec::new() }
}

fn bytes(objectives: &[ObjectiveVerdict]) -> String {
    serde_json::to_string(objectives).unwrap_or_else(|_| format!("{objectives:?}"))
}
