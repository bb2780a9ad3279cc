use std::collections::BTreeSet;

use crate::facts::{ProcessFacts, ProcessSelector, Protection, Selection};
use crate::fault::Scope;
use crate::identity::NetworkNamespace;
use nix::unistd::{Uid, User};

use super::unmatched;
use super::{Chosen, Resolved, TargetContext, TargetError, service_mark};

/// How much of a command line is shown.
const LONGEST_COMMAND_LINE: usize = 60;

/// The processes that a selector matches. In a private run only those inside its network are looked at: nothing of the
/// experiment is outside.
pub(super) fn by_selector(
    chosen: Chosen<'_>,
    selector: &ProcessSelector,
    context: &TargetContext<'_>,
) -> Result<Resolved, TargetError> {
    let selection = Selection {
        selector: selector.clone(),
        environment: None,
        network_namespace: match &context.ground.namespace {
            NetworkNamespace::Own => None,
            NetworkNamespace::Path { inode, .. } => Some(*inode),
        },
        pick: chosen.pick,
    };
    let wrong = |source| TargetError::Selector { target: chosen.target.into(), source };
    let matcher = selection.matcher().map_err(wrong)?;
    let all = living(context)?;
    let matching: Vec<ProcessFacts> = all.iter().filter(|process| matcher.matches(process)).cloned().collect();
    if matching.is_empty() {
        return Err(unmatched::explain(chosen.target, &selection, &all));
    }
    let known = matching.iter().map(|process| process.identity).collect();
    let allowed = allowed(chosen.target, matching, &all, context)?;
    Ok(Resolved { matching: known, ..scope(chosen, allowed, selection, context) })
}

/// The processes of a service that the run started.
pub(super) fn of_service(
    chosen: Chosen<'_>,
    service: &str,
    context: &TargetContext<'_>,
) -> Result<Resolved, TargetError> {
    let no_match =
        |message: String, hint: &str| TargetError::NoMatch { target: chosen.target.into(), message, hint: hint.into() };
    let Some(identities) = context.ground.services.get(service) else {
        let message = format!("service `{service}` was not started");
        return Err(no_match(message, "its processes are only known while a run has it up"));
    };
    let all = living(context)?;
    let matching: Vec<ProcessFacts> =
        all.iter().filter(|process| identities.contains(&process.identity)).cloned().collect();
    if matching.is_empty() {
        let message = format!("service `{service}` has no living process");
        return Err(no_match(message, "its output is in the run's folder; a `restart` lets it come back"));
    }
    let selection = Selection {
        selector: ProcessSelector::default(),
        environment: Some(service_mark(&context.ground.run, service)),
        network_namespace: None,
        pick: chosen.pick,
    };
    let matcher =
        selection.matcher().map_err(|source| TargetError::Selector { target: chosen.target.into(), source })?;
    let known = all.iter().filter(|process| matcher.matches(process)).map(|process| process.identity).collect();
    let allowed = allowed(chosen.target, matching, &all, context)?;
    Ok(Resolved { matching: known, ..scope(chosen, allowed, selection, context) })
}

/// All processes but those that are dead already, in the order of their identity, whatever the order in which the host
/// lists them: the same seed then chooses the same.
fn living(context: &TargetContext<'_>) -> Result<Vec<ProcessFacts>, TargetError> {
    let mut all = context.facts.processes()?;
    all.retain(|process| !matches!(process.state, 'Z' | 'X'));
    all.sort_by_key(|process| process.identity);
    Ok(all)
}

/// Leaves out what no fault may touch.
fn allowed(
    target: &str,
    matching: Vec<ProcessFacts>,
    all: &[ProcessFacts],
    context: &TargetContext<'_>,
) -> Result<Vec<ProcessFacts>, TargetError> {
    let protection = Protection::of(all, &context.facts.protected());
    let reason = |process: &ProcessFacts| protection.reason(process.identity);
    if let Some(first) = matching.first().filter(|_| matching.iter().all(|process| reason(process).is_some())) {
        let also = match matching.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more of this kind"),
        };
        return Err(TargetError::Protected {
            target: target.into(),
            message: format!(
                "only processes that no fault may touch match: {} ({}){also}",
                describe(first),
                reason(first).unwrap_or_default()
            ),
        });
    }
    Ok(matching.into_iter().filter(|process| reason(process).is_none()).collect())
}

fn scope(
    chosen: Chosen<'_>,
    candidates: Vec<ProcessFacts>,
    selection: Selection,
    context: &TargetContext<'_>,
) -> Resolved {
    let found = candidates.len();
    let picked = chosen.pick.choose(candidates, chosen.seed);
    let mut description: Vec<String> = picked.iter().map(describe).collect();
    if picked.len() < found {
        description.push(format!("({} of {found} that match, chosen by the seed)", picked.len()));
    }
    let scope = Scope {
        namespace: context.ground.namespace.clone(),
        cgroup: None,
        processes: Some(picked),
        selection: Some(selection),
    };
    Resolved { scope, description, matching: BTreeSet::new() }
}

/// A process so that a person recognises it: `process 812 (nginx, user www-data): nginx: worker process`.
fn describe(process: &ProcessFacts) -> String {
    let user = User::from_uid(Uid::from_raw(process.user)).ok().flatten().map(|user| user.name);
    let user = user.unwrap_or_else(|| process.user.to_string());
    let line = process.command_line.join(" ");
    let mut shown: String =
        line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(LONGEST_COMMAND_LINE).collect();
    if shown.len() < line.len() {
        shown.push_str("...");
    }
    let shown = if shown.is_empty() { String::new() } else { format!(": {shown}") };
    format!("process {} ({}, user {user}){shown}", process.identity, process.name)
}
