//! Which hosts a target means, how many of them, and the ceilings over all.

use std::collections::BTreeSet;

use super::contradiction::contradictions;
use super::{Findings, at};
use crate::document::yaml::Path;
use crate::experiment::document::{
    HostCeiling, HostPick, HostSelector, LabelExpression, MethodStep, Spec, Target, is_label_name,
};

/// What a target says of hosts.
pub(super) fn selector(path: &Path, target: &Target, spec: &Spec, findings: &mut Findings<'_>) {
    let Some(hosts) = &target.hosts else { return };
    let own = path.join("hosts");
    if hosts.is_empty() && findings.is_whole(&own) {
        findings.error_at_key(
            &own,
            "this would select every host of the fleet",
            "give `labels`, `names` or `expressions`; if every host is meant, write `names: [\"*\"]`",
        );
    }
    if hosts.names.as_ref().is_some_and(Vec::is_empty) && findings.is_whole(&own.join("names")) {
        findings.error(&own.join("names"), "this would select no host", "write names, or leave it out");
    }
    for label in hosts.labels.keys().filter(|label| !is_label_name(label)) {
        findings.error_at_key(
            &own.join("labels").join(label),
            format!("`{label}` is not the name of a label"),
            "letters, digits, `-`, `_`, `.`, and perhaps a prefix before one slash",
        );
    }
    let given: Vec<LabelExpression> =
        hosts.labels.iter().map(|(label, value)| LabelExpression::is(label, value)).collect();
    let all: Vec<&LabelExpression> = given.iter().chain(&hosts.expressions).collect();
    for (index, message) in contradictions(&all) {
        // What stands in `labels` comes first and contradicts nothing, being one value for each label.
        let place = own.join("expressions").join(index.saturating_sub(given.len()));
        findings.error(&place, message, "no host can be so: leave one of them out");
    }
    if target.service.is_some() {
        findings.error_at_key(
            &path.join("service"),
            "a service is started on the host of the run, and `hosts` means others",
            "select its processes on those hosts by `process`",
        );
    }
    match &hosts.pick {
        Some(pick) => self::pick(&own.join("pick"), pick, hosts, spec, findings),
        None => no_pick(path, target, hosts, spec, findings),
    }
}

/// What is probably not meant when `hosts` has no `pick`.
fn no_pick(path: &Path, target: &Target, hosts: &HostSelector, spec: &Spec, findings: &mut Findings<'_>) {
    let whole = findings.is_whole(path) && findings.is_whole(&at!["spec", "blastRadius"]);
    let pick = target.host_pick();
    if pick != HostPick::ALL && target.process.is_some() {
        findings.warn(
            &path.join("pick"),
            "beside `hosts` this chooses hosts, and every process that matches on each of them is met",
            "write it as `pick` within `hosts`; then a `pick` beside it chooses processes on each host",
        );
    }
    if pick == HostPick::ALL && !hosts.names_each() && spec.blast_radius.hosts.is_none() && whole && !hosts.is_empty() {
        findings.warn(
            &path.join("hosts"),
            "every host that matches is met at once",
            "say how many with `pick: one` or `pick: { percent: 20% }` within `hosts`; `pick: all` if all are meant",
        );
    }
}

fn pick(path: &Path, pick: &HostPick, hosts: &HostSelector, spec: &Spec, findings: &mut Findings<'_>) {
    let given: Vec<&str> =
        [("count", pick.count.is_some()), ("percent", pick.percent.is_some()), ("upTo", pick.up_to.is_some())]
            .into_iter()
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
    if let [_, second, ..] = given.as_slice() {
        findings.error_at_key(&path.join(*second), format!("only one of `{}` can be given", given.join("`, `")), "");
    }
    for (key, number) in [("count", pick.count), ("atMost", pick.at_most)] {
        if number == Some(0) {
            findings.error(&path.join(key), "this would pick none", "");
        }
    }
    for (key, share) in [("percent", pick.percent), ("upTo", pick.up_to)] {
        if share.is_some_and(|share| share.number() == 0.0) {
            findings.error(&path.join(key), "this would pick none", "");
        }
    }
    if pick.at_least == Some(0) {
        let hint = "leave it out; `upTo` never draws none either";
        findings.error(
            &path.join("atLeast"),
            "one host at least is always needed: a fault on nobody proves nothing",
            hint,
        );
    }
    for (key, most) in [("count", pick.count), ("atMost", pick.at_most)] {
        if let (Some(least), Some(most)) = (pick.at_least, most)
            && least > most
            && most > 0
        {
            findings.error(&path.join("atLeast"), format!("at least {least} cannot be had of `{key}: {most}`"), "");
        }
    }
    if let (Some(count), Some(most)) = (pick.count, pick.at_most)
        && count > most
        && most > 0
    {
        findings.error(&path.join("count"), format!("`atMost: {most}` never lets {count} through"), "");
    }
    let share = [("percent", pick.percent), ("upTo", pick.up_to)].into_iter().find(|(_, share)| share.is_some());
    if let Some((key, _)) = share
        && hosts.names_each()
        && names(hosts).len() == 1
    {
        let hint = "leave it out, or select by labels or by a pattern such as `db-*`";
        findings.warn(&path.join(key), "one host is named, so this is always that one", hint);
    }
    fewest(path, pick, hosts, spec, findings);
}

/// That as many as are needed can be had at all.
fn fewest(path: &Path, pick: &HostPick, hosts: &HostSelector, spec: &Spec, findings: &mut Findings<'_>) {
    let (needed, place) = (pick.fewest(), path.join("atLeast"));
    let named = names(hosts).len();
    if hosts.names_each() && needed > named && findings.is_whole(&at!["spec"]) {
        findings.error(&place, format!("at least {needed} are needed, and only {named} named"), "");
    }
    let at_most =
        |ceiling: &HostCeiling| matches!(ceiling, HostCeiling::Count(most) if needed > *most as usize && *most > 0);
    if spec.blast_radius.hosts.as_ref().is_some_and(at_most) {
        findings.error(&place, format!("at least {needed} are needed, and `blastRadius.hosts` allows fewer"), "");
    }
    for (group, ceiling) in &spec.blast_radius.per_label {
        let all_in_it =
            hosts.labels.get(&group.label).is_some_and(|value| group.value.as_ref().is_none_or(|one| one == value));
        if all_in_it && at_most(ceiling) {
            let message =
                format!("at least {needed} are needed, and `blastRadius.perLabel` allows {ceiling} with `{group}`");
            findings.error(&place, message, "");
        }
    }
}

fn names(hosts: &HostSelector) -> BTreeSet<&str> {
    hosts.names.iter().flatten().map(|name| name.as_str()).collect()
}

/// What the experiment as a whole says of hosts.
pub(super) fn whole(spec: &Spec, findings: &mut Findings<'_>) {
    let path = at!["spec", "blastRadius"];
    let closed =
        ("nothing gets below this ceiling, so no fault could be injected", "one host at least is always needed");
    if spec.blast_radius.hosts.is_some_and(HostCeiling::is_zero) {
        findings.error(&path.join("hosts"), closed.0, closed.1);
    }
    for (group, _) in spec.blast_radius.per_label.iter().filter(|(_, ceiling)| ceiling.is_zero()) {
        let place = path.join("perLabel").join(&group.to_string());
        let hint = format!(
            "to keep these hosts out, add `{}` to the expressions of each target",
            opposite(group.value.as_deref(), &group.label)
        );
        findings.error(&place, "nothing gets below this ceiling", hint);
    }
    if !findings.is_whole(&at!["spec"]) {
        return;
    }
    let any = spec.targets.values().any(|target| target.hosts.is_some());
    for (key, given) in [
        ("blastRadius", !spec.blast_radius.is_empty()),
        ("sharesHosts", spec.shares_hosts),
        ("tolerate", !spec.tolerate.is_none()),
    ] {
        if given && !any {
            findings.warn(&at!["spec", key], "no target has `hosts`, so this is about nothing", "leave it out");
        }
    }
    let says =
        |on: Option<&str>| on.and_then(|name| spec.targets.get(name)).is_some_and(|target| target.hosts.is_some());
    let used = spec.injections().any(|inject| says(inject.on.as_deref()));
    for (index, step) in spec.method.iter().enumerate().filter(|_| used) {
        let path = at!["spec", "method", index];
        for (number, inject) in step.injections().iter().enumerate() {
            let path = match step {
                MethodStep::Together(_) => path.join("together").join(number),
                MethodStep::Observe(_) | MethodStep::Inject(_) => path.join("inject"),
            };
            if !says(inject.on.as_deref()) {
                let place = if inject.on.is_some() { path.join("on") } else { path };
                findings.error(
                    &place,
                    "other faults are on hosts of a fleet, and this one says no `hosts`",
                    "give it a target with `hosts` too",
                );
            }
        }
    }
}

fn opposite(value: Option<&str>, label: &str) -> String {
    match value {
        Some(value) => format!("{label} != {value}"),
        None => format!("!{label}"),
    }
}
