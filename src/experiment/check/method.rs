use faultline_agent::fault::PlanError;

use super::{Findings, at};
use crate::document::yaml::Path;
use crate::experiment::document::{Inject, MethodStep, Spec, WHOLE_HOST};

/// What is done, in order.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let path = at!["spec", "method"];
    for (index, step) in spec.method.iter().enumerate() {
        let path = path.join(index);
        match step {
            MethodStep::Observe(time) => findings.time(&path.join("observe"), *time),
            MethodStep::Inject(inject) => self::inject(&path.join("inject"), inject, findings),
            MethodStep::Together(injects) => {
                let path = path.join("together");
                if injects.len() < 2 && findings.is_whole(&path) {
                    findings.error_at_key(
                        &path,
                        "`together` needs at least two faults",
                        "write `inject` for a single one",
                    );
                }
                for (index, inject) in injects.iter().enumerate() {
                    self::inject(&path.join(index), inject, findings);
                }
            }
        }
    }
    if findings.is_whole(&path) {
        order(&path, spec, findings);
    }
}

/// A fault must be there, and a baseline before it.
fn order(path: &Path, spec: &Spec, findings: &mut Findings<'_>) {
    let first_fault = spec.method.iter().position(|step| !matches!(step, MethodStep::Observe(_)));
    match first_fault {
        None => findings.error_at_key(
            path,
            "no fault is injected, so nothing would be tested",
            "add a step such as `- inject: { fault: { network-latency: { delay: 100ms } }, for: 30s }`",
        ),
        Some(0) => findings.error(
            &path.join(0),
            "the first step must be `observe`: without a baseline nobody knows whether the system was steady",
            "put `- observe: 30s` before it",
        ),
        Some(_) => {}
    }
}

fn inject(path: &Path, inject: &Inject, findings: &mut Findings<'_>) {
    findings.time(&path.join("for"), inject.lasts);
    if let Some(target) = inject.on.as_deref().filter(|target| *target != WHOLE_HOST) {
        findings.refers(&path.join("on"), target, &at!["spec", "targets"], "target");
    }
    if let Err(error) = inject.fault.check() {
        let hint = match &error {
            PlanError::Parameter { hint, .. }
            | PlanError::NoTarget { hint, .. }
            | PlanError::Unsupported { hint, .. }
            | PlanError::Refused { hint, .. } => hint.clone(),
            PlanError::Facts(_) => String::new(),
        };
        findings.error_at_key(&path.join("fault").join(inject.fault.name()), error.to_string(), hint);
    }
}
