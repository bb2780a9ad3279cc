//! Why a selector matched nothing, in words: how many processes each of its conditions fits alone.

use crate::facts::{ProcessFacts, ProcessSelector, Selection};

use super::TargetError;
use crate::suggest;

/// The error that says what there is.
pub(super) fn explain(target: &str, selection: &Selection, all: &[ProcessFacts]) -> TargetError {
    let selector = &selection.selector;
    let inside: Vec<&ProcessFacts> = all
        .iter()
        .filter(|process| selection.network_namespace.is_none_or(|inode| process.network_namespace == Some(inode)))
        .collect();
    let alone: Vec<(String, usize)> = conditions(selector)
        .into_iter()
        .map(|(words, only)| {
            let count = only.matcher().map_or(0, |matcher| inside.iter().filter(|one| matcher.matches(one)).count());
            (words, count)
        })
        .collect();
    let wanted: Vec<&str> = alone.iter().map(|(words, _)| words.as_str()).collect();
    let mut message = format!("no process has {}", wanted.join(" and "));
    if alone.len() > 1 {
        let each: Vec<String> = alone.iter().map(|(words, count)| format!("{words}: {}", number(*count))).collect();
        message += &format!(" (each alone: {})", each.join("; "));
    }
    let private = selection.network_namespace.is_some();
    if private {
        message += &format!("; looked at: the {} inside the run's private network", processes(inside.len()));
    } else {
        message += &format!("; looked at: {}", processes(inside.len()));
    }
    let hint = near(selector, &inside).or_else(|| {
        let elsewhere = private && selector.matcher().is_ok_and(|matcher| all.iter().any(|one| matcher.matches(one)));
        elsewhere
            .then(|| "one outside the private network matches; write `network: host` below `spec` to meet it".into())
    });
    let hint = hint.unwrap_or_else(|| "start the target first; `ps -eo pid,user,comm,args` shows what there is".into());
    TargetError::NoMatch { target: target.into(), message, hint }
}

/// Each condition in words, and as a selector of its own.
fn conditions(selector: &ProcessSelector) -> Vec<(String, ProcessSelector)> {
    let none = ProcessSelector::default;
    let mut parts = Vec::new();
    if let Some(name) = &selector.name {
        parts.push((format!("the name `{name}`"), ProcessSelector { name: Some(name.clone()), ..none() }));
    }
    if let Some(pattern) = &selector.command_line {
        let only = ProcessSelector { command_line: Some(pattern.clone()), ..none() };
        parts.push((format!("`{pattern}` in its command line"), only));
    }
    if let Some(pid) = selector.pid {
        parts.push((format!("the number {pid}"), ProcessSelector { pid: Some(pid), ..none() }));
    }
    if let Some(port) = selector.listens_on {
        parts.push((format!("port {port} to listen on"), ProcessSelector { listens_on: Some(port), ..none() }));
    }
    if let Some(cgroup) = &selector.cgroup {
        let only = ProcessSelector { cgroup: Some(cgroup.clone()), ..none() };
        parts.push((format!("its place in cgroup {}", cgroup.display()), only));
    }
    if let Some(user) = &selector.user {
        parts.push((format!("the user {user}"), ProcessSelector { user: Some(user.clone()), ..none() }));
    }
    if let Some(parent) = selector.parent {
        parts.push((format!("the parent {parent}"), ProcessSelector { parent: Some(parent), ..none() }));
    }
    parts
}

/// What was probably meant, or what there is to choose from.
fn near(selector: &ProcessSelector, inside: &[&ProcessFacts]) -> Option<String> {
    if let Some(name) = &selector.name
        && !inside.iter().any(|process| process.name == *name)
    {
        let names = inside.iter().filter(|process| !process.kernel_thread).map(|process| process.name.as_str());
        return suggest::nearest(name, names).map(|near| format!("did you mean `{near}`?"));
    }
    if let Some(port) = selector.listens_on
        && !inside.iter().any(|process| process.listens_on.contains(&port))
    {
        let mut listening: Vec<(u16, &str)> = inside
            .iter()
            .flat_map(|process| process.listens_on.iter().map(|port| (*port, process.name.as_str())))
            .collect();
        listening.sort_unstable();
        listening.dedup();
        let shown: Vec<String> = listening.iter().take(10).map(|(port, name)| format!("{port} ({name})")).collect();
        let more = if listening.len() > 10 { ", ..." } else { "" };
        return (!shown.is_empty()).then(|| format!("there are listeners on {}{more}", shown.join(", ")));
    }
    None
}

fn number(count: usize) -> String {
    if count == 0 { "none".into() } else { count.to_string() }
}

fn processes(count: usize) -> String {
    match count {
        1 => "1 process".into(),
        count => format!("{count} processes"),
    }
}
