use super::{Findings, at};
use crate::experiment::document::{Spec, WHOLE_HOST};

/// The names of services, signals and targets: all may become part of a path, a metric or a Kubernetes object, as the
/// experiment's own.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    for (mapping, names) in [
        ("services", spec.services.keys().collect::<Vec<_>>()),
        ("signals", spec.signals.keys().collect()),
        ("targets", spec.targets.keys().collect()),
    ] {
        for given in names {
            findings.name(&at!["spec", mapping, given], given, "a");
        }
    }
    if spec.targets.contains_key(WHOLE_HOST) {
        findings.error_at_key(
            &at!["spec", "targets", WHOLE_HOST],
            "`host` cannot name a target: it means the host of the run",
            "an `inject` without `on` acts on the host; give this target another name",
        );
    }
}
