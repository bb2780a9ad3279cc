//! The undo machinery, aim against measured: from the command to the effect, from the SIGKILL of a worker to its fault
//! undone, and what the idle guard costs. The fault is the pause of a process that this benchmark starts.
//!
//! `cargo bench -p faultline-agent --bench undo`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use faultline_agent::engine::{Engine, EngineOptions};
use faultline_agent::guard::enter_if_asked;
use faultline_agent::identity::ProcessIdentity;
use faultline_agent::plan::{Plan, Step, step};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;

const ROUNDS: usize = 30;
const WORKER: &str = "FAULTLINE_BENCH_WORKER";

fn main() {
    // The guard is this program too, as it is in the real ones.
    if enter_if_asked().is_some() {
        return;
    }
    if let Ok(victim) = std::env::var(WORKER) {
        return work(&victim);
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut effects = Vec::new();
    let mut undone = Vec::new();
    let mut guards = Vec::new();
    for round in 0..ROUNDS {
        let mut victim = Victim(Command::new("sleep").arg("1000").spawn().unwrap());
        let mut worker = Worker::start(scratch.path(), victim.0.id());
        let guard = worker.hear("guard ");
        effects.push(Duration::from_micros(worker.hear("took ").parse().unwrap()));
        assert!(is_stopped(victim.0.id()), "the fault does nothing");
        if round == 0 {
            guards = vec![cost(&guard), {
                std::thread::sleep(Duration::from_secs(10));
                cost(&guard)
            }];
        }
        let began = Instant::now();
        worker.process.kill().unwrap();
        while is_stopped(victim.0.id()) {
            assert!(began.elapsed() < Duration::from_secs(10), "not undone");
            std::thread::sleep(Duration::from_micros(100));
        }
        undone.push(began.elapsed());
        worker.process.wait().unwrap();
        victim.0.kill().unwrap();
    }
    report("command to effect (record durable, process stopped)", Duration::from_millis(10), effects);
    report("SIGKILL of the worker to undone", Duration::from_millis(50), undone);
    let (kilobytes, wakes) = guards[1];
    println!("idle guard, resident: aim 3072 kB, measured {kilobytes} kB, ratio {:.2}", ratio(kilobytes, 3072));
    println!("idle guard, wake-ups in 10 s with a fault in place: aim 0, measured {}", wakes - guards[0].1);
}

/// Injects, tells how long it took, and waits to be killed.
fn work(victim: &str) {
    let state = StateFolder::resolve(None).unwrap();
    let engine = Engine::open(EngineOptions::host(state, None)).unwrap();
    let processes = vec![ProcessIdentity::of(victim.parse().unwrap()).unwrap()];
    let plan = Plan {
        id: engine.new_id(),
        fault: "process-pause".into(),
        targets: Vec::new(),
        dose: Vec::new(),
        steps: vec![Step::ProcessPause(step::ProcessPause { processes, ..Default::default() })],
        notes: Vec::new(),
    };
    println!("guard {}", engine.guard().unwrap());
    let injected = engine.inject(plan, TimeSpan::from_secs(600)).unwrap();
    println!("took {}", injected.took.as_micros());
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Worker {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Worker {
    fn start(state: &Path, victim: u32) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(WORKER, victim.to_string())
            .env(faultline_agent::state::STATE_VARIABLE, state.join("state"))
            .stdout(Stdio::piped())
            // The guard says there what it undid.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn hear(&mut self, what: &str) -> String {
        let line = self.lines.next().unwrap().unwrap();
        line.strip_prefix(what).unwrap().to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().trim().starts_with('T')
}

/// Resident kilobytes, and how often it was woken so far.
fn cost(guard: &str) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{guard}/status")).unwrap();
    let number = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    };
    (number("VmRSS:"), number("voluntary_ctxt_switches:"))
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes of a small process")]
fn ratio(measured: u64, aim: u64) -> f64 {
    measured as f64 / aim as f64
}

fn report(what: &str, aim: Duration, mut times: Vec<Duration>) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{what}: aim {aim:?}, median {median:?} (ratio {:.2}), worst of {} {worst:?}",
        median.as_secs_f64() / aim.as_secs_f64(),
        times.len()
    );
}
