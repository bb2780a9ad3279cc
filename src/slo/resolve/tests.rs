use crate::document::Document;
use crate::document::load::load;
use crate::experiment::document::{Signal, Spec};

const SLOTH: &str = r#"
version: prometheus/v1
service: shop
slos:
  - name: orders
    objective: 99.9
    sli: { events: { error_query: 'sum(rate(orders{code=~"5.."}[{{.window}}]))', total_query: 'sum(rate(orders[{{.window}}]))' } }
  - name: ratio
    objective: 99
    sli: { raw: { error_ratio_query: "avg(errors:ratio)" } }
"#;

const DOCUMENT: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: good }
spec:
  hypothesis: It holds.
  slos:
    shop: { file: slo/sloth.yaml, name: orders, prometheus: "http://127.0.0.1:9090" }
  steadyState: [ { slo: shop } ]
  guardrails: [ { slo: shop, burnRate: {} } ]
  budget: { slo: shop, allowance: 1% }
  method: [ observe: 30s, { inject: { fault: { network-latency: { delay: 10ms } }, for: 10m } } ]
"#;

/// What becomes of the document after a change, or every finding as `line:column path: message; hint`.
fn with(from: &str, to: &str) -> Result<Spec, String> {
    assert!(DOCUMENT.contains(from), "{from}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("slo")).unwrap();
    std::fs::write(folder.path().join("slo/sloth.yaml"), SLOTH).unwrap();
    let file = folder.path().join("experiment.yaml");
    std::fs::write(&file, DOCUMENT.replacen(from, to, 1)).unwrap();
    let told = |error: crate::document::load::LoadError| match error {
        crate::document::load::LoadError::Wrong { diagnostics, sources, .. } => diagnostics
            .iter()
            .map(|one| {
                let place = one.locate(&sources);
                let file = place.file.rsplit('/').next().unwrap_or_default().to_owned();
                format!("{file}:{}:{} {one}", place.line, place.column)
            })
            .collect::<Vec<_>>()
            .join("\n"),
        other => other.to_string(),
    };
    match load(&file, &[]).map_err(told)?.remove(0).document {
        Document::Experiment(experiment) => Ok(experiment.spec),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_reference_becomes_a_signal_and_a_bound() {
    let spec = with("It holds.", "It does.").unwrap();
    let said: Vec<String> =
        spec.steady_state.iter().chain(&spec.guardrails).map(|objective| objective.describe()).collect();
    assert_eq!(said, ["shop: errors below 0.1%", "shop: burns at most 1% of its error budget in 10m"]);
    // 1% of 30 days in 10 minutes is 43.2 times as fast as allowed.
    assert_eq!(
        spec.guardrails[0].errors.as_ref().and_then(|errors| errors.below).map(|below| below.to_string()).as_deref(),
        Some("4.32%")
    );
    let Some(Signal::Prometheus(signal)) = spec.signals.get("shop") else { panic!("{:?}", spec.signals) };
    assert_eq!(signal.bad.as_deref(), Some(r#"sum(orders{code=~"5.."})"#));
    assert_eq!(signal.total.as_deref(), Some("sum(orders)"));
    // What is in the journal is read back as it is.
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
    let bound = with(
        "slos:",
        "signals: { customers: { http: { url: 'http://x/', rate: 9/s } } }\n  slos:\n    other: { signal: customers, define: { service: a, target: 99%, window: 7d, bad: b, total: t } }\n",
    );
    assert!(bound.is_ok(), "{bound:?}");
}

#[test]
fn what_is_wrong_is_told_with_its_place_in_its_file() {
    for (from, to, expected) in [
        (
            "name: orders",
            "name: order",
            "experiment.yaml:8:41 spec.slos.shop.name: there is no SLO `order` in the file",
        ),
        ("name: orders, ", "", "experiment.yaml:8:5 spec.slos.shop: the file has several SLOs"),
        ("name: orders", "name: ratio", "sloth.yaml:10:38 slos[1].sli.raw."),
        ("slo/sloth", "slo/slot", "experiment.yaml:8:19 spec.slos.shop.file: cannot read "),
        (", prometheus: \"http://127.0.0.1:9090\"", "", "spec.slos.shop: it is not said which Prometheus server"),
        ("{ slo: shop } ]", "{ slo: shops } ]", "spec.steadyState[0].slo: there is no SLO `shops`"),
        ("{ slo: shop } ]", "{ slo: shop, errors: { below: 1% } } ]", "an SLO says signal and bound itself"),
        ("{ slo: shop } ]", "{ errors: { below: 1% } } ]", "spec.steadyState[0]: `signal` is missing here"),
        ("burnRate: {}", "burnRate: { allowance: 100% }", "spec.guardrails[0].burnRate: it can never be breached"),
        ("allowance: 1%", "allowance: 0%", "spec.budget.allowance: a run that may spend nothing cannot begin"),
        ("budget: { slo: shop", "budget: { slo: shoop", "spec.budget.slo: there is no SLO `shoop`"),
        (
            "file: slo/sloth.yaml, name: orders",
            "define: { service: a, target: 99%, window: 7d, bad: avg(x), total: t }",
            "spec.slos.shop.define.bad: this query cannot be counted by: `avg`",
        ),
    ] {
        let told = with(from, to).expect_err(from);
        assert!(told.contains(expected), "{from} -> {to}:\n{told}");
    }
}
