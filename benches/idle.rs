//! What a run costs while nothing happens: one fault in place, one signal a second. What an agent costs its host while it
//! is connected and nothing is asked of it. Aim against measured.
//!
//! `cargo build --release -p faultline-agent && cargo bench --bench idle`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]

#[allow(dead_code, unreachable_pub, reason = "parts of the tests are used here")]
#[path = "../tests/fleet/real_agent.rs"]
mod real_agent;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline::fleet::registry::Registry;
use faultline::fleet::server;
use tokio_util::sync::CancellationToken;

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
    agent();
    run();
}

/// An agent that is connected to its controller.
fn agent() {
    let Some(program) = real_agent::program() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let office = real_agent::Office::open();
    let registry = Arc::new(Registry::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let state = office.enrolled("idle", listener.local_addr().unwrap().port(), faultline::authority::AGENT_LIFE);
    runtime.spawn(server::serve(listener, office.gate(), Arc::clone(&registry), CancellationToken::new()));
    let agent = real_agent::RealAgent::start(&program, &state);
    let began = Instant::now();
    while registry.connected() == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the agent does not connect");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Past its start, and until the threads that it took are given back.
    std::thread::sleep(Duration::from_secs(5));
    let guard = child_of(agent.0.id());
    let (before, since) = (ticks(agent.0.id()) + ticks(guard), Instant::now());
    std::thread::sleep(Duration::from_secs(90));
    #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
    let used = (ticks(agent.0.id()) + ticks(guard) - before) as f64 / 100.0;
    let share = used / since.elapsed().as_secs_f64() * 100.0;
    let of = |pid: u32| number(&format!("/proc/{pid}/status"), "VmRSS:");
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of a small process")]
    let ratio = |measured: u64| measured as f64 / AIM as f64;
    let (own, guards) = (of(agent.0.id()), of(guard));
    println!("an idle agent, resident: aim {AIM} kB, measured {own} kB, ratio {:.2}", ratio(own));
    println!("  its guard beside it, resident: {guards} kB, most of it the same pages of the program");
    println!("an idle agent and its guard, of one core: aim 0.1 %, measured {share:.3} %, ratio {:.2}", share / 0.1);
}

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

/// The ticks, a hundred a second, that a process has used (proc_pid_stat(5), fields 14 and 15).
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// A run that waits.
fn run() {
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
