//! The chain of evidence: steady before, fault bites, hypothesis, undo verified, recovered. Only all five make a pass.

use faultline_agent::plan::Bite;

use super::assemble::Collected;
use super::model::{FaultProgress, FaultReport, Link, LinkState, ObjectiveRow, PhaseVerdict};
use super::notation;
use crate::hypothesis::PLACEBO;
use crate::hypothesis::verdict::{Phase, Verdict};
use crate::run::journal::RunState;

/// The links of a run.
pub(super) fn links(run: &Collected, objectives: &[ObjectiveRow], faults: &[FaultReport]) -> Vec<Link> {
    vec![
        steady(run, objectives),
        bite(run, faults),
        hypothesis(objectives),
        undo(run, faults),
        recovery(run, objectives),
    ]
}

fn link(name: &str, state: LinkState, detail: impl Into<String>) -> Link {
    Link { name: name.into(), state, detail: detail.into() }
}

/// What the objectives say of one phase: nothing if none was judged in it.
fn judged(objectives: &[ObjectiveRow], phase: Phase) -> Option<(LinkState, String)> {
    let verdicts: Vec<(&ObjectiveRow, &PhaseVerdict)> = objectives
        .iter()
        .filter_map(|row| row.phases.iter().find(|verdict| verdict.phase == phase).map(|verdict| (row, verdict)))
        .collect();
    // The first of the worst: objectives are written in the order of their importance.
    let worst = verdicts.iter().rev().max_by_key(|(_, verdict)| verdict.verdict)?;
    if verdicts.len() < objectives.len() {
        return Some((LinkState::Unproven, format!("only {} of {} judged", verdicts.len(), objectives.len())));
    }
    let state = match worst.1.verdict {
        Verdict::Held => {
            let all = if verdicts.len() == 1 {
                "the objective held".into()
            } else {
                format!("all {} objectives held", verdicts.len())
            };
            return Some((LinkState::Proven, all));
        }
        Verdict::Violated => LinkState::Broken,
        Verdict::Inconclusive | Verdict::NoData => LinkState::Unproven,
    };
    Some((state, format!("{}: {}, {}", worst.0.description, notation::verdict(worst.1.verdict), worst.1.measured_text)))
}

fn steady(run: &Collected, objectives: &[ObjectiveRow]) -> Link {
    let name = "steady before";
    if let Some((state, detail)) = judged(objectives, Phase::Before) {
        return link(name, state, detail);
    }
    // The run goes on to inject only when the steady state was shown.
    if run.entered(RunState::Injecting).is_some() {
        return link(name, LinkState::Proven, "the run went on to inject");
    }
    if run.entered(RunState::Steady).is_some() {
        return link(name, LinkState::Unproven, "the baseline was not finished");
    }
    link(name, LinkState::NotReached, "no baseline was taken")
}

fn bite(run: &Collected, faults: &[FaultReport]) -> Link {
    let name = "fault bites";
    if run.started.placebo {
        return link(name, LinkState::NotReached, PLACEBO);
    }
    if let Some(why) = &run.too_few {
        return link(name, LinkState::Broken, why);
    }
    // What was lost with its host counts for nothing here.
    let faults: Vec<&FaultReport> = faults.iter().filter(|fault| fault.lost_at.is_none()).collect();
    let lost = run.started.faults_asked().saturating_sub(faults.len());
    let tried: Vec<&&FaultReport> = faults.iter().filter(|fault| fault.progress != FaultProgress::Planned).collect();
    if tried.is_empty() {
        let why =
            if run.entered(RunState::Injecting).is_some() { "no fault is recorded" } else { "nothing was injected" };
        return link(name, LinkState::NotReached, why);
    }
    let mut open = None;
    for fault in &tried {
        match (&fault.failure, &fault.bite) {
            (Some(reason), _) => {
                return link(name, LinkState::Broken, format!("{} was not applied: {reason}", fault.fault));
            }
            (None, Some(Bite::Yes)) => {}
            (None, Some(Bite::No(why))) => {
                return link(name, LinkState::Broken, format!("{} had no effect: {why}", fault.fault));
            }
            (None, Some(Bite::NotYet(why))) => open = Some(format!("{}: {why}", fault.fault)),
            (None, None) => open = Some(format!("{} was never measured", fault.fault)),
        }
    }
    if let Some(why) = open {
        return link(name, LinkState::Unproven, why);
    }
    if tried.len() < faults.len() {
        return link(
            name,
            LinkState::Unproven,
            format!("only {} of {} faults were injected", tried.len(), faults.len()),
        );
    }
    let measures = tried.iter().filter_map(|fault| {
        let row = fault.dose.iter().find(|row| row.measured.is_some())?;
        Some(notation::named(&row.name, row.measured?, &row.unit))
    });
    let measured = measures.collect::<Vec<_>>().join(", ");
    let acted = if measured.is_empty() { "measured to act".into() } else { format!("measured: {measured}") };
    let of = faults.len() + lost;
    let lost = if run.any_lost() {
        format!(" (on {} of {of} hosts, the others were lost)", tried.len())
    } else {
        String::new()
    };
    link(name, LinkState::Proven, acted + &lost)
}

fn hypothesis(objectives: &[ObjectiveRow]) -> Link {
    let (state, detail) =
        judged(objectives, Phase::During).unwrap_or((LinkState::NotReached, "not judged under the fault".into()));
    link("hypothesis", state, detail)
}

fn undo(run: &Collected, faults: &[FaultReport]) -> Link {
    let name = "undo verified";
    if let Some(what) = run.left_behind.first() {
        return link(name, LinkState::Broken, format!("left behind: {what}"));
    }
    let mut undone = 0;
    for fault in faults {
        match fault.progress {
            FaultProgress::Planned => {}
            FaultProgress::Failed | FaultProgress::Undone => undone += 1,
            FaultProgress::UndoUnverified => {
                let step = fault.steps.iter().find(|step| !step.clean);
                let detail = step.map_or_else(
                    || "the host was not seen to be as before".into(),
                    |step| format!("{}: {}", step.undo, step.outcome.as_deref().unwrap_or("not recorded")),
                );
                return link(name, LinkState::Broken, detail);
            }
            FaultProgress::InPlace => {
                return link(name, LinkState::Broken, format!("no undo of {} is recorded", fault.fault));
            }
        }
    }
    match undone {
        0 => link(name, LinkState::NotReached, "nothing was injected"),
        1 => link(name, LinkState::Proven, "the host was seen to be as before"),
        many => link(name, LinkState::Proven, format!("all {many} faults undone, the host seen to be as before")),
    }
}

fn recovery(run: &Collected, objectives: &[ObjectiveRow]) -> Link {
    let name = "recovered";
    let after = judged(objectives, Phase::After);
    match (run.recovered, after) {
        // Steady at the moment of recovery, and shown not to be so by the end of the phase: not recovered.
        (Some(_), Some((LinkState::Broken, detail))) => link(name, LinkState::Broken, detail),
        (Some(seconds), _) => {
            let within = run.started.experiment.spec.recovery.within.duration().as_secs_f64();
            let (after, within) = (notation::seconds(seconds), notation::seconds(within));
            link(name, LinkState::Proven, format!("steady again {after} after the undo, {within} given"))
        }
        (None, Some((LinkState::Broken, detail))) => link(name, LinkState::Broken, detail),
        (None, _) if run.entered(RunState::Recovering).is_some() => {
            let within = run.started.experiment.spec.recovery.within.duration().as_secs_f64();
            let detail = if run.finished.is_some() {
                format!("not shown to be steady again within {}", notation::seconds(within))
            } else {
                "the run did not finish".into()
            };
            link(name, LinkState::Unproven, detail)
        }
        (None, _) => link(name, LinkState::NotReached, "no recovery was watched"),
    }
}
