//! Whether two experiments could get in one another's way on one host. Pure, and conservative: they may run beside one
//! another only if their documents show that they do not meet; whatever is not known to be apart meets.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use faultline_agent::facts::ProcessSelector;
use faultline_agent::fault::AnyFault;

use crate::experiment::document::{HostSelector, Inject, Signal, Spec, Target};

/// Why two experiments may not run at the same time, in a few words; nothing if their documents show that they do not meet.
///
/// Symmetric. The rules, in order:
/// 1. faults that act on the host itself (a full file system) meet everything;
/// 2. two experiments whose services have networks of their own, and whose faults stay in them, do not meet; another one meets
///    such services if it looks for processes on the host, where they can be found too;
/// 3. faults on hosts of a fleet meet unless their hosts are certainly different;
/// 4. services in the host's network meet other such services: nobody knows their ports;
/// 5. signals that read the same endpoint meet: one's fault would be judged by the other;
/// 6. targets meet unless they are certainly different.
pub fn meeting(one: &Spec, other: &Spec) -> Option<String> {
    if let Some(fault) = [one, other].into_iter().find_map(host_wide) {
        return Some(format!("{fault} acts on the whole host"));
    }
    match (is_contained(one), is_contained(other)) {
        (true, true) => return None,
        (true, false) => return finds_services(other),
        (false, true) => return finds_services(one),
        (false, false) => {}
    }
    let on_the_host = |spec: &Spec| !spec.services.is_empty() && !spec.has_private_network();
    if on_the_host(one) && on_the_host(other) {
        return Some("both start services in the host's network".into());
    }
    let read = |spec: &Spec| spec.signals.values().map(endpoint).collect::<BTreeSet<String>>();
    if let Some(shared) = read(one).intersection(&read(other)).next() {
        return Some(format!("both read {shared}"));
    }
    one.injections().find_map(|first| {
        let first_target = one.target(first);
        other.injections().find_map(|second| {
            let second_target = other.target(second);
            (!are_apart(first_target, second_target))
                .then(|| format!("{} and {} may be the same", in_words(one, first), in_words(other, second)))
        })
    })
}

fn in_words(spec: &Spec, inject: &Inject) -> String {
    format!("the target of {} ({})", inject.fault.name(), spec.target_name(inject))
}

/// A fault of the method that no target bounds.
fn host_wide(spec: &Spec) -> Option<&'static str> {
    let unbounded = |inject: &&Inject| !acts_on_packets_or_processes(&inject.fault) && !is_on_a_fleet(spec, inject);
    spec.injections().find(unbounded).map(|inject| inject.fault.name())
}

/// What is not known here acts on the whole host: a new fault is apart from nothing until somebody says so.
fn acts_on_packets_or_processes(fault: &AnyFault) -> bool {
    fault.acts_on_packets() || matches!(fault, AnyFault::ProcessKill(_) | AnyFault::ProcessPause(_))
}

fn is_on_a_fleet(spec: &Spec, inject: &Inject) -> bool {
    spec.target(inject).is_some_and(|target| target.hosts.is_some())
}

/// Whether everything that the experiment does stays within the network that is made for its run. Process selectors look
/// only inside; a cgroup or a namespace by path may be anywhere.
fn is_contained(spec: &Spec) -> bool {
    let stays = |inject: &Inject| {
        spec.target(inject).is_none_or(|target| {
            let selected = target.process.as_ref().and_then(|process| process.cgroup.as_ref());
            target.hosts.is_none()
                && target.cgroup.is_none()
                && target.network_namespace.is_none()
                && selected.is_none()
        })
    };
    spec.has_private_network() && spec.injections().all(stays)
}

/// How the services of another run, which are processes of the host as well, could be among an experiment's targets.
fn finds_services(spec: &Spec) -> Option<String> {
    let finds = |inject: &&Inject| {
        spec.target(inject).is_some_and(|target| {
            let searched = target.process.as_ref().is_some_and(|process| process.pid.is_none());
            target.hosts.is_none() && (searched || target.cgroup.is_some())
        })
    };
    let inject = spec.injections().find(finds)?;
    Some(format!("{} may be a service of the other one's run", in_words(spec, inject)))
}

/// What a signal asks, so that two that ask the same are known.
fn endpoint(signal: &Signal) -> String {
    match signal {
        Signal::Http(http) => authority(&http.url),
        Signal::Tcp(tcp) => tcp.address.clone(),
        Signal::Prometheus(prometheus) => {
            let parts = [&prometheus.bad, &prometheus.total, &prometheus.value];
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            format!("{} at {}", parts.join(" and "), prometheus.url)
        }
        Signal::Exec(exec) => exec.run.join(" "),
        Signal::Host(_) => "the kernel of the host".into(),
    }
}

fn authority(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest).to_owned()
}

/// Whether two targets are certainly different. No target is the whole host.
fn are_apart(one: Option<&Target>, other: Option<&Target>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    match (&one.hosts, &other.hosts) {
        (Some(first), Some(second)) => return hosts_are_apart(first, second),
        (None, None) => {}
        _ => return false,
    }
    if let (Some(first), Some(second)) = (&one.network_namespace, &other.network_namespace)
        && namespace(first) != namespace(second)
    {
        return true;
    }
    if let (Some(first), Some(second)) = (cgroup(one), cgroup(other))
        && !first.starts_with(second)
        && !second.starts_with(first)
    {
        return true;
    }
    if let (Some(first), Some(second)) = (&one.process, &other.process)
        && processes_are_apart(first, second)
    {
        return true;
    }
    false
}

/// A process has one number, one name and one parent, so that different ones are different processes. It may listen on many
/// ports, match many patterns, and a user has a name and a number.
fn processes_are_apart(one: &ProcessSelector, other: &ProcessSelector) -> bool {
    fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        matches!((one, other), (Some(one), Some(other)) if one != other)
    }
    differ(one.pid.as_ref(), other.pid.as_ref())
        || differ(one.name.as_ref(), other.name.as_ref())
        || differ(one.parent.as_ref(), other.parent.as_ref())
}

fn cgroup(target: &Target) -> Option<&Path> {
    let of_processes = || target.process.as_ref().and_then(|process| process.cgroup.as_deref());
    let path = target.cgroup.as_deref().or_else(of_processes)?;
    // A path with `..` in it may be any other.
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(path.strip_prefix("/").unwrap_or(path))
}

/// A name means a file below `/run/netns`.
fn namespace(path: &Path) -> PathBuf {
    Path::new("/run/netns").join(path)
}

fn hosts_are_apart(one: &HostSelector, other: &HostSelector) -> bool {
    let differs = |(label, value): (&String, &String)| other.labels.get(label).is_some_and(|second| second != value);
    if one.labels.iter().any(differs) {
        return true;
    }
    if !one.names_each() || !other.names_each() {
        return false;
    }
    let names =
        |hosts: &HostSelector| -> BTreeSet<String> { hosts.names.iter().flatten().map(ToString::to_string).collect() };
    names(one).is_disjoint(&names(other))
}

#[cfg(test)]
mod tests {
    use super::super::candidate::tests::candidate;
    use super::*;
    use crate::experiment::document::smallest::smallest;

    const LATENCY: &str = "network-latency: { delay: 10ms }";
    const PAUSE: &str = "process-pause: {}";

    /// A document: its services, the port of its signal, its target and its fault.
    fn spec(services: &str, port: u16, target: &str, fault: &str) -> Spec {
        let on = if target.is_empty() { "" } else { "on: it, " };
        let targets = if target.is_empty() { String::new() } else { format!("  targets: {{ it: {{ {target} }} }}") };
        let services = if services.is_empty() { String::new() } else { format!("  {services}\n") };
        let method = format!("{{ inject: {{ fault: {{ {fault} }}, {on}for: 30s }} }}");
        let text = smallest("one", &(services + &targets), &method).replace(":8080/", &format!(":{port}/x"));
        candidate("one.yaml", &text).loaded.document.spec
    }

    const OWN: &str = "services: { shop: { run: [faultline, sample, backend] } }";
    const OF_THE_HOST: &str = "network: host\n  services: { shop: { run: [faultline, sample, backend] } }";

    /// Both ways round.
    #[track_caller]
    fn check(one: &Spec, other: &Spec, meet: bool) {
        assert_eq!(meeting(one, other).is_some(), meet, "{:?}", meeting(one, other));
        assert_eq!(meeting(other, one).is_some(), meet, "{:?}", meeting(other, one));
    }

    #[test]
    fn a_network_of_its_own_meets_nothing_but_what_acts_on_the_whole_host() {
        let own = spec(OWN, 8080, "", LATENCY);
        check(&own, &own, false);
        check(&own, &spec("", 8080, "", LATENCY), false);
        check(&own, &spec(OWN, 8080, "service: shop", PAUSE), false);
        check(&own, &spec(OWN, 8080, "", "disk-fill: { path: /tmp/x, bytes: 1MiB }"), true);
        // What reaches out of it is judged like any other.
        let reaches = spec(OWN, 1, "cgroup: shop.slice", PAUSE);
        check(&reaches, &spec("", 2, "process: { name: db }", PAUSE), true);
        // Services are processes of the host, where others may look for them.
        check(&reaches, &own, true);
        check(&own, &spec("", 8080, "process: { listensOn: 8080 }", PAUSE), true);
        check(&own, &spec("", 8080, "process: { pid: 7 }", PAUSE), false);
    }

    #[test]
    fn whole_hosts_and_shared_endpoints_meet() {
        check(&spec("", 1, "", LATENCY), &spec("", 2, "", LATENCY), true);
        check(&spec("", 1, "", LATENCY), &spec("", 2, "process: { name: db }", PAUSE), true);
        let (db, web) = ("process: { name: db }", "process: { name: web }");
        check(&spec("", 1, db, PAUSE), &spec("", 2, web, PAUSE), false);
        check(&spec("", 1, db, PAUSE), &spec("", 1, web, PAUSE), true);
        check(&spec(OF_THE_HOST, 1, db, PAUSE), &spec(OF_THE_HOST, 2, web, PAUSE), true);
        check(&spec(OF_THE_HOST, 1, db, PAUSE), &spec("", 2, web, PAUSE), false);
        check(&spec(OF_THE_HOST, 1, "service: shop", PAUSE), &spec("", 2, web, PAUSE), true);
    }

    #[test]
    fn targets_meet_unless_they_are_certainly_different() {
        let pairs = [
            ("process: { name: db }", "process: { name: db }", true),
            ("process: { pid: 7 }", "process: { pid: 8 }", false),
            ("process: { name: db, user: a }", "process: { name: web, user: a }", false),
            // One process may listen on both, match both, and be in both.
            ("process: { listensOn: 80 }", "process: { listensOn: 443 }", true),
            ("process: { commandLine: a }", "process: { commandLine: b }", true),
            ("process: { user: root }", "process: { user: \"0\" }", true),
            ("process: { name: db }", "cgroup: web.slice", true),
            ("cgroup: a.slice", "cgroup: b.slice", false),
            ("cgroup: /a.slice", "cgroup: a.slice/b.service", true),
            ("process: { cgroup: a.slice }", "cgroup: b.slice", false),
            ("networkNamespace: a", "networkNamespace: /run/netns/a", true),
            ("networkNamespace: a", "networkNamespace: b", false),
            ("networkNamespace: a", "process: { name: db }", true),
        ];
        for (one, other, meet) in pairs {
            check(&spec("", 1, one, LATENCY), &spec("", 2, other, LATENCY), meet);
        }
    }

    #[test]
    fn hosts_of_a_fleet_meet_unless_their_labels_or_names_differ() {
        let pairs = [
            ("hosts: { labels: { role: db } }", "hosts: { labels: { role: db, zone: a } }", true),
            ("hosts: { labels: { role: db } }", "hosts: { labels: { role: web } }", false),
            ("hosts: { names: [db-1] }", "hosts: { names: [db-2, db-3] }", false),
            ("hosts: { names: [db-1] }", "hosts: { names: [\"db-*\"] }", true),
            ("hosts: { labels: { role: db } }", "process: { name: db }", true),
        ];
        for (one, other, meet) in pairs {
            check(&spec("", 1, one, LATENCY), &spec("", 2, other, LATENCY), meet);
        }
        let fill = "disk-fill: { path: /tmp/x, bytes: 1MiB }";
        check(&spec("", 1, "hosts: { names: [a] }", fill), &spec("", 2, "hosts: { names: [b] }", fill), false);
    }
}
