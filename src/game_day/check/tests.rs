use crate::document::load::{self, LoadError};

const GOOD: &str = r#"
apiVersion: faultline.dev/v1
kind: GameDay
metadata: { name: good }
spec:
  title: The shop without its backend
  window: { from: "2026-12-01T10:00", until: "2026-12-01T12:00" }
  timeZone: Europe/Berlin
  roles:
    incident-commander: [ada]
    owners: [grace, linus]
  approvals: { required: 2, of: [owners, ada], expireAfter: 24h }
  checklist:
    - { ask: Is nobody deploying?, of: owners }
  alertmanager: { url: "http://127.0.0.1:9093" }
  experiments:
    - experiment: slow-backend
      hold: before
      expect: { alerts: [ { name: CheckoutSlow, within: 2m, resolvedWithin: 10m } ] }
  abort: { verdicts: [aborted, violated], alerts: [ { matchers: ['severity="page"'] } ] }
"#;

/// Every finding as `severity path: message`.
fn findings(text: &str) -> Vec<String> {
    let diagnostics = match load::from_text("x.yaml", text, &[]) {
        Ok(loaded) => loaded.into_iter().flat_map(|one| one.warnings).collect(),
        Err(LoadError::Wrong { diagnostics, .. }) => diagnostics,
        Err(other) => panic!("{other}"),
    };
    diagnostics.iter().map(|one| format!("{:?} {one}", one.severity)).collect()
}

fn with(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    findings(&GOOD.replace(from, to))
}

#[test]
fn a_good_one_has_no_finding() {
    assert_eq!(findings(GOOD), Vec::<String>::new());
}

#[test]
fn each_mistake_is_found_where_it_is() {
    let cases = [
        ("title: The shop without its backend", "title: ' '", "spec.title: the title is empty"),
        ("\"2026-12-01T12:00\"", "\"2026-12-01T09:00\"", "spec.window.until: the window ends"),
        ("\"2026-12-01T12:00\"", "\"2027-12-01T12:00\"", "spec.window.until: the window is longer"),
        ("\"2026-12-01T12:00\"", "noon", "spec.window.until: `noon` is not a time"),
        ("Europe/Berlin", "Europe/Berln", "spec.timeZone: "),
        ("[ada]", "[]", "spec.roles.incident-commander: nobody is incident-commander"),
        ("[ada]", "[ada, ada]", "spec.roles.incident-commander[1]: `ada` is listed twice"),
        ("[ada]", "[ada lovelace]", "spec.roles.incident-commander[0]: a person's name is one word"),
        ("required: 2", "required: 0", "spec.approvals.required: nobody would have to approve"),
        ("required: 2", "required: 4", "spec.approvals.required: 4 approvals are required, but only 3"),
        ("[owners, ada]", "[owner, ada]", "spec.approvals.of[0]: there is no role and no person `owner`"),
        ("expireAfter: 24h", "expireAfter: 0s", "spec.approvals.expireAfter: an approval would be void"),
        ("of: owners }", "of: owner }", "spec.checklist[0].of: there is no role `owner`"),
        ("Is nobody deploying?", "' '", "spec.checklist[0].ask: the question is empty"),
        ("http://127.0.0.1:9093", "127.0.0.1:9093", "spec.alertmanager.url: "),
        (
            "  alertmanager: { url: \"http://127.0.0.1:9093\" }\n",
            "",
            "spec.experiments[0].expect.alerts: alerts are expected",
        ),
        ("name: CheckoutSlow, ", "", "spec.experiments[0].expect.alerts[0]: no alert is meant"),
        ("within: 2m,", "within: 0s,", "spec.experiments[0].expect.alerts[0].within: this must be longer"),
        ("severity=\"page\"", "severity", "spec.abort.alerts[0].matchers[0]: `severity` is no matcher"),
        ("violated]", "violatd]", "spec.abort.verdicts[1]: "),
        ("hold: before", "hold: befor", "spec.experiments[0].hold: "),
        ("experiment: slow-backend", "experiment: Slow", "spec.experiments[0].experiment: an experiment's name has"),
        ("experiment: slow-backend", "experiment: { hypothesis: x }", "spec.experiments[0].experiment"),
        ("  checklist:", "  checklst:", "spec: there is no `checklst` here"),
    ];
    for (from, to, expected) in cases {
        let found = with(from, to);
        assert!(found.iter().any(|one| one.contains(&format!("Error {expected}"))), "{to}: {found:#?}");
    }
    let unnamed = with("'severity=\"page\"'", "'severity!=\"page\"'");
    assert!(unnamed[0].starts_with("Warning spec.abort.alerts[0]: this means every alert"), "{unnamed:?}");
}

#[test]
fn an_inline_experiment_is_checked_where_it_stands_and_needs_a_name() {
    let inline = "experiment:\n        hypothesis: ' '\n        signals: { shop: { http: { url: \"http://127.0.0.1:1/\", \
                  rate: 50/s } } }\n        steadyState: [ { signal: shp, errors: { below: 1% } } ]\n        method: [ \
                  { observe: 2h }, { inject: { fault: { network-latency: { delay: 100ms } }, for: 1h } } ]";
    let found = with("experiment: slow-backend", inline);
    for expected in [
        "Error spec.experiments[0].experiment.hypothesis: the hypothesis is empty",
        "Error spec.experiments[0].experiment.steadyState[0].signal: there is no signal `shp`",
        "Error spec.experiments[0]: an experiment written out here needs a name",
        "Error spec.window: the experiments take 3 h 0 min at least, the window is 2 h 0 min long",
    ] {
        assert!(found.iter().any(|one| one.contains(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn two_experiments_of_one_name_are_told_apart_or_refused() {
    let found = with("      hold: before", "    - experiment: slow-backend\n      hold: before");
    assert!(found[0].starts_with("Error spec.experiments[1]: it has the same name as experiment 1"), "{found:?}");
    assert!(
        with("      hold: before", "    - experiment: slow-backend\n      name: again\n      hold: before").is_empty()
    );
}
