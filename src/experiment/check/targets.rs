use std::path::{Component, Path as FilePath};

use super::{Findings, at, hosts};
use crate::document::yaml::Path;
use crate::experiment::document::{HostSelector, Pick, ProcessSelector, Signal, Spec, Target};

/// Whom the faults meet.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    for (name, target) in &spec.targets {
        let path = at!["spec", "targets", name];
        one(&path, target, spec, findings);
        let injected = spec.injections().any(|inject| inject.on.as_ref() == Some(name));
        let read =
            spec.signals.values().any(|signal| matches!(signal, Signal::Host(host) if host.of.as_ref() == Some(name)));
        let whole = findings.is_whole(&at!["spec", "method"]) && findings.is_whole(&at!["spec", "signals"]);
        if !injected && !read && whole {
            findings.warn(&path, format!("nothing uses the target `{name}`"), "name it in an `inject` by `on`");
        }
    }
    hosts::whole(spec, findings);
}

fn one(path: &Path, target: &Target, spec: &Spec, findings: &mut Findings<'_>) {
    hosts::selector(path, target, spec, findings);
    let given: Vec<&str> = [
        ("service", target.service.is_some()),
        ("process", target.process.is_some()),
        ("cgroup", target.cgroup.is_some()),
        ("networkNamespace", target.network_namespace.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    if let [_, second, ..] = given.as_slice() {
        findings.error_at_key(
            &path.join(*second),
            format!("a target is one kind of thing, here are `{}`", given.join("`, `")),
            "write a target for each; `process` has a `cgroup` of its own to narrow it",
        );
    }
    if let Some(service) = &target.service {
        findings.refers(&path.join("service"), service, &at!["spec", "services"], "service");
    }
    if let Some(selector) = &target.process {
        process(&path.join("process"), selector, findings);
    }
    if let Some(cgroup) = &target.cgroup {
        cgroup_path(&path.join("cgroup"), cgroup, findings);
    }
    if let Some(namespace) = &target.network_namespace {
        let plain = namespace.components().count() == 1 && !namespace.as_os_str().is_empty();
        if !namespace.is_absolute() && !plain {
            findings.error(
                &path.join("networkNamespace"),
                format!("`{}` is neither a name below /run/netns nor an absolute path", namespace.display()),
                "",
            );
        }
    }
    pick(&path.join("pick"), target, given.first().copied(), findings);
}

fn process(path: &Path, selector: &ProcessSelector, findings: &mut Findings<'_>) {
    if selector.is_empty() && findings.is_whole(path) {
        findings.error_at_key(
            path,
            "this would select every process",
            "give at least one of `name`, `commandLine`, `pid`, `listensOn`, `cgroup`, `user`, `parent`",
        );
    }
    if let Some(name) = &selector.name {
        if name.is_empty() {
            findings.error(&path.join("name"), "no process has an empty name", "");
        } else if name.len() > 15 {
            findings.error(
                &path.join("name"),
                "the kernel keeps 15 characters of a process's name, so none has this one",
                format!("write `{}`, or use `commandLine`", name.chars().take(15).collect::<String>()),
            );
        }
    }
    if let Some(pattern) = &selector.command_line
        && let Err(error) = regex::Regex::new(pattern)
    {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        findings.error(
            &path.join("commandLine"),
            format!("`{pattern}` is not a regular expression: {reason}"),
            "put a `\\` before each of `. + * ? ( ) [ ] { } | ^ $` that stands for itself",
        );
    }
    match selector.pid {
        Some(1) => {
            findings.error(&path.join("pid"), "no fault may touch process 1: the host would go down with it", "");
        }
        Some(pid) if pid < 1 => findings.error(&path.join("pid"), format!("{pid} is not a process number"), ""),
        _ => {}
    }
    if selector.parent.is_some_and(|parent| parent < 1) {
        findings.error(&path.join("parent"), "this is not a process number", "");
    }
    if selector.listens_on == Some(0) {
        findings.error(&path.join("listensOn"), "nobody listens on port 0", "");
    }
    if let Some(cgroup) = &selector.cgroup {
        cgroup_path(&path.join("cgroup"), cgroup, findings);
    }
}

fn cgroup_path(path: &Path, cgroup: &FilePath, findings: &mut Findings<'_>) {
    let climbs = cgroup.components().any(|part| matches!(part, Component::ParentDir));
    if climbs || cgroup.as_os_str().is_empty() {
        findings.error(
            path,
            format!("`{}` is not the path of a cgroup", cgroup.display()),
            "as in `/system.slice/nginx.service`, below the cgroup mount",
        );
    }
}

fn pick(path: &Path, target: &Target, kind: Option<&str>, findings: &mut Findings<'_>) {
    let pick = &target.pick;
    if pick.count.is_some() && pick.percent.is_some() {
        findings.error_at_key(&path.join("percent"), "`count` and `percent` cannot both be given", "");
    }
    for (key, number) in [("count", pick.count), ("atMost", pick.at_most)] {
        if number == Some(0) {
            findings.error(&path.join(key), "this would pick none", "");
        }
    }
    if pick.percent.is_some_and(|percent| percent.number() == 0.0) {
        findings.error(&path.join("percent"), "this would pick none", "");
    }
    // Beside `hosts` without a `pick` of its own it chooses hosts.
    let picks = *pick != Pick::default() && !matches!(&target.hosts, Some(HostSelector { pick: None, .. }));
    if picks && !matches!(kind, Some("process" | "service")) {
        findings.error_at_key(
            path,
            "`pick` chooses among processes, and this target has only one thing to choose",
            "leave it out, or select by `process` or `service`",
        );
    }
}
