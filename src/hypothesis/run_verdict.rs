//! The verdict of a run: a chain of links, each of which must be there. A missing link is never a pass.

use std::collections::BTreeSet;
use std::ops::Range;

use faultline_agent::plan::Bite;

use super::verdict::{ObjectiveVerdict, Phase, RunVerdict, Verdict};
use super::words::seconds;

/// What happened in a run, apart from what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// Every fault of the method, in its order, reached or not.
    pub faults: Vec<FaultFacts>,
    /// On a fleet, every injection of the method with the faults that it is on its hosts.
    pub injections: Vec<InjectionFacts>,
    /// Whether the steady state was shown before the first fault.
    pub steady_before: bool,
    /// Why nothing was injected: a window, a budget, a policy, a halt that was set already.
    pub refused: Option<String>,
    /// Who or what ended the run early, other than a person at the terminal: a guardrail, a halt, a lost guard.
    pub aborted: Option<String>,
    /// Which person or signal interrupted the run.
    pub interrupted: Option<String>,
    /// After how many seconds everything was steady again; nothing if that was not shown in time.
    pub recovered: Option<f64>,
    /// What of the run itself (a process of a service, a scratch folder) is still there.
    pub left_behind: Option<String>,
    /// Whether nothing was injected, on purpose.
    pub placebo: bool,
}

/// What every report says of a placebo.
pub const PLACEBO: &str = "placebo: nothing was injected";

/// What became of one fault of the method.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultFacts {
    /// Its name as printed: `network-latency on backend`.
    pub name: String,
    /// What became of it.
    pub injection: Injection,
    /// How its host was lost before its time was over, if it was.
    pub lost: Option<String>,
}

/// One injection over several hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectionFacts {
    /// Its name as printed: `network-latency on db`.
    pub name: String,
    /// Which of the faults it is.
    pub faults: Range<usize>,
    /// On how many hosts it must have acted to its end for anything to be tested.
    pub needed: usize,
}

/// What became of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Injection {
    /// The run ended before its turn.
    NotReached,
    /// It could not be put in place, and why.
    Failed {
        /// Why.
        reason: String,
        /// Whether what was done of it was seen to be undone.
        clean: bool,
    },
    /// It was put in place.
    Injected {
        /// Whether it was measured to act.
        bite: Bite,
        /// Whether it was undone, and the host seen to be as before.
        undo_verified: bool,
    },
}

/// The verdict of a run and, in one sentence, why.
///
/// The first that applies of: cleanup unverified, invalid, aborted, interrupted, refused, violated, no data,
/// inconclusive, held. Total: whatever is missing from the facts makes the verdict worse, never better.
///
/// Of a placebo the sentence begins with [`PLACEBO`], and no effect is asked.
pub fn run_verdict(facts: &RunFacts, objectives: &[ObjectiveVerdict]) -> (RunVerdict, String) {
    let (verdict, because) = of_links(facts, objectives);
    (verdict, if facts.placebo { format!("{PLACEBO}; {because}") } else { because })
}

fn of_links(facts: &RunFacts, objectives: &[ObjectiveVerdict]) -> (RunVerdict, String) {
    left_behind(facts)
        .map(|because| (RunVerdict::CleanupUnverified, because))
        .or_else(|| without_effect(facts).map(|because| (RunVerdict::Invalid, because)))
        .or_else(|| facts.aborted.clone().map(|by| (RunVerdict::Aborted, by)))
        .or_else(|| facts.interrupted.clone().map(|by| (RunVerdict::Interrupted, by)))
        .or_else(|| refused(facts, objectives).map(|because| (RunVerdict::Refused, because)))
        .or_else(|| first(objectives, Verdict::Violated).map(|because| (RunVerdict::Violated, because)))
        .or_else(|| first(objectives, Verdict::NoData).map(|because| (RunVerdict::NoData, because)))
        .or_else(|| unjudged(objectives).map(|because| (RunVerdict::NoData, because)))
        .or_else(|| first(objectives, Verdict::Inconclusive).map(|because| (RunVerdict::Inconclusive, because)))
        .unwrap_or_else(|| match facts.recovered {
            Some(after) => (RunVerdict::Held, held(facts, objectives, after)),
            None => {
                (RunVerdict::Violated, "the steady state was not shown again in the time given for recovery".into())
            }
        })
}

fn left_behind(facts: &RunFacts) -> Option<String> {
    let unverified = facts.faults.iter().find_map(|fault| match &fault.injection {
        Injection::Injected { undo_verified: false, .. } | Injection::Failed { clean: false, .. } => {
            let lost = fault.lost.as_ref().map(|lost| format!(" ({lost})")).unwrap_or_default();
            Some(format!("{} was not seen to be undone: something of it may be left on the host{lost}", fault.name))
        }
        _ => None,
    });
    unverified.or_else(|| {
        facts.left_behind.as_ref().map(|what| format!("something of the run itself is still there: {what}"))
    })
}

fn without_effect(facts: &RunFacts) -> Option<String> {
    let ended_early = facts.aborted.is_some() || facts.interrupted.is_some();
    let refused = facts.refused.is_some() || !facts.steady_before;
    if facts.faults.is_empty() && !ended_early && !refused {
        return Some("the method injects nothing, so nothing was tested".into());
    }
    let of_a_fault = facts.faults.iter().filter(|fault| fault.lost.is_none()).find_map(|fault| {
        let name = &fault.name;
        match &fault.injection {
            Injection::Failed { reason, .. } => Some(format!("{name} could not be put in place: {reason}")),
            Injection::Injected { bite: Bite::No(why), .. } => Some(format!("{name} had no effect: {why}")),
            Injection::Injected { bite: Bite::NotYet(why), .. } if !ended_early => {
                Some(format!("{name} was never measured to act: {why}"))
            }
            Injection::NotReached if !ended_early && !refused => Some(format!("{name} was never injected")),
            _ => None,
        }
    });
    of_a_fault.or_else(|| if ended_early { None } else { facts.borne_by_too_few() })
}

impl FaultFacts {
    /// Whether it acted, and its host was there until its time was over.
    fn was_borne(&self) -> bool {
        self.lost.is_none() && matches!(self.injection, Injection::Injected { bite: Bite::Yes, .. })
    }
}

impl RunFacts {
    /// Why nothing was tested although all that was left acted, if so: an injection acted to its end on fewer hosts than
    /// it must, since others were lost.
    pub(crate) fn borne_by_too_few(&self) -> Option<String> {
        self.faults.iter().enumerate().find_map(|(number, fault)| {
            let lost = fault.lost.as_ref()?;
            let Some(injection) = self.injections.iter().find(|injection| injection.faults.contains(&number)) else {
                return Some(format!("{} did not act to its end: {lost}", fault.name));
            };
            let of = self.faults.get(injection.faults.clone()).unwrap_or_default();
            let (borne, needed) = (of.iter().filter(|fault| fault.was_borne()).count(), injection.needed.max(1));
            (borne < needed).then(|| {
                format!(
                    "{} acted to its end on {borne} of {} hosts, and at least {needed} are needed: {lost}",
                    injection.name,
                    of.len()
                )
            })
        })
    }
}

fn refused(facts: &RunFacts, objectives: &[ObjectiveVerdict]) -> Option<String> {
    if let Some(reason) = &facts.refused {
        return Some(reason.clone());
    }
    if facts.steady_before {
        return None;
    }
    let open = objectives.iter().find(|judged| judged.phase == Phase::Before && judged.verdict != Verdict::Held);
    let why = open.map_or_else(|| "it was not shown".into(), ObjectiveVerdict::reason);
    Some(format!("not steady before the fault: {why}"))
}

fn first(objectives: &[ObjectiveVerdict], verdict: Verdict) -> Option<String> {
    let judged = objectives.iter().find(|judged| judged.verdict == verdict)?;
    Some(format!("{}, {}", when(judged.phase), judged.reason()))
}

/// An objective that was not judged in each of the three phases, or no objective at all.
fn unjudged(objectives: &[ObjectiveVerdict]) -> Option<String> {
    if objectives.is_empty() {
        return Some("no objective was judged".into());
    }
    let judged: BTreeSet<(&str, Phase)> =
        objectives.iter().map(|judged| (judged.description.as_str(), judged.phase)).collect();
    objectives.iter().find_map(|objective| {
        [Phase::Before, Phase::During, Phase::After]
            .into_iter()
            .find(|phase| !judged.contains(&(objective.description.as_str(), *phase)))
            .map(|phase| format!("{} was not judged {}", objective.description, when(phase)))
    })
}

fn when(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "before the fault",
        Phase::During => "during the fault",
        Phase::After => "after the undo",
    }
}

fn held(facts: &RunFacts, objectives: &[ObjectiveVerdict], after: f64) -> String {
    let count = objectives.iter().filter(|judged| judged.phase == Phase::During).count();
    let objectives = if count == 1 { "the objective was".into() } else { format!("all {count} objectives were") };
    let borne = facts.faults.iter().filter(|fault| fault.was_borne()).count();
    let faults = match facts.faults.as_slice() {
        _ if facts.placebo => "and nothing had to be undone".into(),
        all if borne < all.len() => {
            let told: BTreeSet<&str> = all.iter().filter_map(|fault| fault.lost.as_deref()).collect();
            let told = told.into_iter().collect::<Vec<_>>().join("; ");
            format!("{borne} of {} faults were measured to act to their end, all seen to be undone; {told}", all.len())
        }
        [fault] => format!("{} was measured to act and seen to be undone", fault.name),
        faults => format!("all {} faults were measured to act and seen to be undone", faults.len()),
    };
    format!("{objectives} shown to hold before, during and after; {faults}; steady again after {}", seconds(after))
}
