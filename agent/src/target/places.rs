use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::facts::{ProcessFacts, ProcessSelector, Protection, cgroup_mount};
use crate::fault::Scope;
use crate::identity::NetworkNamespace;
use crate::kernel::namespace;

use super::{Resolved, TargetContext, TargetError};
use crate::suggest;

/// Where `ip netns` keeps names.
const NAMED_NAMESPACES: &str = "/run/netns";

/// The host of the run, or its private network.
pub(super) fn host(context: &TargetContext<'_>) -> Resolved {
    let description = match &context.ground.namespace {
        NetworkNamespace::Own => "this host".into(),
        NetworkNamespace::Path { .. } => "the run's private network".into(),
    };
    Resolved {
        scope: Scope { namespace: context.ground.namespace.clone(), ..Scope::default() },
        description: vec![description],
        matching: BTreeSet::new(),
    }
}

/// A cgroup and everything in it.
pub(super) fn cgroup(name: &str, cgroup: &Path, context: &TargetContext<'_>) -> Result<Resolved, TargetError> {
    let no_match = |message: String, hint: String| Err(TargetError::NoMatch { target: name.into(), message, hint });
    let mut all = context.facts.processes()?;
    all.sort_by_key(|process| process.identity);
    let mount = cgroup_mount();
    let below = mount.as_ref().and_then(|mount| cgroup.strip_prefix(mount).ok()).unwrap_or(cgroup);
    let path = Path::new("/").join(below.strip_prefix("/").unwrap_or(below));
    let selector = ProcessSelector { cgroup: Some(path.clone()), ..ProcessSelector::default() };
    let matcher = selector.matcher().map_err(|source| TargetError::Selector { target: name.into(), source })?;
    let members: Vec<&ProcessFacts> = all.iter().filter(|process| matcher.matches(process)).collect();
    if members.is_empty() {
        let populated: Vec<String> =
            all.iter().filter_map(|process| Some(process.cgroup.as_ref()?.display().to_string())).collect();
        if populated.is_empty() {
            let message = "no process of this host is in a cgroup (v2)".into();
            return no_match(message, "mount -t cgroup2 none /sys/fs/cgroup, or select by `process`".into());
        }
        let hint = suggest::nearest(&path.display().to_string(), populated.iter().map(String::as_str)).map_or_else(
            || "`cat /proc/PID/cgroup` shows in which a process is".into(),
            |near| format!("did you mean `{near}`?"),
        );
        return no_match(format!("no process is in cgroup {}", path.display()), hint);
    }
    let protection = Protection::of(&all, &context.facts.protected());
    let spared = members.iter().find_map(|process| Some((process, protection.reason(process.identity)?)));
    if let Some((process, reason)) = spared {
        return Err(TargetError::Protected {
            target: name.into(),
            message: format!(
                "cgroup {} holds process {} ({}), which no fault may touch: {reason}",
                path.display(),
                process.identity,
                process.name
            ),
        });
    }
    let numbers: Vec<String> = members.iter().take(10).map(|process| process.identity.to_string()).collect();
    let more = if members.len() > 10 { ", ..." } else { "" };
    let description =
        format!("cgroup {} with {} processes now: {}{more}", path.display(), members.len(), numbers.join(", "));
    let scope =
        Scope { namespace: context.ground.namespace.clone(), cgroup: Some(path), processes: None, selection: None };
    Ok(Resolved { scope, description: vec![description], matching: BTreeSet::new() })
}

/// A network namespace, by its name below `/run/netns` or by a path.
pub(super) fn network_namespace(name: &str, given: &Path) -> Result<Resolved, TargetError> {
    let path: PathBuf = if given.is_absolute() { given.into() } else { Path::new(NAMED_NAMESPACES).join(given) };
    let inode = match namespace::inode_of(&path) {
        Ok(inode) => inode,
        Err(error) => {
            let named: Vec<String> = std::fs::read_dir(NAMED_NAMESPACES)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            let given = given.display().to_string();
            let hint = if named.is_empty() {
                "no network namespace has a name here; a container's is /proc/PID/ns/net".into()
            } else {
                suggest::hint(&given, named.iter().map(String::as_str))
            };
            return Err(TargetError::NoMatch {
                target: name.into(),
                message: format!("there is no network namespace {}: {}", path.display(), error.source),
                hint,
            });
        }
    };
    let description = vec![format!("network namespace {} (inode {inode})", path.display())];
    let namespace = NetworkNamespace::Path { path, inode };
    Ok(Resolved { scope: Scope { namespace, ..Scope::default() }, description, matching: BTreeSet::new() })
}
