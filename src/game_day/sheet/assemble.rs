use jiff::Timestamp;

use super::{ChecklistRow, ExperimentRow, Mark, NoteRow, Outcome, Sheet, SheetKind, exit, timeline};
use crate::document::ApiVersion;
use crate::game_day::alerts::{self, Fired};
use crate::game_day::machine::{Answer, Asked, Course, Entry, Milestone, Stage, State};

pub(super) fn assemble<'a>(state: &State, entries: impl Iterator<Item = &'a Entry>) -> Sheet {
    let opening = state.opening();
    let (begun, _, ended) = state.times();
    let spec = state.spec();
    let experiments: Vec<ExperimentRow> =
        (0..state.experiments().len()).map(|number| experiment(state, number)).collect();
    let outcome = match state.stage() {
        Stage::Finished => Outcome::Finished,
        Stage::Aborted(ending) => Outcome::Aborted(ending.clone()),
        _ => Outcome::Unfinished,
    };
    let mut findings: Vec<_> = state.findings().iter().map(|(_, finding)| finding.clone()).collect();
    findings.sort_by_key(|finding| finding.severity);
    Sheet {
        api_version: ApiVersion::V1,
        kind: SheetKind::RunSheet,
        id: opening.id.clone(),
        name: opening.game_day.metadata.name.clone(),
        labels: opening.game_day.metadata.labels.clone(),
        title: spec.title.clone(),
        purpose: spec.purpose.clone(),
        place: opening.place.clone(),
        file: opening.file.clone(),
        version: opening.version.clone(),
        time_zone: spec.time_zone.clone(),
        hash: state.hash().clone(),
        window: state.window(),
        begun,
        ended,
        exit_code: exit::code(&outcome, &experiments),
        identity: opening.identity,
        roles: spec.roles.clone(),
        requested_by: state.requested().map(|(by, _)| by.clone()),
        required_approvals: spec.approvals.as_ref().map_or(0, |approvals| approvals.required),
        approvals: state.approvals().to_vec(),
        checklist: checklist(state),
        abort_conditions: abort_conditions(state),
        deviations: deviations(state, &outcome, &experiments),
        notes: state.notes().iter().map(|(at, note)| note_row(*at, note)).collect(),
        findings,
        timeline: timeline::timeline(entries, state),
        outcome,
        experiments,
    }
}

fn note_row(at: Timestamp, note: &crate::game_day::machine::Note) -> NoteRow {
    NoteRow { at, author: note.author.clone(), text: note.text.clone(), tags: note.tags.clone() }
}

pub(super) fn checklist(state: &State) -> Vec<ChecklistRow> {
    let rows = state.checklist().map(|(item, given)| ChecklistRow {
        ask: item.ask.clone(),
        of: item.of.clone(),
        required: item.required,
        answer: given.map(|given| given.answer),
        by: given.map(|given| given.by.clone()),
        at: given.map(|given| given.at),
        remark: given.and_then(|given| given.remark.clone()),
    });
    rows.collect()
}

fn abort_conditions(state: &State) -> Vec<String> {
    let abort = &state.spec().abort;
    let mut conditions = abort.conditions.clone();
    conditions.extend(abort.alerts.iter().map(|selector| format!("The alert {selector} fires.")));
    let verdicts: Vec<&str> =
        abort.verdicts.iter().map(|verdict| crate::report::notation::run_verdict(*verdict)).collect();
    if !verdicts.is_empty() {
        conditions.push(format!("An experiment ends as {}.", verdicts.join(" or ")));
    }
    conditions
}

fn experiment(state: &State, number: usize) -> ExperimentRow {
    let course = &state.experiments()[number];
    let resolved = &state.opening().experiments[number];
    let planned = &state.spec().experiments[number];
    let life = course.life();
    let alerts = state.alerts(number);
    let unexpected =
        course.watch.as_ref().map_or_else(Vec::new, |watch| alerts::unexpected(&planned.expect.alerts, life, watch));
    let mark = |at: Timestamp, by: String| Mark {
        at,
        after: life.incited.map(|incited| at.duration_since(incited).as_secs_f64()),
        by,
    };
    let incited = course.milestones.iter().find_map(|(at, what)| match what {
        Milestone::Incited { fault } => Some(mark(*at, fault.clone())),
        _ => None,
    });
    let noted = |tag: &str| noted(state, course, number, tag).map(|(at, by)| mark(at, by));
    let by_alert = alerts
        .iter()
        .filter(|alert| matches!(alert.fired, Fired::InTime | Fired::Late) && !alert.suppressed)
        .filter_map(|alert| Some(mark(alert.fired_at?, format!("the alert {}", alert.alert))));
    let detected = by_alert.chain(noted("detected")).min_by_key(|mark| mark.at);
    let undone = life.undone.map(|at| mark(at, "the undo".into()));
    let breached = course.milestones.iter().find_map(|(at, what)| match what {
        Milestone::Breached { .. } => Some(mark(*at, "a guardrail".into())),
        _ => None,
    });
    let mitigated = noted("mitigated").into_iter().chain(breached).chain(undone).min_by_key(|mark| mark.at);
    let steady = course.milestones.iter().rev().find_map(|(at, what)| match what {
        Milestone::Recovered { .. } => Some(mark(*at, "the run: everything was steady again".into())),
        _ => None,
    });
    let because = match (&course.ended, course.skipped, course.asked) {
        (Some((_, _, because)), ..) => because.clone(),
        (None, true, _) => "left out".into(),
        (None, false, None) => "not reached".into(),
        (None, false, Some(_)) => "the journal ends before its run did".into(),
    };
    ExperimentRow {
        name: resolved.name.clone(),
        hypothesis: resolved.experiment.spec.hypothesis.clone(),
        hash: state.plan_of(number).clone(),
        seed: resolved.seed,
        run: course.started.as_ref().map(|(_, run)| run.clone()),
        started: course.started.as_ref().map(|(at, _)| *at),
        ended: course.ended.as_ref().map(|(at, ..)| *at),
        verdict: course.ended.as_ref().map(|(_, verdict, _)| *verdict),
        because,
        incited,
        detected,
        mitigated,
        // What the run measured stands before what somebody noted.
        recovered: steady.or_else(|| noted("recovered")),
        alerts,
        unexpected,
        gaps: course.watch.as_ref().map_or_else(Vec::new, |watch| watch.gaps().to_vec()),
        expected_notes: planned.expect.notes.clone(),
    }
}

/// The first note with a tag between an experiment's first fault and the start of the next one.
fn noted(state: &State, course: &Course, number: usize, tag: &str) -> Option<(Timestamp, String)> {
    let from = course.life().incited?;
    let until = state.experiments()[number + 1..].iter().find_map(|next| next.asked).unwrap_or(Timestamp::MAX);
    let (at, note) = state
        .notes()
        .iter()
        .find(|(at, note)| *at >= from && *at < until && note.tags.iter().any(|given| given == tag))?;
    Some((*at, format!("{}: {}", note.author, note.text)))
}

/// Where what was done is not what was planned.
fn deviations(state: &State, outcome: &Outcome, experiments: &[ExperimentRow]) -> Vec<String> {
    let mut found = Vec::new();
    match outcome {
        Outcome::Finished => {}
        Outcome::Aborted(ending) => found.push(format!("The game day was ended early: {}.", ending.because)),
        Outcome::Unfinished => found.push("The journal ends before the game day did.".into()),
    }
    for approval in state.approvals() {
        if let Some(why) = &approval.void {
            found.push(format!("The approval by {} did not count any more: {why}.", approval.by));
        }
    }
    for replan in state.replans() {
        let differences: String = replan.differences.iter().map(|difference| format!("; {difference}")).collect();
        found.push(format!("{} had it planned anew, as {}{differences}.", replan.by, replan.hash.short()));
    }
    for (item, given) in state.checklist() {
        match given.map(|given| given.answer) {
            Some(Answer::NoGo) => found.push(format!("No-go: {}", item.ask)),
            Some(Answer::Skip) => found.push(format!("Left unanswered: {}", item.ask)),
            _ => {}
        }
    }
    for (row, course) in experiments.iter().zip(state.experiments()) {
        if course.ended.is_none() {
            found.push(format!("Experiment {}: {}.", row.name, row.because));
        } else if row.incited.is_none() {
            found.push(format!("Experiment {}: no fault was in place ({}).", row.name, row.because));
        }
        for gap in &row.gaps {
            let until =
                gap.until.map_or_else(|| "the end".into(), |until| super::page::clock(until, &state.spec().time_zone));
            let from = super::page::clock(gap.from, &state.spec().time_zone);
            found.push(format!(
                "Experiment {}: nothing is known of alerts from {from} to {until}: {}.",
                row.name, gap.reason
            ));
        }
    }
    for decision in state.decisions() {
        let name = &experiments[decision.experiment].name;
        match (decision.asked, decision.answer) {
            (Asked::Alerts(_), _) => {
                found.push(format!("{} decided not to wait for the alerts of {name} any longer.", decision.by));
            }
            (_, Answer::Skip) => found.push(format!("{} left out {name}.", decision.by)),
            _ => {}
        }
    }
    found
}
