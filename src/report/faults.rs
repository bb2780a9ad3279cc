//! What became of each fault.

use faultline_agent::plan::{Evidence, Plan};

use super::assemble::Collected;
use super::model::{DoseRow, FaultProgress, FaultReport, StepReport};
use crate::run::journal::{Entry, Event, RunState, UndoneStep, met};

/// The report of each fault that was planned, in the order of the plans.
pub(super) fn reports(run: &Collected) -> Vec<FaultReport> {
    run.faults.iter().filter_map(|(_, entries)| report(run, entries)).collect()
}

fn report(run: &Collected, entries: &[&Entry]) -> Option<FaultReport> {
    let (target, plan) = entries.iter().find_map(|entry| match &entry.event {
        Event::Planned { target, host, plan } => Some((met(target, host.as_deref()), plan.as_ref())),
        _ => None,
    })?;
    let mut fault = FaultReport {
        id: plan.id.clone(),
        fault: plan.fault.clone(),
        target,
        progress: FaultProgress::Planned,
        failure: None,
        injected_at: None,
        injection_took: None,
        undone_at: None,
        undo_took: None,
        lost_at: run.lost_at(&plan.id),
        bite: None,
        bit_at: None,
        changes: Vec::new(),
        dose: Vec::new(),
        steps: Vec::new(),
        undo_class: plan.undo_class(),
        plan: plan.clone(),
    };
    let mut evidence: Vec<(f64, &Evidence)> = Vec::new();
    let mut undone: &[UndoneStep] = &[];
    for entry in entries {
        match &entry.event {
            Event::Injected { took, .. } => {
                fault.progress = FaultProgress::InPlace;
                fault.injected_at = Some(entry.at);
                fault.injection_took = Some(*took);
            }
            Event::InjectionFailed { reason, .. } => {
                fault.progress = FaultProgress::Failed;
                fault.failure = Some(reason.clone());
            }
            Event::Evidence { evidence: found, .. } => evidence.push((entry.at, found)),
            Event::Undone { steps, verified, took, .. } => {
                // What was done of a failed injection is undone too; it stays failed, unless something is left of it.
                fault.progress = match (fault.progress, verified) {
                    (_, false) => FaultProgress::UndoUnverified,
                    (FaultProgress::Failed, true) => FaultProgress::Failed,
                    (_, true) => FaultProgress::Undone,
                };
                fault.undone_at = Some(entry.at);
                fault.undo_took = Some(*took);
                undone = steps;
            }
            _ => {}
        }
    }
    // The journal was cut while something was being injected: nobody can say how far that came.
    let cut = run.finished.is_none() && run.last_state() == Some(RunState::Injecting);
    if fault.progress == FaultProgress::Planned && cut {
        fault.progress = FaultProgress::InPlace;
    }
    let bites = |found: &Evidence| found.bite == faultline_agent::plan::Bite::Yes;
    fault.bit_at = evidence.iter().find(|(_, found)| bites(found)).map(|(at, _)| *at);
    fault.bite = match fault.bit_at {
        Some(_) => Some(faultline_agent::plan::Bite::Yes),
        None => evidence.last().map(|(_, found)| found.bite.clone()),
    };
    fault.changes = evidence.last().map(|(_, found)| found.changes.clone()).unwrap_or_default();
    fault.dose = dose(plan, &evidence);
    fault.steps = steps(plan, undone, fault.progress);
    Some(fault)
}

/// What was asked beside what was measured last, and what else was measured.
fn dose(plan: &Plan, evidence: &[(f64, &Evidence)]) -> Vec<DoseRow> {
    let mut rows: Vec<DoseRow> = plan
        .dose
        .iter()
        .map(|dose| DoseRow {
            name: dose.name.clone(),
            unit: dose.unit.clone(),
            asked: Some(dose.asked),
            measured: None,
            by: None,
        })
        .collect();
    for measurement in evidence.iter().flat_map(|(_, found)| &found.measurements) {
        let index = rows.iter().position(|row| row.name == measurement.name).unwrap_or_else(|| {
            rows.push(DoseRow {
                name: measurement.name.clone(),
                unit: measurement.unit.clone(),
                asked: measurement.asked,
                measured: None,
                by: None,
            });
            rows.len() - 1
        });
        let row = &mut rows[index];
        row.measured = Some(measurement.measured);
        row.asked = row.asked.or(measurement.asked);
        row.by = Some(measurement.by.clone()).filter(|by| !by.is_empty());
    }
    rows
}

/// The plan's steps in order, each with the undo that the journal tells of.
fn steps(plan: &Plan, undone: &[UndoneStep], progress: FaultProgress) -> Vec<StepReport> {
    let mut left: Vec<&UndoneStep> = undone.iter().collect();
    let mut rows: Vec<StepReport> = plan
        .steps
        .iter()
        .map(|step| {
            let undo = step.describe_undo();
            let found = left.iter().position(|undone| undone.step == undo).map(|index| left.remove(index));
            row(Some(step.describe()), undo, found, Some(step.manual_undo()), progress)
        })
        .collect();
    // An undo that names no step of the plan, as after a step was amended while it was applied.
    rows.extend(left.into_iter().map(|undone| row(None, undone.step.clone(), Some(undone), None, progress)));
    rows
}

fn row(
    does: Option<String>,
    undo: String,
    found: Option<&UndoneStep>,
    manual: Option<String>,
    progress: FaultProgress,
) -> StepReport {
    let untouched = matches!(progress, FaultProgress::Planned | FaultProgress::Failed);
    let clean = found.map_or(untouched || progress == FaultProgress::Undone, |undone| undone.clean);
    StepReport {
        does,
        undo,
        outcome: found.map(|undone| undone.outcome.clone()),
        clean,
        manual: manual.filter(|_| !clean),
    }
}
