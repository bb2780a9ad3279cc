use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::experiment::document::{BlastRadius, Spec};

/// A spec with these targets, one fault on each of them, and perhaps more.
fn spec(targets: &str, more: &str) -> Spec {
    let targets: serde_json::Value = serde_json::from_str(targets).unwrap();
    let inject =
        |name: &String| serde_json::json!({ "inject": { "fault": { "process-pause": {} }, "on": name, "for": "30s" } });
    let method: Vec<serde_json::Value> = targets.as_object().unwrap().keys().map(inject).collect();
    let mut spec = serde_json::json!({
        "hypothesis": "It holds.", "signals": {}, "steadyState": [], "targets": targets, "method": method,
    });
    let more: serde_json::Value = serde_json::from_str(more).unwrap();
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn host(name: &str, labels: &[(&str, &str)]) -> HostFacts {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HostFacts { name: name.into(), labels, bound: BTreeMap::new(), connected: true, health: HostHealth::Healthy }
}

/// `db-0` to `db-…`, in zones a, b and c by turns.
fn databases(count: usize) -> Vec<HostFacts> {
    (0..count)
        .map(|number| host(&format!("db-{number}"), &[("role", "db"), ("zone", ["a", "b", "c"][number % 3])]))
        .collect()
}

fn held(hosts: &[&str], shares: bool) -> HeldHosts {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    HeldHosts { run: "run-2".into(), experiment: "other".into(), hosts, shares }
}

fn radius(text: &str) -> BlastRadius {
    serde_json::from_str(text).unwrap()
}

/// The choice with seed 7 and nothing in the way.
fn chosen(spec: &Spec, fleet: &[HostFacts]) -> HostChoice {
    choose(&HostQuestion { spec, seed: 7, fleet, held: &[], ceilings: &BlastRadius::default() }).unwrap()
}

fn reasons(choice: &HostChoice, target: &str) -> BTreeMap<String, String> {
    let left_out = &choice.targets[target].left_out;
    left_out.iter().map(|left| (left.host.clone(), left.reason.to_string())).collect()
}

const ALL: &str = r#"{ "db": { "hosts": { "labels": { "role": "db" } } } }"#;

#[test]
fn a_pick_beside_hosts_chooses_hosts_and_one_within_leaves_it_to_processes() {
    let design = spec(
        r#"{ "db": { "hosts": { "labels": { "role": "db" } }, "process": { "listensOn": 5432 }, "pick": { "percent": 50, "atMost": 2 } } }"#,
        "{}",
    );
    assert_eq!(chosen(&design, &databases(10)).hosts().len(), 2);
    assert_eq!(chosen(&design, &databases(3)).hosts().len(), 2);
    assert_eq!(chosen(&design, &databases(2)).hosts().len(), 1);
    let target = &design.targets["db"];
    assert_eq!(target.process_pick(), Default::default(), "every process that listens on the port, on each host");

    let both = spec(
        r#"{ "db": { "hosts": { "labels": { "role": "db" }, "pick": { "count": 3 } }, "process": { "name": "x" }, "pick": { "count": 1 } } }"#,
        "{}",
    );
    assert_eq!(chosen(&both, &databases(10)).hosts().len(), 3);
    assert_eq!(both.targets["db"].process_pick().count, Some(1));
    assert_eq!(chosen(&spec(ALL, "{}"), &databases(4)).hosts().len(), 4);
}

#[test]
fn every_host_that_is_not_chosen_is_told_of_with_the_reason() {
    let target = r#"{ "db": { "hosts": {
        "labels": { "role": "db" }, "names": ["db-*", "db-77", "web-1"], "expressions": ["zone notin (c)", "kernel >= 6.1"],
        "pick": "one"
    } } }"#;
    let mut fleet = databases(8);
    for host in &mut fleet {
        host.labels.insert("faultline.dev/kernel".into(), "6.1.0-13-amd64".into());
    }
    fleet[0].connected = false;
    fleet[1].health = HostHealth::Unhealthy("halted by anna".into());
    fleet[3].labels.insert(PROTECTED.into(), "billing runs here".into());
    fleet[4].labels.insert("faultline.dev/kernel".into(), "5.10".into());
    fleet.extend([host("web-1", &[("role", "web")]), host("db-x", &[]), host("cache-1", &[("role", "db")])]);
    let spec = spec(target, "{}");
    let held = [held(&["db-6"], true)];
    let question = HostQuestion { spec: &spec, seed: 7, fleet: &fleet, held: &held, ceilings: &BlastRadius::default() };
    let choice = choose(&question).unwrap();
    assert_eq!(choice.hosts(), BTreeSet::from(["db-7"]));
    let told: Vec<String> = reasons(&choice, "db").iter().map(|(host, reason)| format!("{host}: {reason}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    cache-1: not meant: its name is not db-* or db-77 or web-1
    db-0: not connected
    db-1: not healthy: halted by anna
    db-2: not meant: `zone notin (c)` is not so, zone is c
    db-3: protected by its label: billing runs here
    db-4: not meant: `kernel >= 6.1` is not so, kernel is 5.10
    db-5: not meant: `zone notin (c)` is not so, zone is c
    db-6: held by run run-2 of other
    db-77: no host of this name is known
    db-x: not meant: it has no role
    web-1: not meant: role is web, not db
    ");
}

#[test]
fn no_two_runs_meet_on_a_host_unless_both_allow_it() {
    let fleet = databases(2);
    let of = |ours: bool, theirs: bool| {
        let spec = spec(ALL, &format!(r#"{{ "sharesHosts": {ours} }}"#));
        let held = [held(&["db-0"], theirs)];
        let question =
            HostQuestion { spec: &spec, seed: 7, fleet: &fleet, held: &held, ceilings: &BlastRadius::default() };
        choose(&question).unwrap().hosts().len()
    };
    assert_eq!([of(false, false), of(false, true), of(true, false), of(true, true)], [1, 1, 1, 2]);
}

#[test]
fn a_label_group_counts_what_other_runs_hold() {
    let fleet = databases(9);
    let spec = spec(ALL, r#"{ "blastRadius": { "hosts": 6, "perLabel": { "zone": 1, "role=db": "50%" } } }"#);
    let held = [held(&["db-0"], false)];
    let question = HostQuestion { spec: &spec, seed: 7, fleet: &fleet, held: &held, ceilings: &BlastRadius::default() };
    let choice = choose(&question).unwrap();
    let zones: Vec<_> = choice
        .hosts()
        .iter()
        .map(|name| fleet.iter().find(|host| host.name == *name).unwrap().label("zone").unwrap())
        .collect();
    assert_eq!(BTreeSet::from_iter(zones), BTreeSet::from(["b", "c"]), "another run is in zone a");
    let ceilings: Vec<String> = choice.ceilings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(ceilings.join("\n"), @r"
    at most 6 hosts (of the experiment), 2 used
    at most 50% with role=db (of the experiment), 4 of 9, 3 used, 1 of them by other runs
    at most 1 with zone=b (of the experiment), 1 used
    at most 1 with zone=c (of the experiment), 1 used
    ");
    assert_eq!(
        reasons(&choice, "db")["db-3"],
        "ceiling: at most 1 with zone=a (of the experiment), 1 used, 1 of them by other runs"
    );
}

#[test]
fn hosts_without_the_label_are_bounded_together() {
    let mut fleet = databases(3);
    fleet.iter_mut().for_each(|host| {
        host.labels.remove("zone");
    });
    let choice = chosen(&spec(ALL, r#"{ "blastRadius": { "perLabel": { "zone": 1 } } }"#), &fleet);
    assert_eq!(choice.hosts().len(), 1);
    assert_eq!(choice.ceilings[0].to_string(), "at most 1 with no zone (of the experiment), 1 used");
}

#[test]
fn targets_take_turns_below_a_ceiling() {
    let targets = r#"{
        "a": { "hosts": { "names": ["db-*"] } },
        "b": { "hosts": { "names": ["web-*"], "pick": { "atLeast": 2 } } }
    }"#;
    let mut fleet = databases(10);
    fleet.extend((0..10).map(|number| host(&format!("web-{number}"), &[])));
    let choice = chosen(&spec(targets, r#"{ "blastRadius": { "hosts": 5 } }"#), &fleet);
    let counts: Vec<usize> = choice.targets.values().map(|target| target.hosts.len()).collect();
    assert_eq!(counts, [2, 3], "one, then two that are needed, then by turns");
    let spec = spec(targets, r#"{ "blastRadius": { "hosts": 2 } }"#);
    let error =
        choose(&HostQuestion { spec: &spec, seed: 7, fleet: &fleet, held: &[], ceilings: &BlastRadius::default() })
            .unwrap_err();
    assert!(matches!(&error, HostChoiceError::TooFew { target, found: 1, needed: 2, .. } if target == "b"), "{error}");
}

#[test]
fn a_ceiling_that_comes_to_none_refuses_and_says_so() {
    let spec = spec(ALL, "{}");
    let fleet = databases(4);
    let ceilings = radius(r#"{ "hosts": "20%" }"#);
    let error =
        choose(&HostQuestion { spec: &spec, seed: 7, fleet: &fleet, held: &[], ceilings: &ceilings }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "target `db`: 0 of the hosts it means can be had, and it needs at least 1 (db-0: ceiling: at most 20% hosts (of \
         the fleet), 0 of 4, 0 used; db-1: ceiling: at most 20% hosts (of the fleet), 0 of 4, 0 used; db-2: ceiling: at \
         most 20% hosts (of the fleet), 0 of 4, 0 used; and 1 more)"
    );
}

#[test]
fn faults_that_say_no_hosts_and_targets_that_mean_none_are_errors() {
    let none = spec(r#"{ "db": { "process": { "name": "x" } } }"#, "{}");
    let ask = |spec: &Spec, fleet: &[HostFacts]| {
        choose(&HostQuestion { spec, seed: 7, fleet, held: &[], ceilings: &BlastRadius::default() }).unwrap_err()
    };
    let error = ask(&none, &databases(2));
    assert_eq!(error.to_string(), "`process-pause` is on target `db`, which does not say on which hosts of the fleet");
    let error = ask(&spec(ALL, "{}"), &[host("web-1", &[])]);
    assert_eq!(error.to_string(), "target `db`: 0 of the hosts it means can be had, and it needs at least 1");
    assert_eq!(
        error.hint(),
        "no host of the fleet is meant: compare the target's `hosts` with what `faultline agents` lists"
    );
}

#[test]
fn ten_thousand_hosts_are_chosen_from_at_once() {
    let fleet: Vec<HostFacts> = (0..10_000)
        .map(|number| host(&format!("host-{number}"), &[("role", "db"), ("rack", &format!("rack-{}", number / 4))]))
        .collect();
    let spec = spec(ALL, r#"{ "blastRadius": { "hosts": "20%", "perLabel": { "rack": 1, "role=db": "30%" } } }"#);
    let started = std::time::Instant::now();
    let choice = chosen(&spec, &fleet);
    assert_eq!(choice.hosts().len(), 2000);
    // 0.6 s without optimisation on a busy machine; what grew with the square of the fleet would take minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

/// A fleet of any kind: zones, roles, and hosts that cannot be had.
fn fleets() -> impl Strategy<Value = Vec<HostFacts>> {
    let one = (0usize..4, 0usize..3, 0usize..12);
    proptest::collection::vec(one, 0..24).prop_map(|hosts| {
        let make = |(number, (zone, role, state)): (usize, (usize, usize, usize))| {
            let mut host = host(&format!("host-{number}"), &[("role", ["db", "db", "web"][role])]);
            if zone > 0 {
                host.labels.insert("zone".into(), format!("z{zone}"));
            }
            match state {
                0 => host.connected = false,
                1 => host.health = HostHealth::Unhealthy("stuck".into()),
                2 => drop(host.labels.insert(PROTECTED.into(), "true".into())),
                _ => {}
            }
            host
        };
        hosts.into_iter().enumerate().map(make).collect()
    })
}

fn ceilings() -> impl Strategy<Value = BlastRadius> {
    let ceiling =
        prop_oneof![(0u32..6).prop_map(|count| count.to_string()), (0u32..=100).prop_map(|share| format!("{share}%"))];
    let groups = proptest::sample::subsequence(vec!["zone", "role", "role=db", "zone=z1"], 0..4);
    (proptest::option::of(ceiling.clone()), groups, ceiling).prop_map(|(hosts, groups, each)| BlastRadius {
        hosts: hosts.map(|text| serde_json::from_value(text.into()).unwrap()),
        per_label: groups
            .into_iter()
            .map(|group| (group.parse().unwrap(), serde_json::from_value(each.clone().into()).unwrap()))
            .collect(),
    })
}

const TWO: &str = r#"{
    "db": { "hosts": { "labels": { "role": "db" }, "pick": { "percent": 60 } } },
    "any": { "hosts": { "names": ["*"], "pick": { "upTo": "80%", "atMost": 7 } } }
}"#;

proptest! {
    #[test]
    fn nothing_goes_beyond_a_ceiling_and_only_who_can_be_had_is_chosen(
        seed: u64, fleet in fleets(), own in ceilings(), wide in ceilings(), others in proptest::collection::btree_set(0usize..24, 0..4), share: bool,
    ) {
        let mut spec = spec(TWO, &format!(r#"{{ "sharesHosts": {share} }}"#));
        spec.blast_radius = own.clone();
        let names: Vec<String> = others.iter().map(|number| format!("host-{number}")).collect();
        let held = [held(&names.iter().map(String::as_str).collect::<Vec<_>>(), share)];
        let question = HostQuestion { spec: &spec, seed, fleet: &fleet, held: &held, ceilings: &wide };
        if let Ok(choice) = choose(&question) {
            let hosts = choice.hosts();
            let by_name: BTreeMap<&str, &HostFacts> = fleet.iter().map(|host| (host.name.as_str(), host)).collect();
            let fit: Vec<&HostFacts> = fleet.iter()
                .filter(|host| host.connected && host.health == HostHealth::Healthy && host.protection().is_none()).collect();
            let taken: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            for name in &hosts {
                prop_assert!(fit.iter().any(|host| host.name == *name));
                prop_assert!(share || !taken.contains(name));
            }
            let all: BTreeSet<&str> = hosts.union(&taken).copied().collect();
            for (radius, is_own) in [(&own, true), (&wide, false)] {
                if let Some(most) = radius.hosts {
                    // Every fit host is meant by `any`. What others hold beyond a ceiling is not this run's doing.
                    let (count, before) = if is_own { (hosts.len(), 0) } else { (all.len(), taken.len()) };
                    prop_assert!(count <= most.most(fit.len()).max(before));
                }
                for (group, most) in &radius.per_label {
                    let values: BTreeSet<Option<&str>> = match &group.value {
                        Some(value) => BTreeSet::from([Some(value.as_str())]),
                        None => fleet.iter().map(|host| host.label(&group.label)).chain([None]).collect(),
                    };
                    for value in values {
                        let within = |name: &&&str| by_name.get(**name).and_then(|host| host.label(&group.label)) == value;
                        let of = fit.iter().filter(|host| host.label(&group.label) == value).count();
                        let (count, before) = (all.iter().filter(within).count(), taken.iter().filter(within).count());
                        prop_assert!(count <= most.most(of).max(before), "{} {:?}", group, value);
                    }
                }
            }
            for target in choice.targets.values() {
                prop_assert_eq!(target.hosts.len() + target.left_out.len(), fleet.len(), "everyone is told of");
                prop_assert!(target.left_out.is_sorted_by_key(|left| left.host.clone()));
            }
        }
    }

    #[test]
    fn the_order_of_the_fleet_changes_nothing(seed: u64, fleet in fleets(), own in ceilings(), turn in 0usize..24) {
        let mut spec = spec(TWO, "{}");
        spec.blast_radius = own;
        let mut turned = fleet.clone();
        if !turned.is_empty() {
            turned.rotate_left(turn % fleet.len());
            turned.reverse();
        }
        let none = BlastRadius::default();
        let ask = |fleet| choose(&HostQuestion { spec: &spec, seed, fleet, held: &[], ceilings: &none });
        prop_assert_eq!(ask(&fleet), ask(&turned));
    }

    #[test]
    fn a_host_that_cannot_be_had_changes_nothing(seed: u64, fleet in fleets(), own in ceilings(), wide in ceilings(), state in 0usize..3) {
        let mut spec = spec(TWO, "{}");
        spec.blast_radius = own;
        let mut more = fleet.clone();
        let mut extra = host("host-999", &[("role", "db"), ("zone", "z1")]);
        match state {
            0 => extra.connected = false,
            1 => extra.health = HostHealth::Unhealthy("stuck".into()),
            _ => drop(extra.labels.insert(PROTECTED.into(), "true".into())),
        }
        more.push(extra);
        let ask = |fleet| choose(&HostQuestion { spec: &spec, seed, fleet, held: &[], ceilings: &wide });
        match (ask(&fleet), ask(&more)) {
            (Ok(before), Ok(after)) => {
                prop_assert_eq!(before.ceilings, after.ceilings);
                for (name, target) in &before.targets {
                    prop_assert_eq!(&target.hosts, &after.targets[name].hosts);
                    let known: Vec<_> = after.targets[name].left_out.iter().filter(|left| left.host != "host-999").cloned().collect();
                    prop_assert_eq!(&target.left_out, &known);
                }
            }
            (before, after) => prop_assert!(before.is_err() && after.is_err()),
        }
    }

    #[test]
    fn a_host_that_joins_displaces_one_at_most(seed: u64, count in 1u32..8, size in 1usize..30) {
        let target = format!(r#"{{ "db": {{ "hosts": {{ "labels": {{ "role": "db" }}, "pick": {{ "count": {count} }} }} }} }}"#);
        let spec = spec(&target, "{}");
        let none = BlastRadius::default();
        let ask = |fleet: &[HostFacts]| {
            let choice = choose(&HostQuestion { spec: &spec, seed, fleet, held: &[], ceilings: &none }).unwrap();
            choice.targets["db"].hosts.clone()
        };
        let fleet = databases(size);
        let mut more = fleet.clone();
        more.push(host("db-new", &[("role", "db")]));
        let (before, after) = (ask(&fleet), ask(&more));
        let joined: Vec<&String> = after.difference(&before).collect();
        prop_assert!(joined.iter().all(|name| *name == "db-new"));
        prop_assert!(before.difference(&after).count() <= 1);
    }
}
