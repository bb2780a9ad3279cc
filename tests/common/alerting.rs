//! A real Prometheus and a real Alertmanager of the test's own, in its folder, ended by their numbers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::fleet::Running;
use super::ports::free_port;

/// Rules on the sample shop's front end: one that fires while it falls back, one that never does, one that always does, one
/// that fires with the first and that nobody expects, and one that fires some seconds later.
const RULES: &str = r#"
groups:
  - name: shop
    interval: 500ms
    rules:
      - { alert: BackendDown, expr: "increase(orders_degraded_total[3s]) > 0", for: 500ms, labels: { severity: page } }
      - { alert: Degraded, expr: "increase(orders_degraded_total[3s]) > 0" }
      - { alert: StillDown, expr: "increase(orders_degraded_total[3s]) > 0", for: 5s }
      - { alert: FrontDown, expr: "absent(orders_total) and vector(0) > 1" }
      - { alert: Watchdog, expr: "vector(1)" }
"#;

/// Prometheus, which scrapes a front end and knows its Alertmanager.
pub struct Alerting {
    /// The port of Alertmanager.
    pub alertmanager: u16,
    _servers: [Running; 2],
}

impl Alerting {
    /// Both, once the alert that always fires has arrived; nothing if they are not installed.
    pub fn start(folder: &Path, front: u16) -> Option<Self> {
        for program in ["prometheus", "prometheus-alertmanager"] {
            if !is_installed(program) {
                println!("skipped: {program} is not installed (apt-get install {program})");
                return None;
            }
        }
        let [prometheus, alertmanager] = [(); 2].map(|()| free_port());
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("rules.yml", RULES);
        write("alertmanager.yml", "route: { receiver: nobody }\nreceivers: [ { name: nobody } ]\n");
        let configuration = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms }}\n\
             rule_files: [rules.yml]\n\
             alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: ['127.0.0.1:{alertmanager}'] }} ] }} ] }}\n\
             scrape_configs: [ {{ job_name: shop, static_configs: [ {{ targets: ['127.0.0.1:{front}'] }} ] }} ]\n"
        );
        write("prometheus.yml", &configuration);
        let address = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
        let of_alertmanager = [
            "--config.file=alertmanager.yml",
            "--storage.path=am",
            &address(alertmanager),
            "--cluster.listen-address=",
        ];
        let of_prometheus = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=tsdb",
            &address(prometheus),
            // Before it has found its Alertmanager an alert is lost, and told again only after this time.
            "--rules.alert.resend-delay=1s",
        ];
        let servers =
            [server(folder, "prometheus-alertmanager", &of_alertmanager), server(folder, "prometheus", &of_prometheus)];
        let begun = Instant::now();
        while !ask(alertmanager, "/api/v2/alerts").is_some_and(|answer| answer.contains("Watchdog")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited 60 s for the alert that always fires");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Self { alertmanager, _servers: servers })
    }
}

fn server(folder: &Path, program: &str, arguments: &[&str]) -> Running {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap())
}

/// What the API of a server on loopback answers.
pub fn ask(port: u16, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').any(|folder| Path::new(folder).join(program).exists())
}
