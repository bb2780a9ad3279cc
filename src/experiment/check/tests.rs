use crate::document::load::{self, LoadError};

const GOOD: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: good }
spec:
  hypothesis: It holds.
  signals:
    shop: { http: { url: "http://127.0.0.1:8080/", rate: 50/s } }
  steadyState:
    - { signal: shop, errors: { below: 1% } }
  method:
    - observe: 30s
    - inject: { fault: { FAULT }, for: 30s }
"#;

/// A document that is right but for one change.
pub(super) fn with(from: &str, to: &str) -> String {
    let good = GOOD.replace("FAULT", &a_fault());
    assert!(good.contains(from), "{from}");
    good.replace(from, to)
}

/// The first example of the catalogue, in one line.
fn a_fault() -> String {
    let example = faultline_agent::fault::CATALOGUE[0].example;
    if example.is_empty() { "network-latency: {}".into() } else { example.trim().replace('\n', ", ") }
}

/// Every finding as `severity path: message`.
pub(super) fn findings(text: &str) -> Vec<String> {
    let diagnostics = match load::from_text("x.yaml", text, &[]) {
        Ok(loaded) => loaded.into_iter().flat_map(|one| one.warnings).collect(),
        Err(LoadError::Wrong { diagnostics, .. }) => diagnostics,
        Err(other) => panic!("{other}"),
    };
    diagnostics.iter().map(|one| format!("{:?} {one}", one.severity)).collect()
}

#[test]
fn a_good_document_has_no_findings() {
    assert_eq!(findings(&with("It holds.", "It does.")), Vec::<String>::new());
}

/// One change of a good document, and what it makes of it.
fn finds(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(findings(&with(from, to)), expected, "{from} -> {to}");
}

#[test]
fn objectives_that_bound_nothing_or_the_impossible_are_refused() {
    let objective = "errors: { below: 1% }";
    for (to, expected) in [
        ("latency: { quantile: 1, below: 1s }", "Error spec.steadyState[0].latency.quantile: 1 is not between 0 and 1"),
        (
            "latency: { quantile: .nan, below: 1s }",
            "Error spec.steadyState[0].latency.quantile: `.nan` is not a number",
        ),
        (
            "latency: { quantile: 0.5, below: 0 }",
            "Error spec.steadyState[0].latency.below: this must be longer than nothing",
        ),
        ("errors: { below: 0% }", "Error spec.steadyState[0].errors.below: nothing is below 0%"),
        (
            "errors: { below: 101% }",
            "Error spec.steadyState[0].errors.below: `101%` is not a percentage from 0% to 100%, such as 50% or 0.1%",
        ),
        ("errors: { below: 100% }", "Warning spec.steadyState[0].errors.below: everything but all is below 100%"),
        ("traffic: { atLeast: 80% }", "Error spec.steadyState[0].traffic.atLeast: 80% of what?"),
        (
            "traffic: { atLeast: 8/s, of: baseline }",
            "Error spec.steadyState[0].traffic.atLeast: `of` needs a percentage, and 8/s is a rate",
        ),
        (
            "traffic: { atLeast: 80/s }",
            "Error spec.steadyState[0].traffic.atLeast: `shop` sends only 50/s, so 80/s cannot be served",
        ),
        (
            "traffic: { atLeast: 80 }",
            "Error spec.steadyState[0].traffic.atLeast: `80` is neither a rate, such as 50/s, nor a percentage, such as 80%",
        ),
        (
            "saturation: { resource: cpu, below: 50% }",
            "Error spec.steadyState[0].saturation: `shop` is an HTTP prober, which has no saturation",
        ),
        ("value: {}", "Error spec.steadyState[0].value: `below` or `atLeast` is missing"),
        ("errors: { atMost: +1pp }", "Error spec.steadyState[0].errors.atMost: +1pp over what?"),
        ("errors: { below: 1%, of: baseline }", "Error spec.steadyState[0].errors.of: `below` stands for itself"),
        (
            "errors: { below: 1%, atMost: +1pp, of: baseline }",
            "Error spec.steadyState[0].errors.atMost: `below` and `atMost` are two bounds",
        ),
        ("errors: { atMost: +20ms, of: baseline }", "Error spec.steadyState[0].errors.atMost: errors are no time"),
        (
            "latency: { quantile: 0.9, atMost: +1pp, of: baseline }",
            "Error spec.steadyState[0].latency.atMost: a latency is no percentage",
        ),
        (
            "errors: { atMost: 1%, of: baseline }",
            "Error spec.steadyState[0].errors.atMost: `1%` is not what is allowed on top of the reference, such as +10%, +0.5pp or +20ms",
        ),
        (
            "errors: { atMost: +1pp, of: { control: shop } }",
            "Error spec.steadyState[0].errors.of.control: a signal is no control of itself",
        ),
    ] {
        let found = findings(&with(objective, to));
        assert!(found.contains(&expected.to_owned()), "{to}: {found:#?}");
    }
    finds(&format!(", {objective}"), "", &["Error spec.steadyState[0]: this objective bounds nothing"]);
    finds(
        objective,
        "errors: { below: 1% }, latency: { quantile: 0.5, below: 1s }",
        &["Error spec.steadyState[0].errors: an objective has one bound, here are `latency`, `errors`"],
    );
}

#[test]
fn a_method_needs_a_baseline_and_a_fault() {
    finds(
        "    - observe: 30s\n",
        "",
        &[
            "Error spec.method[0]: the first step must be `observe`: without a baseline nobody knows whether the system was steady",
        ],
    );
    let inject = format!("    - inject: {{ fault: {{ {} }}, for: 30s }}\n", a_fault());
    finds(&inject, "", &["Error spec.method: no fault is injected, so nothing would be tested"]);
    finds("for: 30s", "for: 0s", &["Error spec.method[1].inject.for: this must be longer than nothing"]);
    finds("for: 30s", "for: 25h", &["Error spec.method[1].inject.for: `1d1h` is too long"]);
    finds("for: 30s", "on: db, for: 30s", &["Error spec.method[1].inject.on: there is no target `db`"]);
}

#[test]
fn services_that_wait_for_each_other_are_refused() {
    let services = "services:\n    a: { run: [a], after: [c] }\n    b: { run: [b], after: [a] }\n    c: { run: [c], after: [b] }\n  signals:";
    finds("signals:", services, &["Error spec.services.a.after: these services wait for each other: a → c → b → a"]);
    finds(
        "signals:",
        "services: { a: { run: [], after: [b] } }\n  signals:",
        &[
            "Error spec.services.a.run: a command needs a program",
            "Error spec.services.a.after[0]: there is no service `b`",
        ],
    );
}

#[test]
fn targets_are_one_thing_and_no_surprise() {
    for (target, expected) in [
        ("{ process: {} }", "Error spec.targets.t.process: this would select every process"),
        (
            "{ process: { pid: 1 } }",
            "Error spec.targets.t.process.pid: no fault may touch process 1: the host would go down with it",
        ),
        ("{ service: shop }", "Error spec.targets.t.service: there is no service `shop`"),
        (
            "{ cgroup: /a, networkNamespace: b }",
            "Error spec.targets.t.networkNamespace: a target is one kind of thing, here are `cgroup`, `networkNamespace`",
        ),
        ("{ cgroup: /a/../b }", "Error spec.targets.t.cgroup: `/a/../b` is not the path of a cgroup"),
        ("{ process: { name: x }, pick: { count: 0 } }", "Error spec.targets.t.pick.count: this would pick none"),
        (
            "{ pick: { count: 1 } }",
            "Error spec.targets.t.pick: `pick` chooses among processes, and this target has only one thing to choose",
        ),
        (
            "{ process: { commandLine: 'a(b' } }",
            "Error spec.targets.t.process.commandLine: `a(b` is not a regular expression: unclosed group",
        ),
    ] {
        let text =
            with("method:", &format!("targets: {{ t: {target} }}\n  method:")).replace("for: 30s", "on: t, for: 30s");
        assert_eq!(findings(&text), [expected], "{target}");
    }
}

#[test]
fn too_little_data_to_decide_is_said_beforehand() {
    let found = findings(&with("below: 1%", "below: 0.1%"));
    assert_eq!(
        found,
        [
            "Warning spec.steadyState[0].errors: the baseline of 30s brings 1500 events, and even without a bad one about \
          3833 are needed: this stays inconclusive"
        ]
    );
}

#[test]
fn too_little_to_compare_is_said_beforehand() {
    let relative =
        |objective: &str, rate: &str| findings(&with("errors: { below: 1% }", objective).replace("rate: 50/s", rate));
    let errors = "errors: { atMost: +1pp, of: baseline }";
    assert_eq!(relative(errors, "rate: 50/s"), Vec::<String>::new());
    let found = relative(errors, "rate: 2/s");
    assert_eq!(found.len(), 1, "{found:?}");
    insta::assert_snapshot!(found[0], @"Warning spec.steadyState[0].errors: the fault of 30s brings 60 events and its reference of 30s brings 60, and even if nothing gets worse about 470 of each are needed: this stays inconclusive");
    let latency = "latency: { quantile: 0.99, atMost: +10%, of: baseline }";
    let found = relative(latency, "rate: 2/s");
    assert!(found.len() == 1 && found[0].starts_with("Warning spec.steadyState[0].latency"), "{found:?}");
    assert_eq!(relative("latency: { quantile: 0.5, atMost: +10%, of: baseline }", "rate: 50/s"), Vec::<String>::new());
}

#[test]
fn one_wrong_value_does_not_hide_the_next() {
    let text = with("rate: 50/s", "rate: 50").replace("below: 1%", "bellow: 1%").replace("observe: 30s", "observe: 30");
    assert_eq!(
        findings(&text),
        [
            "Error spec.signals.shop.http.rate: `50` is not a rate with its unit of time, such as 50/s or 600/m (up to 1000000/s)",
            "Error spec.steadyState[0].errors: there is no `bellow` here",
            "Error spec.method[0].observe: `30` is not a duration with its unit, such as 100ms, 30s or 1m30s (up to 366 days)",
        ]
    );
}

#[test]
fn names_are_fit_for_paths_and_kubernetes() {
    for name in ["Good", "a_b", "-a", "a-", "", "../x", &"x".repeat(64)] {
        let found = findings(&with("name: good", &format!("name: {name:?}")));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].starts_with("Error metadata.name: an experiment's name has"), "{found:?}");
    }
}
