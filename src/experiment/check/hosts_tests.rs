use super::tests::{findings, with};

/// What is found of a target `t` that the method uses, in a spec with more lines.
fn of_target(target: &str, more: &str) -> Vec<String> {
    let lines = format!("targets: {{ t: {target} }}\n  {more}method:");
    let text = with("method:", &lines).replace("for: 30s", "on: t, for: 30s");
    findings(&text).into_iter().map(|found| found.replace("spec.targets.t", "…")).collect()
}

#[test]
fn the_example_of_the_design_is_understood_and_its_pick_explained() {
    let target = "{ hosts: { labels: { role: db } }, process: { listensOn: 5432 }, pick: { percent: 50, atMost: 2 } }";
    assert_eq!(
        of_target(target, ""),
        ["Warning ….pick: beside `hosts` this chooses hosts, and every process that matches on each of them is met"]
    );
}

#[test]
fn hosts_in_every_form_are_understood() {
    for target in [
        "{ hosts: { labels: { role: db }, pick: one } }",
        "{ hosts: { labels: { role: db }, pick: all } }",
        "{ hosts: { names: [db-1, 'db-*'], pick: { percent: 20%, atMost: 3, atLeast: 2 } } }",
        "{ hosts: { names: [db-1, db-2] } }",
        "{ hosts: { names: [db-1, db-2] }, process: { name: x }, pick: { count: 1 } }",
        "{ hosts: { expressions: ['zone in (a, b)', '!spot', tier notin (gold), kernel >= 6.1], pick: { upTo: 30% } } }",
        "{ hosts: { names: ['*'], pick: one }, process: { name: x }, pick: { count: 1 } }",
        "{ hosts: { names: ['*'], pick: one }, cgroup: /a }",
        "{ hosts: { names: ['*'] }, pick: { count: 2 } }",
    ] {
        let expected: &[&str] = match target.contains("[db-1, db-2] }, process") {
            true => &[
                "Warning ….pick: beside `hosts` this chooses hosts, and every process that matches on each of them is met",
            ],
            false => &[],
        };
        assert_eq!(of_target(target, ""), expected, "{target}");
    }
    let more = "blastRadius: { hosts: 20%, perLabel: { zone: 1, role=db: 50% } }\n  sharesHosts: true\n  tolerate: { vanished: 1 }\n  ";
    assert_eq!(of_target("{ hosts: { labels: { role: db } } }", more), Vec::<String>::new());
}

#[test]
fn selectors_that_mean_everybody_or_nobody_are_told_of() {
    for (hosts, expected) in [
        ("{}", "Error ….hosts: this would select every host of the fleet"),
        ("{ pick: one }", "Error ….hosts: this would select every host of the fleet"),
        ("{ names: [] , pick: one }", "Error ….hosts.names: this would select no host"),
        ("{ labels: { role: db } }", "Warning ….hosts: every host that matches is met at once"),
        ("{ labels: { 'a b': c }, pick: one }", "Error ….hosts.labels.\"a b\": `a b` is not the name of a label"),
        (
            "{ names: [db 1], pick: one }",
            "Error ….hosts.names[0]: `db 1` is not the name of a host, such as `db-1`, nor a pattern of such names, such as `db-*`",
        ),
        (
            "{ expressions: [a, 'zone in b'], pick: one }",
            "Error ….hosts.expressions[1]: `zone in b` is no expression about labels: after `in` come values in parentheses and nothing else, as in `zone in (a, b)`",
        ),
        ("{ expressions: [a, b, '!a'], pick: one }", "Error ….hosts.expressions[2]: `!a` and `a` cannot both be true"),
        (
            "{ labels: { role: db }, expressions: ['role notin (db)'], pick: one }",
            "Error ….hosts.expressions[0]: `role notin (db)` and `role in (db)` cannot both be true",
        ),
        (
            "{ names: [db-1], pick: { percent: 50% } }",
            "Warning ….hosts.pick.percent: one host is named, so this is always that one",
        ),
    ] {
        assert_eq!(of_target(&format!("{{ hosts: {hosts} }}"), ""), [expected], "{hosts}");
    }
    assert_eq!(
        of_target("{ hosts: { names: [db-1] }, service: shop }", "services: { shop: { run: [a] } }\n  ")[0],
        "Error ….service: a service is started on the host of the run, and `hosts` means others"
    );
}

#[test]
fn picks_that_cannot_be_are_refused() {
    for (pick, expected) in [
        ("two", "Error ….hosts.pick: `two` is not known here"),
        ("3", "Error ….hosts.pick: `3` is not `one`, `all`, or a mapping such as `{ percent: 20%, atMost: 5 }`"),
        ("{ cuont: 3 }", "Error ….hosts.pick: there is no `cuont` here"),
        ("{ count: 0 }", "Error ….hosts.pick.count: this would pick none"),
        ("{ percent: 0% }", "Error ….hosts.pick.percent: this would pick none"),
        ("{ upTo: 0% }", "Error ….hosts.pick.upTo: this would pick none"),
        ("{ atMost: 0 }", "Error ….hosts.pick.atMost: this would pick none"),
        ("{ upTo: 130% }", "Error ….hosts.pick.upTo: `130%` is not a percentage from 0% to 100%, such as 50% or 0.1%"),
        (
            "{ atLeast: 0 }",
            "Error ….hosts.pick.atLeast: one host at least is always needed: a fault on nobody proves nothing",
        ),
        ("{ count: 3, percent: 5% }", "Error ….hosts.pick.percent: only one of `count`, `percent` can be given"),
        ("{ count: 3, upTo: 5% }", "Error ….hosts.pick.upTo: only one of `count`, `upTo` can be given"),
        ("{ count: 2, atLeast: 3 }", "Error ….hosts.pick.atLeast: at least 3 cannot be had of `count: 2`"),
        (
            "{ percent: 9%, atMost: 2, atLeast: 3 }",
            "Error ….hosts.pick.atLeast: at least 3 cannot be had of `atMost: 2`",
        ),
        ("{ count: 3, atMost: 2 }", "Error ….hosts.pick.count: `atMost: 2` never lets 3 through"),
        ("{ atLeast: 4 }", "Error ….hosts.pick.atLeast: at least 4 are needed, and only 3 named"),
    ] {
        let target = format!("{{ hosts: {{ names: [db-1, db-2, db-3], pick: {pick} }} }}");
        assert_eq!(of_target(&target, ""), [expected], "{pick}");
    }
    assert_eq!(
        of_target("{ hosts: { names: ['*'], pick: one }, pick: { count: 1 } }", ""),
        ["Error ….pick: `pick` chooses among processes, and this target has only one thing to choose"]
    );
}

#[test]
fn ceilings_that_let_nobody_through_are_refused() {
    let target = "{ hosts: { labels: { role: db }, pick: { count: 5, atLeast: 4 } } }";
    for (more, expected) in [
        (
            "blastRadius: { hosts: 0 }",
            "Error spec.blastRadius.hosts: nothing gets below this ceiling, so no fault could be injected",
        ),
        (
            "blastRadius: { hosts: 0% }",
            "Error spec.blastRadius.hosts: nothing gets below this ceiling, so no fault could be injected",
        ),
        (
            "blastRadius: { perLabel: { zone: 0 } }",
            "Error spec.blastRadius.perLabel.zone: nothing gets below this ceiling",
        ),
        (
            "blastRadius: { hosts: many }",
            "Error spec.blastRadius.hosts: `many` is neither a number of hosts, such as 3, nor a share, such as 20%",
        ),
        (
            "blastRadius: { perLabel: { role=: 1 } }",
            "Error spec.blastRadius.perLabel.\"role=\": `role=` is neither a label, such as `zone`, nor a label with its value, such as `role=db`",
        ),
        (
            "blastRadius: { hosts: 3 }",
            "Error ….hosts.pick.atLeast: at least 4 are needed, and `blastRadius.hosts` allows fewer",
        ),
        (
            "blastRadius: { perLabel: { role=db: 2 } }",
            "Error ….hosts.pick.atLeast: at least 4 are needed, and `blastRadius.perLabel` allows 2 with `role=db`",
        ),
        (
            "blastRadius: { perLabel: { role: 2 } }",
            "Error ….hosts.pick.atLeast: at least 4 are needed, and `blastRadius.perLabel` allows 2 with `role`",
        ),
    ] {
        assert_eq!(of_target(target, &format!("{more}\n  ")), [expected], "{more}");
    }
}

#[test]
fn what_is_about_hosts_without_hosts_is_told_of() {
    let more = "blastRadius: { hosts: 1 }\n  sharesHosts: true\n  tolerate: { vanished: 1 }\n  ";
    let expected = ["blastRadius", "sharesHosts", "tolerate"]
        .map(|key| format!("Warning spec.{key}: no target has `hosts`, so this is about nothing"));
    assert_eq!(of_target("{ process: { name: x } }", more), expected);
}

#[test]
fn a_fault_that_says_no_hosts_beside_others_that_do_is_refused() {
    let targets = "targets: { t: { hosts: { names: [db-1] } }, here: { process: { name: x } } }\n  method:";
    let text = with("method:", targets).replace("for: 30s", "on: t, for: 30s")
        + "    - inject: { fault: { process-pause: {} }, on: here, for: 1s }\n    - inject: { fault: { network-latency: { delay: 1ms } }, for: 1s }\n";
    let found = findings(&text);
    assert!(
        found.contains(
            &"Error spec.method[2].inject.on: other faults are on hosts of a fleet, and this one says no `hosts`"
                .into()
        ),
        "{found:#?}"
    );
    assert!(
        found.contains(
            &"Error spec.method[3].inject: other faults are on hosts of a fleet, and this one says no `hosts`".into()
        ),
        "{found:#?}"
    );
}
