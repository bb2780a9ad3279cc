use super::{Findings, at};
use crate::experiment::document::{Experiment, WHOLE_HOST};
use crate::experiment::yaml::Path;

/// The experiment's own name, and those of services, signals and targets: all may become part of a path, a metric or a
/// Kubernetes object, so all follow the rule of DNS labels (RFC 1123).
pub(super) fn check(experiment: &Experiment, findings: &mut Findings<'_>) {
    name(&at!["metadata", "name"], &experiment.metadata.name, "an experiment's", findings);
    let spec = &experiment.spec;
    for (mapping, names) in [
        ("services", spec.services.keys().collect::<Vec<_>>()),
        ("signals", spec.signals.keys().collect()),
        ("targets", spec.targets.keys().collect()),
    ] {
        for given in names {
            let path = at!["spec", mapping, given];
            name(&path, given, "a", findings);
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

fn name(path: &Path, name: &str, whose: &str, findings: &mut Findings<'_>) {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return;
    }
    let proposal: String = name
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(63)
        .collect();
    let proposal = proposal.trim_matches('-');
    let hint = if proposal.is_empty() { String::new() } else { format!("`{proposal}` would do") };
    let message = format!("{whose} name has 1 to 63 lower-case letters, digits and dashes, and no dash at its ends");
    findings.error_at_key(path, message, hint);
}
