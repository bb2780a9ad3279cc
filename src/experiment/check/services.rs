use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, at};
use crate::document::yaml::Path;
use crate::experiment::document::{Ready, Service, Spec};

/// The programs that the run starts.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    for (name, service) in &spec.services {
        let path = at!["spec", "services", name];
        command(&path.join("run"), &service.run, findings);
        for key in service.environment.keys() {
            if key.is_empty() || key.contains(['=', '\0']) {
                findings.error_at_key(&path.join("environment").join(key), "this cannot name a variable", "");
            }
        }
        if let Some(directory) = service.directory.as_deref().filter(|directory| !directory.is_absolute()) {
            findings.error(
                &path.join("directory"),
                format!("`{}` is not an absolute path", directory.display()),
                "begin it with `/`, or leave it out: the service then runs in a scratch folder",
            );
        }
        if let Some(ready_check) = &service.ready {
            ready(&path.join("ready"), ready_check, findings);
        }
        if let Some(restart) = service.restart {
            findings.time(&path.join("restart").join("after"), restart.after);
        }
        for (index, earlier) in service.after.iter().enumerate() {
            findings.refers(&path.join("after").join(index), earlier, &at!["spec", "services"], "service");
        }
    }
    if let Some(circle) = circle(&spec.services) {
        let first = &circle[0];
        findings.error_at_key(
            &at!["spec", "services", first, "after"],
            format!("these services wait for each other: {} → {first}", circle.join(" → ")),
            "take one of these `after` away",
        );
    }
}

/// A program and its arguments.
pub(super) fn command(path: &Path, run: &[String], findings: &mut Findings<'_>) {
    match run.first() {
        None => findings.error(path, "a command needs a program", "write `[program, argument, …]`"),
        Some(program) if program.trim().is_empty() => findings.error(path, "the program's name is empty", ""),
        Some(program) if run.len() == 1 && program.contains(' ') && !program.starts_with('/') => findings.warn(
            &path.join(0),
            "no shell takes this apart: it is the name of one program",
            format!("write `[{}]`", program.split_whitespace().collect::<Vec<_>>().join(", ")),
        ),
        Some(_) => {}
    }
    if let Some(index) = run.iter().position(|argument| argument.contains('\0')) {
        findings.error(&path.join(index), "an argument cannot hold a NUL character", "");
    }
}

fn ready(path: &Path, ready: &Ready, findings: &mut Findings<'_>) {
    let given = [ready.http.is_some(), ready.tcp.is_some(), ready.exec.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        findings.error_at_key(path, "exactly one of `http`, `tcp` and `exec` tells when a service is up", "");
    }
    if let Some(url) = &ready.http {
        super::signals::url(&path.join("http"), url, findings);
    }
    if let Some(address) = &ready.tcp {
        super::signals::address(&path.join("tcp"), address, findings);
    }
    if let Some(run) = &ready.exec {
        command(&path.join("exec"), run, findings);
    }
    findings.time(&path.join("within"), ready.within);
}

/// Services that wait for each other in a circle, if there are any.
fn circle(services: &BTreeMap<String, Service>) -> Option<Vec<String>> {
    let mut settled = BTreeSet::new();
    services.keys().find_map(|start| {
        let mut way: Vec<String> = Vec::new();
        walk(start, services, &mut way, &mut settled)
    })
}

fn walk<'a>(
    name: &'a String,
    services: &'a BTreeMap<String, Service>,
    way: &mut Vec<String>,
    settled: &mut BTreeSet<&'a String>,
) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|met| met == name) {
        return Some(way[begin..].to_vec());
    }
    if !settled.insert(name) {
        return None;
    }
    way.push(name.clone());
    let found = services.get(name)?.after.iter().find_map(|earlier| walk(earlier, services, way, settled));
    way.pop();
    found
}
