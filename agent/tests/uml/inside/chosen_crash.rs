//! What becomes of netem for chosen packets when its worker is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::engine::{Engine, EngineOptions};
use faultline_agent::fingerprint::diff;
use faultline_agent::guard::GuardCommand;
use faultline_agent::kernel::HostKernel;
use faultline_agent::plan::Plan;
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::chosen::{Fault, NAMESPACE, assert_about, fingerprint, load_all, named, to_port};
use super::is_inside;
use super::network::Pair;

const AGENT: &str = env!("CARGO_BIN_EXE_faultline-agent");
const STATE: &str = "/run/state";
/// Set where the worker undoes its fault and ends.
const UNDO: &str = "FAULTLINE_TEST_UNDO";

/// A worker with the fault in place; started by the test below with the name of a namespace.
#[test]
#[ignore = "is started by a test in an emulated machine"]
fn worker() {
    let Some(namespace) = std::env::var_os(NAMESPACE) else { return };
    let guard = GuardCommand { program: AGENT.into(), arguments: vec!["guard".into()] };
    let state = StateFolder::resolve(Some(Path::new(STATE))).unwrap();
    let kernel = Arc::new(HostKernel);
    let engine = Engine::open(EngineOptions { state, kernel, guard: Some(guard), run: None, policy: None }).unwrap();
    let id = engine.new_id();
    let (targets, steps) =
        (vec!["the test's own".into()], Fault::chosen(id.number(), 60, to_port(named(&namespace))).steps);
    let plan = Plan { id: id.clone(), fault: "test".into(), targets, dose: Vec::new(), steps, notes: Vec::new() };
    engine.inject(plan, TimeSpan::from_secs(3600)).unwrap();
    println!("\nGUARD {}", engine.guard().unwrap().pid);
    if std::env::var_os(UNDO).is_some() {
        assert!(engine.undo(&id).verified);
        return;
    }
    loop {
        engine.heartbeat();
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn command(pair: &Pair) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "inside::chosen_crash::worker", "--ignored", "--nocapture"]);
    command.env(NAMESPACE, pair.near_name()).stdout(Stdio::piped());
    command
}

/// Starts a worker and waits until its fault is in place; returns it and the number of its guard.
fn start_worker(pair: &Pair) -> (Child, Pid) {
    let mut worker = command(pair).spawn().unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let guard = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("GUARD ")?.parse().ok()).unwrap();
    (worker, Pid::from_raw(guard))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} within 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

fn records() -> usize {
    let entries = std::fs::read_dir(Path::new(STATE).join("faults")).unwrap().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "json")).count()
}

#[test]
#[ignore = "runs in an emulated machine"]
fn the_kernel_ends_the_delay_and_the_guard_removes_the_rest() {
    if !is_inside() {
        return;
    }
    load_all();
    let pair = Pair::new();
    let before = fingerprint(&pair);
    let (mut worker, guard) = start_worker(&pair);
    assert_about(pair.fastest(0), 60.0, "the fault");
    // With the guard stopped nobody but the kernel can end it.
    kill(guard, Signal::SIGSTOP).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    let took = wait_until("the table goes", || pair.run("nft list tables").trim().is_empty());
    assert_about(pair.fastest(0), 0.0, "without the worker");
    println!("the kernel took the rules down {took:?} after the worker was killed");
    assert!(pair.qdiscs().contains("netem") && records() == 1, "{}", pair.qdiscs());
    kill(guard, Signal::SIGCONT).unwrap();
    let took = wait_until("the guard undoes", || diff(&before, &fingerprint(&pair)).is_empty() && records() == 0);
    println!("the guard removed the rest within {took:?}");

    // Guard and worker both killed: the recovery finds it.
    let (mut worker, guard) = start_worker(&pair);
    kill(guard, Signal::SIGSTOP).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    kill(guard, Signal::SIGKILL).unwrap();
    let gone = || std::fs::read_to_string(format!("/proc/{guard}/stat")).map_or(true, |stat| stat.contains(") Z "));
    wait_until("the guard is gone", gone);
    assert_about(pair.fastest(0), 0.0, "without the worker");
    assert_eq!(records(), 1);
    let output = Command::new(AGENT).args(["recover", "--state", STATE]).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((output.status.code(), records()), (Some(0), 0), "{output:?}");
    assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0]);
}

#[test]
#[ignore = "runs in an emulated machine"]
fn at_whatever_point_worker_or_guard_dies_all_is_as_before() {
    const CRASH_AT: &str = "FAULTLINE_CRASH_AT";
    if !is_inside() {
        return;
    }
    load_all();
    let pair = Pair::new();
    let before = fingerprint(&pair);
    let as_before = || diff(&before, &fingerprint(&pair)).is_empty();
    let injecting = ["after-record", "after-step-0", "after-step-1", "active"];
    let undoing = ["before-undo-1", "after-undo-1", "before-undo-0", "after-undo-0", "before-forget"];
    for point in injecting.iter().chain(&undoing) {
        let mut command = command(&pair);
        command.env(CRASH_AT, point);
        if undoing.contains(point) {
            command.env(UNDO, "1");
        }
        let status = command.stdout(Stdio::null()).status().unwrap();
        assert!(status.to_string().contains("SIGKILL"), "{point}: {status}");
        let took = wait_until("the guard undoes", || as_before() && records() == 0);
        println!("worker killed at {point}: as before {took:?} later");
    }
    for point in undoing {
        let mut worker = command(&pair).env(CRASH_AT, format!("{point}:guard")).spawn().unwrap();
        let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
        let guard: i32 =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("GUARD ")?.parse().ok()).unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
        let stat = format!("/proc/{guard}/stat");
        let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        wait_until("the guard dies", gone);
        assert_eq!(records(), 1, "{point}");
        let output = Command::new(AGENT).args(["recover", "--state", STATE]).output().unwrap();
        assert_eq!((output.status.code(), records()), (Some(0), 0), "{point}: {output:?}");
        assert_eq!(diff(&before, &fingerprint(&pair)), [""; 0], "{point}");
        println!("guard killed at {point} as well: recovered");
    }
}
