//! An occurrence in words, for the formats that people read.

use super::occurrence::{FaultSubject, Occurrence, RunSubject, StepState, StoppedBy, What, between};
use crate::game_day::machine::Answer;
use crate::hypothesis::verdict::RunVerdict;

/// What happened, in one line that is understood without any other.
pub(super) fn headline(occurrence: &Occurrence) -> String {
    match &occurrence.what {
        What::RunQueued { run, .. } => format!("{}: queued", run.experiment),
        What::RunWaitingForApproval { run, approvals_needed: 1, .. } => {
            format!("{}: waits for an approval", run.experiment)
        }
        What::RunWaitingForApproval { run, approvals_needed, .. } => {
            format!("{}: waits for {approvals_needed} approvals", run.experiment)
        }
        What::RunCancelled { run, .. } => format!("{}: cancelled before it began", run.experiment),
        What::RunStarted { run, .. } => format!("{}: started", run.experiment),
        What::FaultInjected { run, fault } => format!("{}: {} acts on {}", run.experiment, fault.name, fault.host),
        What::GuardrailBreached { run, guardrail, .. } => {
            format!("{}: guardrail breached, aborting: {guardrail}", run.experiment)
        }
        What::FaultUndone { run, fault, .. } => format!("{}: {} undone on {}", run.experiment, fault.name, fault.host),
        What::FaultStuck { fault, .. } => {
            format!("{} on {} cannot be undone: a person must", fault.name, fault.host)
        }
        What::CleanupNotVerified { run, .. } => format!("{}: cleanup NOT verified", run.experiment),
        What::CleanedUp { run, .. } => format!("{}: everything is undone after all", run.experiment),
        What::RunFinished { run, verdict, .. } => format!("{}: {}", run.experiment, verdict_words(*verdict)),
        What::HaltSet { by, .. } => format!("Everything halted by {by}"),
        What::HaltReleased { by, .. } => format!("Halt released by {by}"),
        What::AgentVanished { host, active_faults: 0, .. } => format!("The agent of {host} is no longer heard of"),
        What::AgentVanished { host, active_faults, .. } => {
            let faults = if *active_faults == 1 { "fault" } else { "faults" };
            format!("The agent of {host} is no longer heard of, with {active_faults} {faults} active")
        }
        What::AgentReturned { host, .. } => format!("The agent of {host} is heard of again"),
        What::ScheduleMissed { schedule, slot, .. } => format!("Schedule {schedule} did not fire at {slot}"),
        What::GameDaySubmitted { game_day, .. } => format!("Game day asked for: {}", game_day.title),
        What::GameDayWaitingForApproval { game_day, approvals_missing: 1, .. } => {
            format!("{}: the game day waits for an approval", game_day.name)
        }
        What::GameDayWaitingForApproval { game_day, approvals_missing, .. } => {
            format!("{}: the game day waits for {approvals_missing} approvals", game_day.name)
        }
        What::GameDayHold { game_day, ask, .. } => format!("{}: go or no-go? {ask}", game_day.name),
        What::GameDayDecided { game_day, asked, by, answer, .. } => {
            format!("{}: {} by {by} to {asked}", game_day.name, answer_words(*answer))
        }
        What::GameDayStarted { game_day } => format!("Game day started: {}", game_day.title),
        What::GameDayStep { game_day, step, state, .. } => {
            format!("{}: {step} {}", game_day.name, step_words(*state))
        }
        What::GameDayFinished { game_day, .. } => format!("{}: game day finished", game_day.name),
        What::GameDayAborted { game_day, .. } => format!("{}: game day ended early", game_day.name),
    }
}

/// What else there is to know: a name and a text each, the most useful first.
pub(super) fn details(occurrence: &Occurrence) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    match &occurrence.what {
        What::RunQueued { requested_by, .. } => all.push(("Asked for by", requested_by.clone())),
        What::RunWaitingForApproval { requested_by, plan_hash, deadline, .. } => {
            all.push(("Asked for by", requested_by.clone()));
            all.push(("Plan", plan_hash.clone()));
            all.extend(deadline.map(|deadline| ("Until", deadline.to_string())));
        }
        What::RunCancelled { because, .. } | What::CleanedUp { because, .. } => all.push(("Because", because.clone())),
        What::RunStarted { requested_by, hypothesis, .. } => {
            all.push(("Hypothesis", hypothesis.trim().to_owned()));
            all.push(("Asked for by", requested_by.clone()));
        }
        What::FaultInjected { fault, .. } => all.push(("Dose", fault.dose.clone())),
        What::GuardrailBreached { because, .. } => all.push(("Measured", because.clone())),
        What::FaultUndone { fault, since, .. } => {
            all.push(("Dose", fault.dose.clone()));
            all.push(("Acted for", between(*since, occurrence.at).to_string()));
        }
        What::FaultStuck { fault, because, command, .. } => {
            all.push(("Because", because.clone()));
            all.push(("Undo it by", command.clone()));
            all.push(("Fault", fault.id.clone()));
        }
        What::CleanupNotVerified { hosts, because, .. } => {
            all.push(("Because", because.clone()));
            all.push(("Not known of", hosts.join(", ")));
        }
        What::RunFinished { because, started_at, stopped_by, .. } => {
            all.push(("Because", because.clone()));
            all.extend(stopped_by.map(|by| ("Ended by", stopped_words(by).to_owned())));
            all.push(("Took", between(*started_at, occurrence.at).to_string()));
        }
        What::HaltSet { reason, stopped, cancelled, .. } => {
            all.push(("Reason", reason.clone()));
            all.push(("Runs", format!("{stopped} stopped, {cancelled} cancelled")));
        }
        What::HaltReleased { since, reason, .. } => {
            all.push(("Had been set because", reason.clone()));
            all.push(("Lasted", between(*since, occurrence.at).to_string()));
        }
        What::AgentVanished { last_seen, .. } | What::AgentReturned { last_seen, .. } => {
            all.push(("Last heard of", last_seen.to_string()));
        }
        What::ScheduleMissed { because, .. } => all.push(("Because", because.clone())),
        What::GameDaySubmitted { requested_by, .. } => all.push(("Asked for by", requested_by.clone())),
        What::GameDayWaitingForApproval { plan_hash, of, deadline, .. } => {
            all.push(("Of", of.join(", ")));
            all.push(("Plan", plan_hash.clone()));
            all.extend(deadline.map(|deadline| ("Until", deadline.to_string())));
        }
        What::GameDayHold { asks, of, .. } => {
            all.push(("For", of.join(", ")));
            all.push(("Answer to", asks.clone()));
        }
        What::GameDayDecided { remark, since, .. } => {
            all.extend(remark.as_ref().map(|remark| ("Remark", remark.clone())));
            all.extend(since.map(|since| ("Stood still for", between(since, occurrence.at).to_string())));
        }
        What::GameDayStarted { .. } => {}
        What::GameDayStep { note, .. } => all.extend(note.as_ref().map(|note| ("Note", note.clone()))),
        What::GameDayFinished { summary, since, .. } => {
            all.push(("Found", summary.clone()));
            all.extend(since.map(|since| ("Took", between(since, occurrence.at).to_string())));
        }
        What::GameDayAborted { because, since, .. } => {
            all.push(("Because", because.clone()));
            all.extend(since.map(|since| ("Took", between(since, occurrence.at).to_string())));
        }
    }
    if let Some(game_day) = occurrence.what.game_day() {
        all.push(("Game day", game_day.id.clone()));
    }
    if let Some(RunSubject { id, hosts, .. }) = occurrence.what.run() {
        all.push(("Run", id.clone()));
        if !hosts.is_empty() && fault(&occurrence.what).is_none() {
            all.push(("Hosts", listed(hosts)));
        }
    }
    all
}

/// The fault that it is about, if it is about one.
pub(super) fn fault(what: &What) -> Option<&FaultSubject> {
    match what {
        What::FaultInjected { fault, .. } | What::FaultUndone { fault, .. } | What::FaultStuck { fault, .. } => {
            Some(fault)
        }
        _ => None,
    }
}

/// The first five, and how many more.
fn listed(names: &[String]) -> String {
    match names.len().checked_sub(5) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..5].join(", ")),
    }
}

fn verdict_words(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::CleanupUnverified => "finished, cleanup NOT verified",
        RunVerdict::Invalid => "invalid, the fault did not act",
        RunVerdict::Aborted => "aborted and undone",
        RunVerdict::Violated => "violated",
        RunVerdict::NoData => "no data to judge by",
        RunVerdict::Inconclusive => "inconclusive",
        RunVerdict::Held => "held",
        RunVerdict::Refused => "refused, nothing was injected",
        RunVerdict::Interrupted => "interrupted and undone",
    }
}

fn stopped_words(by: StoppedBy) -> &'static str {
    match by {
        StoppedBy::Guardrail => "a guardrail",
        StoppedBy::Halt => "a halt",
        StoppedBy::Request => "a request",
        StoppedBy::LostLease => "a lost lease",
        StoppedBy::TimeBox => "its time box",
    }
}

fn answer_words(answer: Answer) -> &'static str {
    match answer {
        Answer::Go => "go",
        Answer::NoGo => "no-go",
        Answer::Skip => "left out",
    }
}

fn step_words(state: StepState) -> &'static str {
    match state {
        StepState::Started => "has begun",
        StepState::Done => "is done",
        StepState::Skipped => "was left out",
        StepState::Failed => "failed",
    }
}
