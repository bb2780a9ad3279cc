//! The sample shop, without a fallback, and a real Prometheus that scrapes it, on free ports of this host.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test uses its own part; one that cannot go on fails, and says what it skipped"
)]

use std::collections::BTreeMap;
use std::path::Path;

use faultline::experiment::document::Service;
use faultline::services::{ServiceContext, Services};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use super::ports::free_port;

/// The shop, running, with the ports of its services.
pub struct ScrapedShop {
    pub services: Services,
    pub front: u16,
    pub backend: u16,
    pub prometheus: u16,
    /// Where `prometheus.yml` is.
    pub folder: tempfile::TempDir,
}

/// Whether there is no Prometheus here, which is said then.
pub fn prometheus_is_missing() -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let missing = !path.split(':').any(|folder| Path::new(folder).join("prometheus").exists());
    if missing {
        println!("skipped: prometheus is not installed (apt-get install prometheus)");
    }
    missing
}

impl ScrapedShop {
    /// Starts it for the test of that name.
    pub async fn start(test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (front, backend, prometheus) = (free_port(), free_port(), free_port());
        // Whoever wants to know of its services asks them.
        let (events, _) = unbounded_channel();
        let mut services = Services::new(ServiceContext {
            run: format!("20260101T000000-{test}"),
            output: folder.path().join("run"),
            scratch: folder.path().join("scratch"),
            program: env!("CARGO_BIN_EXE_faultline").into(),
            events,
        });
        services.start(&shop(folder.path(), front, backend, prometheus)).await.unwrap();
        Self { services, front, backend, prometheus, folder }
    }
}

fn shop(folder: &Path, front: u16, backend: u16, prometheus: u16) -> BTreeMap<String, Service> {
    let configuration = folder.join("prometheus.yml");
    let scrape = format!(
        "global: {{ scrape_interval: 500ms, scrape_timeout: 400ms }}\nscrape_configs:\n\
         - {{ job_name: shop, static_configs: [{{ targets: ['127.0.0.1:{front}'] }}] }}\n"
    );
    std::fs::write(&configuration, scrape).unwrap();
    let document = json!({
        "backend": {
            "run": ["faultline", "sample", "backend", "--port", backend.to_string(), "--work", "0"],
            "ready": {"tcp": format!("127.0.0.1:{backend}")},
        },
        "front": {
            "run": ["faultline", "sample", "front", "--port", front.to_string(), "--timeout", "1s",
                "--backend", format!("127.0.0.1:{backend}")],
            "ready": {"http": format!("http://127.0.0.1:{front}/healthz")},
            "restart": {"after": "100ms"},
            "after": ["backend"],
        },
        "prometheus": {
            "run": ["prometheus", "--config.file", configuration, "--storage.tsdb.path", "data",
                "--web.listen-address", format!("127.0.0.1:{prometheus}"), "--log.level=warn"],
            "ready": {"http": format!("http://127.0.0.1:{prometheus}/-/ready"), "within": "60s"},
            "after": ["front"],
        },
    });
    serde_json::from_value(document).unwrap()
}
