//! The fifteen known ways in which fault injectors have reported success for runs that proved nothing, or left their
//! fault in place, rebuilt as experiments. None may exit 0; none may leave anything behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Lab, experiment, injected, shop};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CHECKOUT: &str = r#"
  signals:
    checkout: { http: { url: "http://127.0.0.1:8080/checkout", rate: 200/s, timeout: 2s } }
  recovery: { within: 15s }
"#;
const ERRORS_BELOW_1: &str = "  steadyState: [ { signal: checkout, errors: { below: 1% } } ]\n";

fn latency(lasts: &str) -> String {
    format!(
        "  method:\n    - observe: 5s\n    - inject: {{ fault: {{ network-latency: {{ delay: 100ms, peers: {{ ports: [8081] }} }} }}, for: {lasts} }}\n    - observe: 3s\n"
    )
}

#[test]
fn row_01_not_steady_before_the_method() {
    let lab = Lab::new();
    let broken = shop("", "")
        .replace("--port, \"8080\", --backend, \"127.0.0.1:8081\"", "--port, \"8080\", --backend, \"127.0.0.1:9\"");
    let ran = lab.run_text(&experiment("row-01", &(broken + CHECKOUT + ERRORS_BELOW_1 + &latency("4s"))));
    ran.expect(3);
    assert_eq!(ran.injected(), 0, "nothing is injected into a system that is not steady");
    lab.assert_nothing_left();
}

#[test]
fn row_02_false_during_the_fault_and_healthy_afterwards() {
    let lab = Lab::new();
    let ran = lab.run_text(&experiment("row-02", &(shop("", "") + CHECKOUT + ERRORS_BELOW_1 + &latency("4s"))));
    ran.expect(1);
    lab.assert_nothing_left();
}

#[test]
fn row_03_the_injection_fails() {
    let lab = Lab::new();
    let method = latency("4s").replace("delay: 100ms,", "delay: 100ms, interface: absent0,");
    let ran = lab.run_text(&experiment("row-03", &(shop(", --fallback", "") + CHECKOUT + ERRORS_BELOW_1 + &method)));
    assert!([3, 6].contains(&ran.code), "{}", ran.stderr);
    assert_eq!(ran.injected(), 0);
    lab.assert_nothing_left();
}

#[test]
fn row_04_a_guardrail_trips_and_the_fault_is_undone() {
    let lab = Lab::new();
    let guardrail = "  guardrails: [ { signal: checkout, errors: { below: 5% } } ]\n";
    let ran =
        lab.run_text(&experiment("row-04", &(shop("", "") + CHECKOUT + ERRORS_BELOW_1 + guardrail + &latency("60s"))));
    ran.expect(5);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();
}

#[test]
fn row_05_a_safeguard_of_its_own_trips() {
    let lab = Lab::new();
    let alarm = lab.path().join("alarm");
    let signals = CHECKOUT.replace(
        "  recovery",
        &format!(
            "    safe: {{ exec: {{ run: [test, \"!\", -e, {}], interval: 100ms }} }}\n  recovery",
            alarm.display()
        ),
    );
    let guardrail = "  guardrails: [ { signal: safe, errors: { below: 50% } } ]\n";
    let text =
        experiment("row-05", &(shop(", --fallback", "") + &signals + ERRORS_BELOW_1 + guardrail + &latency("60s")));
    let file = lab.write("experiment.yaml", &text);
    let run = lab.start(&file, &[]);
    lab.wait_for("the injection", injected);
    std::fs::write(&alarm, "").unwrap();
    let ran = lab.ran(&run.wait_with_output().unwrap());
    ran.expect(5);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();
}

#[test]
fn row_06_interrupted_and_killed() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGKILL, -1)] {
        let lab = Lab::new();
        let text = experiment("row-06", &(shop(", --fallback", "") + CHECKOUT + ERRORS_BELOW_1 + &latency("60s")));
        let file = lab.write("experiment.yaml", &text);
        let run = lab.start(&file, &[]);
        lab.wait_for("the injection", injected);
        signal_to(&run, signal);
        let ran = lab.ran(&run.wait_with_output().unwrap());
        ran.expect(code);
        // The guard and the kernel finish what the killed process could not.
        lab.wait_until("everything to be gone", || lab.processes().is_empty());
        // Nobody was left to remove the services' scratch folder: the next start, or this, does.
        assert!(lab.faultline(&["recover"]).output().unwrap().status.success());
        lab.assert_nothing_left();
        assert!(injected(&lab.journal()), "the journal holds what happened until the end");
        let report = lab.faultline(&["report", "latest", "--format", "json"]).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_ne!(report["verdict"], "held");
        assert_eq!(report["exitCode"], if code == 130 { 130 } else { 7 });
    }
}

#[test]
fn row_07_not_a_number() {
    let prometheus = Prometheus::answering(|_| vector("NaN"));
    let ran = against_prometheus("row-07", &prometheus);
    assert!([3, 4].contains(&ran.0), "{}", ran.1);
}

#[test]
fn row_08_a_bad_objective_among_good_ones() {
    let lab = Lab::new();
    let objectives = "  steadyState:\n    - { signal: checkout, errors: { below: 1% } }\n    - { signal: checkout, latency: { quantile: 0.99, below: 100ms } }\n";
    let ran = lab.run_text(&experiment("row-08", &(shop(", --fallback", "") + CHECKOUT + objectives + &latency("4s"))));
    ran.expect(1);
    lab.assert_nothing_left();
}

#[test]
fn row_09_documents_that_cannot_be_read() {
    let lab = Lab::new();
    for text in ["", "kind: [", "---\n---\n", "hello", "apiVersion: faultline.dev/v2\nkind: Experiment\n"] {
        lab.run_text(text).expect(2);
    }
    let absent = lab.run(&lab.path().join("absent.yaml"), &[]);
    absent.expect(2);
    lab.assert_nothing_left();
}

#[test]
fn row_10_an_error_in_the_middle_undoes_what_came_before() {
    let lab = Lab::new();
    let victim = "    victim: { run: [sleep, \"4711\"] }\n";
    let method = "  targets: { victim: { service: victim } }\n  method:\n    - observe: 5s\n    - inject: { fault: { network-latency: { delay: 20ms, peers: { ports: [8081] } } }, for: 5s }\n    - inject: { fault: { process-pause: {} }, on: victim, for: 2s }\n";
    let text = experiment("row-10", &(shop(", --fallback", "") + victim + CHECKOUT + ERRORS_BELOW_1 + method));
    let file = lab.write("experiment.yaml", &text);
    let run = lab.start(&file, &[]);
    lab.wait_for("the first injection", injected);
    // The second target vanishes before its turn.
    let victim = lab.processes().into_iter().find(|line| line.ends_with(": sleep 4711 ")).unwrap();
    kill(Pid::from_raw(victim.split(':').next().unwrap().parse().unwrap()), Signal::SIGKILL).unwrap();
    let ran = lab.ran(&run.wait_with_output().unwrap());
    ran.expect(6);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();
}

#[test]
fn row_11_no_objective_at_all() {
    let lab = Lab::new();
    let none = "  steadyState: []\n";
    lab.run_text(&experiment("row-11", &(shop(", --fallback", "") + CHECKOUT + none + &latency("4s")))).expect(2);
    lab.assert_nothing_left();
}

#[test]
fn row_12_a_value_that_is_no_number() {
    let lab = Lab::new();
    let signals = "  signals:\n    level: { exec: { run: [echo, healthy], read: number, interval: 100ms } }\n  steadyState: [ { signal: level, value: { below: 5 } } ]\n";
    let ran = lab.run_text(&experiment("row-12", &(shop("", "") + signals + &latency("4s"))));
    assert!([3, 4].contains(&ran.code), "{}", ran.stderr);
    lab.assert_nothing_left();
}

#[test]
fn row_13_several_continuous_signals_do_not_share_a_verdict() {
    let lab = Lab::new();
    let signals = CHECKOUT.replace(
        "  recovery",
        "    health: { http: { url: \"http://127.0.0.1:8080/healthz\", rate: 200/s } }\n  recovery",
    );
    let objectives = "  steadyState:\n    - { signal: checkout, errors: { below: 1% } }\n    - { signal: health, errors: { below: 1% } }\n";
    let ran = lab.run_text(&experiment("row-13", &(shop("", "") + &signals + objectives + &latency("5s"))));
    ran.expect(1);
    lab.assert_nothing_left();
}

#[test]
fn row_14_ended_before_a_single_measurement_and_null_answers() {
    let lab = Lab::new();
    let signals = "  signals:\n    slow: { exec: { run: [\"true\"], interval: 1h } }\n  steadyState: [ { signal: slow, errors: { below: 5% } } ]\n";
    let ran = lab.run_text(&experiment("row-14", &(shop("", "") + signals + &latency("2s"))));
    assert!([2, 3, 4].contains(&ran.code), "{}", ran.stderr);
    lab.assert_nothing_left();

    let prometheus = Prometheus::answering(|_| r#"{"status":"success","data":null}"#.into());
    let ran = against_prometheus("row-14-null", &prometheus);
    assert!([3, 4].contains(&ran.0), "{}", ran.1);
}

#[test]
fn row_15_a_failed_run_is_not_outvoted_by_a_good_one() {
    let lab = Lab::new();
    let bad = experiment("row-15-bad", &(shop("", "") + CHECKOUT + ERRORS_BELOW_1 + &latency("4s")));
    let good = experiment("row-15-good", &(shop(", --fallback", "") + CHECKOUT + ERRORS_BELOW_1 + &latency("4s")));
    let ran = lab.run_text(&format!("{bad}---\n{good}"));
    ran.expect(1);
    lab.assert_nothing_left();
}

/// Bad events whose source falls silent while the fault acts: the objective was fine until then.
#[test]
fn a_source_that_falls_silent_during_the_fault_is_no_data() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let prometheus = Prometheus::answering(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number < 60 {
            vector("1")
        } else {
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.into()
        }
    });
    let ran = against_prometheus("silent", &prometheus);
    assert!([3, 4, 5].contains(&ran.0), "{}", ran.1);
}

fn signal_to(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// A value objective on a made-up Prometheus, while a process of the test's own is paused.
fn against_prometheus(name: &str, prometheus: &Prometheus) -> (i32, String) {
    let lab = Lab::new();
    let mut victim = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    let parts = format!(
        "  signals: {{ level: {{ prometheus: {{ url: \"http://127.0.0.1:{}\", value: level, interval: 100ms }} }} }}\n  steadyState: [ {{ signal: level, value: {{ below: 5 }} }} ]\n  targets: {{ victim: {{ process: {{ pid: {} }} }} }}\n  method:\n    - observe: 3s\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: victim, for: 5s }}\n    - observe: 2s\n  recovery: {{ within: 5s }}\n",
        prometheus.port,
        victim.id()
    );
    let ran = lab.run_text(&experiment(name, &parts));
    victim.kill().unwrap();
    victim.wait().unwrap();
    lab.assert_nothing_left();
    (ran.code, ran.stderr)
}

fn vector(value: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{now},"{value}"]}}]}}}}"#
    )
}

/// A server that answers every request with what a function says, as Prometheus would.
struct Prometheus {
    port: u16,
}

impl Prometheus {
    fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { break };
                let mut request = [0; 4096];
                let Ok(length) = stream.read(&mut request) else { continue };
                let body = answer(&String::from_utf8_lossy(&request[..length]));
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { port }
    }
}
