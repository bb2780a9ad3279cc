use std::collections::BTreeMap;
use std::path::Path;

use crate::facts::fake::{FakeFacts, process};
use crate::facts::{Pick, ProcessFacts, ProcessSelector};
use crate::identity::{NetworkNamespace, ProcessIdentity};
use crate::units::Percent;
use proptest::prelude::*;

use super::{Ground, HostTarget, TargetContext, TargetError, resolve};

fn host(extra: Vec<ProcessFacts>) -> FakeFacts {
    let mut facts = FakeFacts::default();
    facts.processes.extend(extra);
    facts
}

fn named(name: &str) -> HostTarget {
    let process = Some(ProcessSelector { name: Some(name.into()), ..ProcessSelector::default() });
    HostTarget { process, ..HostTarget::default() }
}

fn resolved_on(
    facts: &FakeFacts,
    target: &HostTarget,
    seed: u64,
    services: &BTreeMap<String, Vec<ProcessIdentity>>,
) -> Result<super::Resolved, TargetError> {
    let ground = Ground { run: "run-1".into(), namespace: NetworkNamespace::Own, services: services.clone() };
    let context = TargetContext { facts, ground: &ground, seed };
    resolve("db", Some(target), &context)
}

fn pids(resolved: &super::Resolved) -> Vec<i32> {
    resolved.scope.processes.iter().flatten().map(|process| process.identity.pid).collect()
}

fn workers(count: i32) -> Vec<ProcessFacts> {
    (0..count).map(|number| process(1000 + number, "worker")).collect()
}

#[test]
fn processes_are_described_so_that_a_person_recognises_them() {
    let mut nginx = process(812, "nginx");
    nginx.command_line = vec!["nginx: worker\nprocess".into(), "x".repeat(100)];
    nginx.user = 4_000_000_000;
    let found = resolved_on(&host(vec![nginx]), &named("nginx"), 1, &BTreeMap::new()).unwrap();
    let line = format!("process 812 (nginx, user 4000000000): nginx: worker process {}...", "x".repeat(38));
    assert_eq!(found.description, [line]);
    assert_eq!(pids(&found), [812]);
}

#[test]
fn what_no_fault_may_touch_is_left_out_and_alone_it_is_an_error() {
    let error = resolved_on(&host(vec![]), &named("faultline"), 1, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("only processes that no fault may touch match: process 100"), "{error}");
    let more = host(vec![process(501, "faultline")]);
    assert_eq!(pids(&resolved_on(&more, &named("faultline"), 1, &BTreeMap::new()).unwrap()), [501]);
}

#[test]
fn a_dead_process_is_no_target() {
    let zombie = ProcessFacts { state: 'Z', ..process(700, "db") };
    assert!(resolved_on(&host(vec![zombie]), &named("db"), 1, &BTreeMap::new()).is_err());
}

#[test]
fn no_match_says_what_was_there() {
    let mut nginx = process(812, "nginx");
    nginx.listens_on = vec![80];
    let facts = host(vec![nginx]);
    let told = |target: &HostTarget| {
        let error = resolved_on(&facts, target, 1, &BTreeMap::new()).unwrap_err();
        format!("{error}\n{}", error.hint())
    };
    let count = facts.processes.len();
    assert_eq!(
        told(&named("ngnix")),
        format!("target `db`: no process has the name `ngnix`; looked at: {count} processes\ndid you mean `nginx`?")
    );
    let mut both = named("nginx");
    both.process.as_mut().unwrap().listens_on = Some(8080);
    assert_eq!(
        told(&both),
        format!(
            "target `db`: no process has the name `nginx` and port 8080 to listen on (each alone: the name `nginx`: 1; \
             port 8080 to listen on: none); looked at: {count} processes\nthere are listeners on 80 (nginx)"
        )
    );
}

#[test]
fn in_a_private_run_only_its_own_network_is_looked_at() {
    let mut inside = process(900, "db");
    inside.network_namespace = Some(77);
    let facts = host(vec![process(800, "db"), inside, process(801, "other")]);
    let namespace = NetworkNamespace::Path { path: "/proc/9/ns/net".into(), inode: 77 };
    let ground = Ground { run: "r".into(), namespace: namespace.clone(), services: BTreeMap::new() };
    let context = TargetContext { facts: &facts, ground: &ground, seed: 1 };
    assert_eq!(pids(&resolve("db", Some(&named("db")), &context).unwrap()), [900]);
    let error = resolve("db", Some(&named("other")), &context).unwrap_err();
    assert!(error.hint().contains("`network: host`"), "{}", error.hint());
    let whole = resolve("host", None, &context).unwrap();
    assert_eq!((whole.scope.namespace, whole.description), (namespace, vec!["the run's private network".to_owned()]));
}

#[test]
fn a_service_is_its_living_processes_and_known_again_by_its_mark() {
    let facts = host(vec![process(900, "shop"), process(901, "shop")]);
    let services = BTreeMap::from([("shop".to_owned(), vec![facts.processes[facts.processes.len() - 1].identity])]);
    let target = |service: &str| HostTarget { service: Some(service.into()), ..HostTarget::default() };
    let found = resolved_on(&facts, &target("shop"), 1, &services).unwrap();
    assert_eq!(pids(&found), [901]);
    assert_eq!(found.scope.selection.unwrap().environment.unwrap(), "FAULTLINE_SERVICE=run-1/shop");
    let gone = BTreeMap::from([("shop".to_owned(), vec![ProcessIdentity { pid: 901, start_time: 1 }])]);
    let error = resolved_on(&facts, &target("shop"), 1, &gone).unwrap_err();
    assert_eq!(error.to_string(), "target `db`: service `shop` has no living process");
    assert!(resolved_on(&facts, &target("other"), 1, &services).is_err());
}

#[test]
fn a_cgroup_is_all_in_it_unless_faultline_is() {
    let mut inside = process(900, "db");
    inside.cgroup = Some("/app/db.service".into());
    let facts = host(vec![inside]);
    let target = |path: &str| HostTarget { cgroup: Some(path.into()), ..HostTarget::default() };
    let found = resolved_on(&facts, &target("app"), 1, &BTreeMap::new()).unwrap();
    assert_eq!(found.description, ["cgroup /app with 1 processes now: 900"]);
    assert_eq!(found.scope.cgroup.as_deref(), Some(Path::new("/app")));
    let error = resolved_on(&facts, &target("/ap"), 1, &BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "target `db`: no process is in cgroup /ap");
    let error = resolved_on(&facts, &target("/"), 1, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, TargetError::Protected { .. }), "{error}");
}

#[test]
fn a_namespace_is_found_by_path_and_a_missing_one_is_an_error() {
    let target = |path: &str| HostTarget { network_namespace: Some(path.into()), ..HostTarget::default() };
    let found = resolved_on(&host(vec![]), &target("/proc/self/ns/net"), 1, &BTreeMap::new()).unwrap();
    assert!(matches!(found.scope.namespace, NetworkNamespace::Path { inode, .. } if inode > 0));
    let error = resolved_on(&host(vec![]), &target("no-such-namespace"), 1, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("there is no network namespace /run/netns/no-such-namespace"), "{error}");
}

proptest! {
    #[test]
    fn the_same_seed_chooses_the_same_however_the_host_lists_its_processes(
        seed: u64,
        count in 1i32..40,
        percent in 1u32..=100,
        at_most in proptest::option::of(1u32..10),
        turn in 0usize..40,
    ) {
        let mut target = named("worker");
        target.pick = Pick { count: None, percent: Percent::new(f64::from(percent)), at_most };
        let listed = workers(count);
        let mut turned = listed.clone();
        turned.rotate_left(turn % listed.len());
        turned.reverse();
        let one = resolved_on(&host(listed), &target, seed, &BTreeMap::new()).unwrap();
        let other = resolved_on(&host(turned), &target, seed, &BTreeMap::new()).unwrap();
        prop_assert_eq!(&one, &other);
        let chosen = pids(&one).len();
        prop_assert!(chosen >= 1, "a share is rounded up");
        prop_assert!(chosen <= usize::try_from(at_most.unwrap_or(u32::MAX)).unwrap());
        let exact = f64::from(percent) / 100.0 * f64::from(count);
        prop_assert!(chosen as f64 <= exact.ceil() + 1e-6);
        if at_most.is_none() {
            prop_assert!(chosen as f64 >= exact - 1e-6);
        }
    }
}
