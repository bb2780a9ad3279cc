//! What a run costs while nothing happens: one fault in place, one signal a second. Aim against measured.
//!
//! `cargo bench --bench idle`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EXPERIMENT: &str = "
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: idle }
spec:
  hypothesis: While a process sleeps, stopping it is noticed by nobody.
  services:
    sleeper: { run: [sleep, '1000'] }
  signals:
    fine: { exec: { run: ['true'], interval: 1s } }
  steadyState:
    - { signal: fine, errors: { below: 50% } }
  targets:
    sleeper: { service: sleeper }
  method:
    - observe: 8s
    - inject: { fault: { process-pause: { by: signal } }, on: sleeper, for: 30s }
  recovery: { within: 20s }
";
const AIM: u64 = 12 * 1024;

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("idle.yaml");
    fs::write(&file, EXPERIMENT).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_faultline"))
        .arg("run")
        .arg(&file)
        .env("FAULTLINE_STATE", scratch.path().join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = Run(run);
    await_record(&scratch.path().join("state/faults"));
    std::thread::sleep(Duration::from_secs(2));
    let before = run.switches();
    std::thread::sleep(Duration::from_secs(10));
    let wakes = (run.switches() - before) / 10;
    let resident = run.resident();
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a small process")]
    let ratio = resident as f64 / AIM as f64;
    println!("a run that waits, resident: aim {AIM} kB, measured {resident} kB, ratio {ratio:.2}");
    println!("a run that waits, wake-ups a second of all its threads, one signal a second: measured {wakes}");
    let status = run.0.wait().unwrap();
    assert!(status.success(), "the run ended by {status}");
}

/// Waits until the fault is in place.
fn await_record(folder: &std::path::Path) {
    let begun = Instant::now();
    let is_record = |entry: fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "json");
    while !fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_record)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no fault was injected");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Run(Child);

impl Run {
    fn resident(&self) -> u64 {
        number(&format!("/proc/{}/status", self.0.id()), "VmRSS:")
    }

    fn switches(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap().flatten();
        threads
            .map(|thread| number(&thread.path().join("status").display().to_string(), "voluntary_ctxt_switches:"))
            .sum()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number behind a name; 0 for a thread that has just ended.
fn number(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}
