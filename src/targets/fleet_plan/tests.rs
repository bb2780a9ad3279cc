use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::document::load::from_text;
use crate::targets::hosts::{HeldHosts, HostFacts, HostHealth, PROTECTED};

const DOCUMENT: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: checkout-survives-a-slow-database }
spec:
  hypothesis: It holds.
  signals:
    shop: { http: { url: "http://127.0.0.1:8080/", rate: 50/s } }
  steadyState:
    - { signal: shop, latency: { quantile: 0.99, below: 300ms } }
  targets:
    db:
      hosts: { labels: { role: db }, expressions: ["zone in (a, b)", "kernel >= 6.1"], pick: { percent: 50%, atLeast: 2 } }
      process: { listensOn: 5432 }
    web: { hosts: { names: ["web-*"] }, pick: { count: 1 } }
  blastRadius: { hosts: 4, perLabel: { zone: 2 } }
  method:
    - observe: 30s
    - inject: { fault: { network-latency: { delay: 100ms, peers: { ports: [5432] } } }, on: db, for: 2m }
    - together:
        - { fault: { process-pause: {} }, on: db, for: 30s }
        - { fault: { process-kill: {} }, on: web, for: 10s }
"#;

fn experiment(change: impl FnOnce(String) -> String) -> Experiment {
    let text = change(DOCUMENT.to_owned());
    let loaded = from_text("x.yaml", &text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
    loaded.into_iter().next().unwrap().experiment().unwrap().document
}

fn host(name: &str, labels: &[(&str, &str)]) -> HostFacts {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HostFacts { name: name.into(), labels, bound: BTreeMap::new(), connected: true, health: HostHealth::Healthy }
}

fn fleet() -> Vec<HostFacts> {
    let database = |number: usize| {
        let zone = ["a", "b", "c"][number % 3];
        host(&format!("db-{number}"), &[("role", "db"), ("zone", zone), ("faultline.dev/kernel", "6.1.0-13")])
    };
    let mut fleet: Vec<HostFacts> = (0..9).map(database).collect();
    fleet.extend((0..3).map(|number| host(&format!("web-{number}"), &[("zone", "d")])));
    fleet[3].connected = false;
    fleet
}

fn planned(experiment: &Experiment, seed: u64, fleet: &[HostFacts]) -> FleetPlan {
    let none = BlastRadius::default();
    plan(experiment, &HostQuestion { spec: &experiment.spec, seed, fleet, held: &[], ceilings: &none }).unwrap()
}

/// What became of the plan with seed 7 after the fleet or the document changed: each difference and each reason.
fn after(
    change: impl FnOnce(&mut Vec<HostFacts>, &FleetPlan),
    held: &[HeldHosts],
) -> (Vec<String>, Result<Vec<String>, Vec<String>>) {
    let (experiment, mut fleet) = (experiment(|text| text), fleet());
    let approved = planned(&experiment, 7, &fleet);
    change(&mut fleet, &approved);
    let none = BlastRadius::default();
    let drift = drift(&approved, &FleetNow { experiment: &experiment, fleet: &fleet, held, ceilings: &none }).unwrap();
    let outcome = match drift.outcome {
        DriftOutcome::Holds { hosts } => Ok(hosts["db"].iter().cloned().collect()),
        DriftOutcome::Refused { reasons } => Err(reasons),
    };
    (drift.differences.iter().map(ToString::to_string).collect(), outcome)
}

#[test]
fn a_plan_is_shown_whole() {
    let experiment = experiment(|text| text);
    insta::assert_snapshot!(render(&planned(&experiment, 7, &fleet())), @r"
    checkout-survives-a-slow-database
      plan      sha256:5c4f9621732d0908fb12ef99854ce8e904bbacba285d6d70bd3c8c010bf05f65
      document  sha256:1bd0544d33e97c323d2bf13884eadd6ddbe84d637083c4f2535e08db1df95bd1
      seed      7

    1. inject network-latency on db, 3 hosts, for 2m
         settings       correlation: 0%, delay: 100ms, distribution: normal, engine: auto, jitter: 0s, peers: { ports: [5432] }
         on each        process: { listensOn: 5432 }
         hosts          db-1, db-4, db-6
    2. inject process-pause on db, 3 hosts, for 30s
         on each        process: { listensOn: 5432 }
         hosts          db-1, db-4, db-6
    3. inject process-kill on web, 1 host, for 10s
         on each        the whole host
         hosts          web-2

    left out of db
         db-0, db-7: enough were picked before it
         db-3: not connected
         6 that it does not mean

    left out of web
         web-0, web-1: enough were picked before it
         9 that it does not mean

    ceilings
         at most 4 hosts (of the experiment), 4 used
         at most 2 with zone=a (of the experiment), 1 used
         at most 2 with zone=b (of the experiment), 2 used
         at most 2 with zone=d (of the experiment), 1 used

    What is met on each host is looked for there, in the moment of the injection. Nothing was touched.
    ");
}

#[test]
fn a_plan_is_the_same_after_a_journey_as_json() {
    let plan = planned(&experiment(|text| text), 7, &fleet());
    let told = plan.to_json().unwrap();
    assert_eq!(told["hash"], plan.hash().to_string());
    let again: FleetPlan = serde_json::from_str(&told.to_string()).unwrap();
    assert_eq!(again, plan);
    assert_eq!(again.hash(), plan.hash());
    insta::assert_snapshot!(serde_json::to_string(&plan.injections[2]).unwrap(), @r#"{"number":3,"fault":"process-kill","parameters":{},"lasts":"10s","target":"web","hosts":["web-2"]}"#);
}

#[test]
fn the_hash_is_of_what_is_done_and_of_nothing_else() {
    let original = experiment(|text| text);
    let plan = planned(&original, 7, &fleet());
    // A version in which this differs voids every approval that was given before it.
    insta::assert_snapshot!(plan.hash(), @"sha256:5c4f9621732d0908fb12ef99854ce8e904bbacba285d6d70bd3c8c010bf05f65");

    let mut same = fleet();
    same.reverse();
    same.push(host("db-99", &[("role", "db"), ("zone", "c")]));
    same.iter_mut().find(|host| host.name == "db-3").unwrap().health = HostHealth::Unhealthy("halted".into());
    assert_eq!(planned(&original, 7, &same).hash(), plan.hash(), "who is left out, and the order");
    let layout = experiment(|text| text.replace("  signals:", "  # a note\n\n  signals:").replace("30s", "0m30s"));
    assert_eq!(planned(&layout, 7, &fleet()).hash(), plan.hash(), "the layout of the document");

    let mut hashes = BTreeSet::from([plan.hash()]);
    for changed in [
        planned(&original, 8, &fleet()),
        planned(&experiment(|text| text.replace("delay: 100ms", "delay: 101ms")), 7, &fleet()),
        planned(&experiment(|text| text.replace("for: 2m", "for: 3m")), 7, &fleet()),
        planned(&experiment(|text| text.replace("It holds.", "It does.")), 7, &fleet()),
        planned(&experiment(|text| text.replace("below: 300ms", "below: 301ms")), 7, &fleet()),
        FleetPlan { experiment: "other".into(), ..plan.clone() },
    ] {
        assert!(hashes.insert(changed.hash()), "{changed:?}");
    }
    let mut fewer = plan.clone();
    fewer.injections[0].hosts.pop_first();
    assert!(hashes.insert(fewer.hash()));
    let mut swapped = plan;
    swapped.injections.swap(0, 1);
    assert!(hashes.insert(swapped.hash()));
}

#[test]
fn nothing_changed_and_the_plan_holds() {
    let (differences, outcome) = after(|fleet, _| fleet.reverse(), &[]);
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(outcome.unwrap().len(), 3);
}

#[test]
fn a_host_that_is_gone_is_tolerated_as_far_as_the_document_says() {
    let lose = |count: usize, target: &'static str| {
        move |fleet: &mut Vec<HostFacts>, plan: &FleetPlan| {
            let hosts = plan.hosts_of_targets()[target].clone();
            for host in fleet.iter_mut().filter(|host| hosts.contains(&host.name)).take(count) {
                host.connected = false;
            }
        }
    };
    let (differences, outcome) = after(lose(1, "db"), &[]);
    assert_eq!((differences.len(), outcome.unwrap().len()), (1, 2), "three approved, two are enough");
    let (differences, outcome) = after(lose(2, "db"), &[]);
    assert!(differences[0].ends_with("of target `db` is gone: not connected"), "{differences:?}");
    assert_eq!(outcome.unwrap_err(), ["target `db`: 1 of 3 approved hosts can be had, and at least 2 are needed"]);
    let (_, outcome) = after(lose(1, "web"), &[]);
    assert_eq!(
        outcome.unwrap_err(),
        ["target `web`: 1 of 1 approved hosts cannot be had, and no `atLeast` says that fewer will do"]
    );
}

#[test]
fn every_way_to_be_gone_counts() {
    let first = |plan: &FleetPlan| plan.hosts_of_targets()["db"].first().unwrap().clone();
    type Change = fn(&mut HostFacts);
    let changes: [(Change, &str); 3] = [
        (
            |host| {
                host.health = HostHealth::Unclean { run: "r-1".into(), left: "process-pause".into() };
                host.name = "db-1".into();
            },
            "left unclean by run r-1: process-pause (hint: see to it, then `faultline agents acknowledge db-1 --reason \"…\"`)",
        ),
        (|host| host.health = HostHealth::Unhealthy("halted".into()), "not healthy: halted"),
        (|host| drop(host.labels.insert(PROTECTED.into(), "true".into())), "protected by its label"),
    ];
    for (change, reason) in changes {
        let (differences, outcome) =
            after(|fleet, plan| change(fleet.iter_mut().find(|host| host.name == first(plan)).unwrap()), &[]);
        assert!(differences[0].ends_with(&format!("is gone: {reason}")), "{differences:?}");
        assert_eq!(outcome.unwrap().len(), 2);
    }
    let (differences, _) = after(|fleet, plan| fleet.retain(|host| host.name != first(plan)), &[]);
    assert!(differences[0].ends_with("is gone: no host of this name is known"), "{differences:?}");
}

#[test]
fn an_approved_host_whose_labels_put_it_elsewhere_is_refused_although_fewer_would_do() {
    let relabelled = |fleet: &mut Vec<HostFacts>, plan: &FleetPlan| {
        let name = plan.hosts_of_targets()["db"].first().unwrap().clone();
        let host = fleet.iter_mut().find(|host| host.name == name).unwrap();
        host.labels.insert("zone".into(), "c".into());
    };
    let (differences, outcome) = after(relabelled, &[]);
    assert_eq!(differences, ["db-1 of target `db` is gone: not meant: `zone in (a, b)` is not so, zone is c"]);
    assert_eq!(
        outcome.unwrap_err(),
        ["target `db` does not mean db-1 any more, whose labels changed since the hosts were chosen"]
    );
}

#[test]
fn who_is_new_and_would_be_chosen_is_refused_and_who_would_not_is_told_of_and_never_added() {
    let (experiment, fleet) = (experiment(|text| text), fleet());
    let (mut chosen, mut passed_over) = (0, 0);
    for number in 40..80 {
        let name = format!("db-{number}");
        let joins = |fleet: &mut Vec<HostFacts>, _: &FleetPlan| {
            fleet.push(host(&name, &[("role", "db"), ("zone", "a"), ("kernel", "6.6")]));
        };
        let mut now = fleet.clone();
        joins(&mut now, &planned(&experiment, 7, &fleet));
        let is_chosen = planned(&experiment, 7, &now).hosts_of_targets()["db"].contains(&name);
        let (differences, outcome) = after(joins, &[]);
        assert_eq!(differences, [format!("{name} is new for target `db`, and is left in peace")]);
        match outcome {
            Ok(hosts) => {
                passed_over += 1;
                assert!(!is_chosen && hosts.len() == 3 && !hosts.contains(&name), "{hosts:?}");
            }
            Err(reasons) => {
                chosen += 1;
                assert!(is_chosen, "{name}");
                assert_eq!(reasons, [format!("target `db` means {name} now, which would be chosen")]);
            }
        }
    }
    assert!(chosen > 0 && passed_over > 0, "{chosen} {passed_over}");
}

#[test]
fn a_host_whose_labels_make_it_fit_is_as_good_as_new() {
    let all = |text: String| {
        let text = text.replace("pick: { percent: 50%, atLeast: 2 }", "pick: all");
        text.replace("  blastRadius: { hosts: 4, perLabel: { zone: 2 } }\n", "")
    };
    let (experiment, mut now) = (experiment(all), fleet());
    let none = BlastRadius::default();
    let approved = planned(&experiment, 7, &now);
    // It lay in zone c, which was not meant.
    let labels = |host: &mut HostFacts, zone: &str| drop(host.labels.insert("zone".into(), zone.into()));
    labels(now.iter_mut().find(|host| host.name == "db-2").unwrap(), "e");
    let ask = |fleet: &[HostFacts]| {
        drift(&approved, &FleetNow { experiment: &experiment, fleet, held: &[], ceilings: &none }).unwrap()
    };
    assert!(matches!(ask(&now).outcome, DriftOutcome::Holds { .. }), "zone e is not meant either");
    labels(now.iter_mut().find(|host| host.name == "db-2").unwrap(), "a");
    let drift = ask(&now);
    assert!(drift.refusal().is_some_and(|why| why.contains("means db-2 now, which would be chosen")), "{drift:?}");
    assert!(matches!(&drift.differences[..], [Difference::HostJoined { host, .. }] if host == "db-2"), "{drift:?}");
}

#[test]
fn other_labels_are_told_of_while_the_host_is_still_meant() {
    let (differences, outcome) = after(
        |fleet, plan| {
            let name = plan.hosts_of_targets()["db"].first().unwrap();
            let host = fleet.iter_mut().find(|host| host.name == *name).unwrap();
            host.labels.insert("faultline.dev/kernel".into(), "6.6".into());
            host.labels.insert("unrelated".into(), "x".into());
        },
        &[],
    );
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].ends_with(": kernel was 6.1.0-13 and is 6.6"), "{differences:?}");
    assert!(outcome.is_ok());
}

#[test]
fn what_other_runs_took_meanwhile_counts() {
    let plan = planned(&experiment(|text| text), 7, &fleet());
    let taken = plan.hosts_of_targets()["db"].clone();
    let others =
        |hosts: BTreeSet<String>| [HeldHosts { run: "run-2".into(), experiment: "other".into(), hosts, shares: false }];
    let (_, outcome) = after(|_, _| {}, &others(taken.iter().take(2).cloned().collect()));
    assert_eq!(outcome.unwrap_err().len(), 1);
    let beside: BTreeSet<String> = ["db-0", "db-1", "db-4", "db-6", "db-7"]
        .map(str::to_owned)
        .into_iter()
        .filter(|name| !taken.contains(name))
        .collect();
    let (differences, outcome) = after(|_, _| {}, &others(beside));
    assert!(
        differences.iter().any(|told| told.contains("would go beyond a ceiling: at most 2 with zone=")),
        "{differences:?}"
    );
    assert!(outcome.is_err());
}

#[test]
fn another_document_is_never_what_was_approved() {
    let (original, fleet) = (experiment(|text| text), fleet());
    let approved = planned(&original, 7, &fleet);
    let changed = experiment(|text| text.replace("delay: 100ms", "delay: 5s"));
    let none = BlastRadius::default();
    let drift =
        drift(&approved, &FleetNow { experiment: &changed, fleet: &fleet, held: &[], ceilings: &none }).unwrap();
    assert!(matches!(&drift.differences[..], [Difference::DocumentChanged { .. }]));
    assert!(matches!(drift.outcome, DriftOutcome::Refused { .. }));
}

proptest! {
    #[test]
    fn a_plan_is_only_ever_carried_out_on_approved_hosts(
        seed: u64, states in proptest::collection::vec(0usize..6, 12), joining in 0usize..4,
    ) {
        let (experiment, mut fleet) = (experiment(|text| text), fleet());
        let approved = planned(&experiment, seed, &fleet);
        for (host, state) in fleet.iter_mut().zip(states) {
            match state {
                0 => host.connected = false,
                1 => host.health = HostHealth::Unhealthy("stuck".into()),
                2 => drop(host.labels.insert("zone".into(), "c".into())),
                3 => host.connected = true,
                _ => {}
            }
        }
        fleet.extend((0..joining).map(|number| host(&format!("db-x{number}"), &[("role", "db"), ("zone", "a"), ("kernel", "7")])));
        let none = BlastRadius::default();
        let drift = drift(&approved, &FleetNow { experiment: &experiment, fleet: &fleet, held: &[], ceilings: &none }).unwrap();
        if let DriftOutcome::Holds { hosts } = drift.outcome {
            let approved: BTreeMap<&str, &BTreeSet<String>> = approved.hosts_of_targets();
            prop_assert_eq!(hosts["web"].len(), 1);
            prop_assert!(hosts["db"].len() >= 2);
            for (target, hosts) in &hosts {
                prop_assert!(hosts.is_subset(approved[target.as_str()]));
            }
        }
    }
}
