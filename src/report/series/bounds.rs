use crate::experiment::document::{Objective, Reference, TrafficFloor};
use crate::hypothesis::verdict::Phase;
use crate::report::assemble::Collected;
use crate::report::model::{Bound, BoundRole, BoundSide, Panel, PhaseSummary};

/// The bounds of objectives and guardrails on a signal, as they are drawn.
pub(super) fn of(run: &Collected, signal: &str, phases: &[PhaseSummary]) -> Vec<Bound> {
    let spec = &run.started.experiment.spec;
    let roles = [(&spec.steady_state, BoundRole::Objective), (&spec.guardrails, BoundRole::Guardrail)];
    let mut bounds = Vec::new();
    for (objectives, role) in roles {
        for objective in objectives.iter().filter(|objective| objective.signal == signal) {
            add(&mut bounds, objective, role, phases);
        }
    }
    bounds
}

fn add(bounds: &mut Vec<Bound>, objective: &Objective, role: BoundRole, phases: &[PhaseSummary]) {
    let text = objective.bound();
    let mut add = |panel, limit, side| {
        bounds.push(Bound { panel, limit, side, role, text: text.clone() });
    };
    if let Some(below) = objective.latency.as_ref().and_then(|bound| bound.below) {
        add(Panel::Latency, below.duration().as_secs_f64(), BoundSide::Below);
    }
    if let Some(below) = objective.errors.as_ref().and_then(|bound| bound.below) {
        add(Panel::Errors, below.fraction(), BoundSide::Below);
    }
    if let Some(bound) = objective.traffic.as_ref().filter(|bound| !matches!(bound.of, Some(Reference::Control(_)))) {
        let baseline = phases.iter().find(|summary| summary.phase == Phase::Before).and_then(|summary| summary.rate);
        let limit = match bound.at_least {
            TrafficFloor::Rate(rate) => Some(rate.count_per_second()),
            TrafficFloor::Share(share) => baseline.map(|rate| rate * share.fraction()),
        };
        if let Some(limit) = limit {
            add(Panel::Traffic, limit, BoundSide::AtLeast);
        }
    }
    if let Some(bound) = objective.saturation {
        add(Panel::Saturation, bound.below.fraction(), BoundSide::Below);
    }
    if let Some(bound) = objective.value {
        if let Some(limit) = bound.below {
            add(Panel::Value, limit, BoundSide::Below);
        }
        if let Some(limit) = bound.at_least {
            add(Panel::Value, limit, BoundSide::AtLeast);
        }
    }
}
