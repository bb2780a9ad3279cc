//! The Prometheus source against a real Prometheus that scrapes the sample shop.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "helpers of tests count as no tests to clippy"
)]

#[path = "common/ports.rs"]
mod ports;
#[path = "common/scraped_shop.rs"]
mod scraped_shop;

use std::time::{Duration, Instant};

use faultline::services::Services;
use faultline::signals::sample::{Reading, Sample};
use faultline::signals::{SignalContext, build};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scraped_shop::{ScrapedShop, prometheus_is_missing};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

struct Watched {
    samples: UnboundedReceiver<Sample>,
    task: tokio::task::JoinHandle<()>,
}

fn watch(signal: &Value, epoch: Instant, stop: &CancellationToken) -> Watched {
    let signal = serde_json::from_value(signal.clone()).unwrap();
    let source = build("probe", &signal, &SignalContext::new(epoch)).unwrap();
    let (sink, samples) = unbounded_channel();
    Watched { samples, task: tokio::spawn(source.run(sink, stop.clone())) }
}

impl Watched {
    /// Reads on until one is as wanted; all that came before it are returned too.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Reading) -> bool) -> Vec<Reading> {
        let mut seen = Vec::new();
        let searching = async {
            while let Some(sample) = self.samples.recv().await {
                seen.push(sample.reading);
                if wanted(&seen[seen.len() - 1]) {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(Duration::from_secs(30), searching).await;
        assert_eq!(found, Ok(true), "{what} was not seen in {seen:?}");
        seen
    }
}

fn missing(reading: &Reading, part: &str) -> bool {
    matches!(reading, Reading::Missing { reason } if reason.contains(part))
}

fn kill_main(running: &Services, service: &str) {
    let main = running.processes()[service][0];
    kill(Pid::from_raw(main.pid), Signal::SIGKILL).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn counters_errors_resets_and_gaps_of_a_real_prometheus() {
    if prometheus_is_missing() {
        return;
    }
    let ScrapedShop { services: running, front, prometheus, folder, .. } = ScrapedShop::start("prometheus").await;
    let (epoch, stop) = (Instant::now(), CancellationToken::new());
    let query = |parts: Value| {
        let mut signal = json!({"url": format!("http://127.0.0.1:{prometheus}"), "interval": "1s"});
        signal.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        json!({"prometheus": signal})
    };
    let mut requests =
        watch(&json!({"http": {"url": format!("http://127.0.0.1:{front}/checkout"), "rate": "40/s"}}), epoch, &stop);
    let bad = "orders_total{code=~\"5..\"}";
    let mut counts = watch(&query(json!({"bad": bad, "total": "orders_total"})), epoch, &stop);
    let mut up = watch(&query(json!({"value": "up{job=\"shop\"}"})), epoch, &stop);

    let healthy = |reading: &Reading| matches!(reading, Reading::Counts { bad, total } if *bad == 0.0 && *total > 20.0);
    counts.until("a second of good orders", healthy).await;
    up.until("the target being up", |reading| *reading == Reading::Value { value: 1.0 }).await;

    kill_main(&running, "backend");
    let failing = |reading: &Reading| matches!(reading, Reading::Counts { bad, total } if bad == total && *bad > 20.0);
    counts.until("a second of bad orders only", failing).await;
    requests
        .until(
            "a failed request",
            |reading| matches!(reading, Reading::Request { failure: Some(reason), .. } if reason == "status 502"),
        )
        .await;

    // The counters of the new process begin at 0.
    kill_main(&running, "front");
    let seen =
        counts.until("the reset", |reading| missing(reading, "was reset") || missing(reading, "no series")).await;
    let seen_after = counts.until("orders of the new process", failing).await;
    for reading in seen.iter().chain(&seen_after) {
        assert!(!matches!(reading, Reading::Counts { bad, total } if *bad < 0.0 || *total < *bad), "{reading:?}");
    }

    for (query_text, reason) in [
        ("no_such_metric", "the query has no series"),
        ("0 * up / 0", "is NaN"),
        ("orders_total{code=~\"2..|5..\"}", "has 3 series"),
        ("sum(", "refused the query (bad_data)"),
        ("1", "expected type instant vector"),
    ] {
        let mut source = watch(&query(json!({"value": query_text, "interval": "100ms"})), epoch, &stop);
        source.until(reason, |reading| missing(reading, reason)).await;
    }
    // A Prometheus that does not scrape any more goes on answering with what it saw last.
    let paused = running.processes()["prometheus"][0];
    let config = folder.path().join("prometheus.yml");
    std::fs::write(&config, "global: { scrape_interval: 500ms }\nscrape_configs: []\n").unwrap();
    kill(Pid::from_raw(paused.pid), Signal::SIGHUP).unwrap();
    up.until("the value being missing", |reading| matches!(reading, Reading::Missing { .. })).await;

    stop.cancel();
    for watched in [requests, counts, up] {
        watched.task.await.unwrap();
    }
    assert!(running.stop().await.left.is_empty());
}
