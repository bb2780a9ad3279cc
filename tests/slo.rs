//! SLOs by reference and error budgets, with the sample shop and a real Prometheus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/scraped_shop.rs"]
mod scraped_shop;

use std::path::Path;
use std::time::{Duration, Instant};

use common::ports::{self, free_port};
use common::{Lab, Ran, is_root};
use faultline::signals::{SignalContext, build};
use scraped_shop::{ScrapedShop, prometheus_is_missing};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

#[test]
fn an_experiment_that_is_judged_by_an_slo_holds() {
    if prometheus_is_missing() {
        return;
    }
    let lab = Lab::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/slo.yaml");
    let planned = lab.faultline(&["plan", file.to_str().unwrap()]).output().unwrap();
    let planned = String::from_utf8_lossy(&planned.stdout).into_owned();
    for part in [
        "checkout: checkout-availability of slos/checkout.yaml, 99% of the events of checkout good over 28d",
        "objective  checkout: errors below 1%",
        "guardrail  checkout: burns at most 0.2% of its error budget in 3m (26.88% of bad events)",
        "bad        (sum(orders_total) or vector(0)) - (sum(orders_total{code!~\"5..\"}) or vector(0))",
        "asked of   http://127.0.0.1:9090",
    ] {
        assert!(planned.contains(part), "{part}\n{planned}");
    }
    let ran = lab.run(&file, &[]);
    ran.expect(0);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    // How much comes is known from a run only, and then how long one must be.
    let needs = |more: &[&str]| {
        let arguments = [&["plan", "--json", file.to_str().unwrap()], more].concat();
        let planned = lab.faultline(&arguments).output().unwrap();
        let planned: serde_json::Value = serde_json::from_slice(&planned.stdout).expect("a plan");
        planned[0]["objectives"][0]["needs"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(needs(&[]), None);
    assert!(needs(&["--baseline", "latest"]).is_some());
    lab.assert_nothing_left();
}

/// Sloth's specification: 95% of the orders, over a window that the document makes an hour.
const SLOTH: &str = r#"
version: prometheus/v1
service: checkout
slos:
  - name: orders
    objective: 95
    sli:
      events:
        error_query: sum(rate(orders_total{code=~"5.."}[{{.window}}])) or vector(0)
        total_query: sum(rate(orders_total[{{.window}}]))
"#;

/// An experiment on the shop; it fails while the backend hangs.
fn experiment(backend: u16, prometheus: u16, more: &str) -> String {
    format!(
        r"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: {{ name: checkout-without-its-backend }}
spec:
  hypothesis: Checkout keeps its promise while the backend hangs.
  slos:
    orders: {{ file: sloth.yaml, window: 1h, prometheus: 'http://127.0.0.1:{prometheus}' }}
  steadyState: [ {{ slo: orders }} ]
{more}
  targets: {{ backend: {{ process: {{ listensOn: {backend} }} }} }}
  method:
    - observe: 5s
    - inject: {{ fault: {{ process-pause: {{}} }}, on: backend, for: 40s }}
  recovery: {{ within: 60s }}
"
    )
}

/// Runs it; the report is JSON, so that no line of it is broken.
fn run(lab: &Lab, text: &str) -> Ran {
    lab.run(&lab.write("experiment.yaml", text), &["--format", "json"])
}

/// One shop without a fallback and its customers, all the time; three runs on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_capped_then_refused_and_a_burn_rate_aborts() {
    if prometheus_is_missing() {
        return;
    }
    if !is_root() {
        println!("skipped: the owner of a port is looked up as root");
        return;
    }
    let lab = Lab::new();
    let shop = ScrapedShop::start("slo").await;
    let (front, backend, prometheus) = (shop.front, shop.backend, shop.prometheus);
    let (stop, context) = (CancellationToken::new(), SignalContext::new(Instant::now()));
    let customers = json!({"http": {"url": format!("http://127.0.0.1:{front}/checkout"), "rate": "100/s"}});
    let source = build("customers", &serde_json::from_value(customers).unwrap(), &context).unwrap();
    let (sink, mut samples) = unbounded_channel();
    let customers = tokio::spawn(source.run(sink, stop.clone()));
    let known = json!({"prometheus": {"url": format!("http://127.0.0.1:{prometheus}"), "interval": "500ms",
        "value": "sum(increase(orders_total[1h]))"}});
    let source = build("known", &serde_json::from_value(known).unwrap(), &context).unwrap();
    let (sink, mut known) = unbounded_channel();
    let asking = CancellationToken::new();
    let asked = tokio::spawn(source.run(sink, asking.clone()));
    let warm = async {
        while let Some(sample) = known.recv().await {
            if matches!(sample.reading, faultline::signals::sample::Reading::Value { value } if value > 500.0) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), warm).await.expect("Prometheus counts the orders");
    asking.cancel();
    asked.await.unwrap();

    lab.write("sloth.yaml", SLOTH);
    let budget = "  budget: { slo: orders, allowance: 10%, reserve: 5% }";
    let capped = run(&lab, &experiment(backend, prometheus, budget));
    capped.expect(5);
    assert!(capped.stdout.contains("spends at most 10% of the 1h budget of checkout"), "{}", capped.stdout);
    assert!(capped.stdout.contains("chaos spent "), "{}", capped.stdout);
    assert_eq!((capped.injected(), capped.undone_and_verified()), (1, 1));
    let spent = lab.faultline(&["budgets", "--json"]).output().unwrap();
    let spent: serde_json::Value = serde_json::from_slice(&spent.stdout).unwrap();
    assert_eq!(spent[0]["service"], "checkout");
    // What came anyway is not in it.
    assert!(spent[0]["share"].as_f64().unwrap() > 0.08, "{spent}");

    // One that asks for all that there could be: what the first one spent is missing.
    let greedy = "  budget: { slo: orders, allowance: 99%, reserve: 1% }";
    let refused = run(&lab, &experiment(backend, prometheus, greedy));
    refused.expect(3);
    assert!(refused.stdout.contains("does not cover this run"), "{}", refused.stdout);
    assert_eq!(refused.injected(), 0);
    // Nothing known is never enough.
    let unknown = run(&lab, &experiment(backend, free_port(), budget));
    unknown.expect(3);
    assert!(unknown.stdout.contains("nothing is known of the error budget"), "{}", unknown.stdout);

    lab.assert_nothing_left();

    // In a state folder of its own, in which it is the newest run however quick those before it were.
    let lab = Lab::new();
    lab.write("sloth.yaml", SLOTH);
    let burning = "  guardrails: [ { slo: orders, burnRate: { allowance: 5%, over: 1m } } ]";
    let aborted = run(&lab, &experiment(backend, prometheus, burning));
    aborted.expect(5);
    assert!(aborted.stdout.contains("burns at most 5% of its error budget in 1m"), "{}", aborted.stdout);
    assert_eq!((aborted.injected(), aborted.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();

    stop.cancel();
    customers.await.unwrap();
    samples.close();
    assert!(shop.services.stop().await.left.is_empty());
}
