use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::engine::{Engine, EngineOptions};
use faultline_agent::guard::GuardCommand;
use faultline_agent::identity::FaultId;
use faultline_agent::kernel::HostKernel;
use faultline_agent::plan::step::{InodeFill, InodeGoal, Netem};
use faultline_agent::plan::{Plan, Step};
use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;

use super::netem::{hold, load_netem};
use super::network::{Pair, run};
use super::{is_inside, load};

const AGENT: &str = env!("CARGO_BIN_EXE_faultline-agent");
const STATE: &str = "/run/scratch/state";
const DISK: &str = "/run/disk";

fn engine() -> Engine {
    let guard = GuardCommand { program: AGENT.into(), arguments: vec!["guard".into()] };
    let state = StateFolder::resolve(Some(Path::new(STATE))).unwrap();
    Engine::open(EngineOptions { state, kernel: Arc::new(HostKernel), guard: Some(guard), run: None, policy: None })
        .unwrap()
}

fn plan(id: FaultId, step: Step) -> Plan {
    let targets = vec!["the test's own".into()];
    Plan { id, fault: "test".into(), targets, dose: Vec::new(), steps: vec![step], notes: Vec::new() }
}

/// Runs the agent's own command line, and tells its exit code and what it printed.
fn agent(command: &str) -> (i32, String) {
    let output = Command::new(AGENT).args([command, "--state", STATE]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn records() -> usize {
    let entries = std::fs::read_dir(Path::new(STATE).join("faults")).unwrap().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "json")).count()
}

fn scratch_folders() -> usize {
    let entries = std::fs::read_dir(DISK).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".faultline-")).count()
}

/// The first boot: two faults of which one outlives the power cut, and nobody to undo them.
#[test]
#[ignore = "runs in user-mode Linux"]
fn inject_and_wait_for_the_power_cut() {
    if !is_inside() {
        return;
    }
    load(&["drivers/block/loop"]);
    load_netem();
    let pair = Pair::new();
    run(&format!("mkdir {DISK} && mount -o loop /run/scratch/disk {DISK}"));
    let engine = engine();
    let netem = Netem::new(&FaultId::from_number(1), pair.near(), "v0", hold(20));
    let lasts = TimeSpan::from_secs(3600);
    engine.inject(plan(FaultId::from_number(1), Step::Netem(netem)), lasts).unwrap();
    let inodes = InodeFill {
        folder: DISK.into(),
        device: nix::sys::stat::stat(DISK).unwrap().st_dev,
        file_system: None,
        scratch_name: FaultId::from_number(2).scratch_name(),
        goal: InodeGoal::Count(300),
    };
    engine.inject(plan(FaultId::from_number(2), Step::InodeFill(inodes)), lasts).unwrap();
    assert!(pair.fastest(0) > 19.9);
    assert_eq!((records(), scratch_folders()), (2, 1));
    run("sync");
    println!("INJECTED");
    loop {
        engine.heartbeat();
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The second boot: the disk comes late and under another number.
#[test]
#[ignore = "runs in user-mode Linux"]
fn recover_what_the_power_cut_left() {
    if !is_inside() {
        return;
    }
    load(&["drivers/block/loop"]);
    assert_eq!(records(), 2, "the journal outlives the power cut");
    // The disk is not there yet: nobody can know what is on it, so its record has to stay.
    let (code, text) = agent("recover");
    println!("{text}");
    assert_eq!((code, records()), (7, 1), "{text}");
    assert!(text.contains("not mounted"), "{text}");
    run(&format!(
        "dd if=/dev/zero of=/run/other bs=1M count=1 2>/dev/null && losetup -f /run/other &&
         mkdir {DISK} && mount -o loop /run/scratch/disk {DISK}"
    ));
    assert_eq!(scratch_folders(), 1, "the scratch folder outlives the power cut");
    let (code, text) = agent("recover");
    println!("{text}");
    assert_eq!((code, records(), scratch_folders()), (0, 0, 0), "{text}");
    let (code, text) = agent("recover");
    assert_eq!(code, 0, "{text}");
}

/// A worker that dies with netem in place; started by the test below with the name of a namespace.
#[test]
#[ignore = "runs in user-mode Linux"]
fn worker() {
    let Some(namespace) = std::env::var_os(NAMESPACE) else { return };
    let path = Path::new("/run/netns").join(namespace);
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
    let namespace = faultline_agent::identity::NetworkNamespace::Path { path, inode };
    let engine = engine();
    let id = engine.new_id();
    let netem = Netem::new(&id, namespace, "v0", hold(20));
    engine.inject(plan(id, Step::Netem(netem)), TimeSpan::from_secs(3600)).unwrap();
    println!("\nGUARD {}", engine.guard().unwrap().pid);
    loop {
        engine.heartbeat();
        std::thread::sleep(Duration::from_millis(200));
    }
}

const NAMESPACE: &str = "FAULTLINE_TEST_NAMESPACE";

/// Starts a worker and waits until its fault is in place; returns it and the number of its guard.
fn start_worker(pair: &Pair) -> (Child, nix::unistd::Pid) {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inside::reboot::worker", "--ignored", "--nocapture"])
        .env(NAMESPACE, pair.near_name())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(worker.stdout.take().unwrap()));
    let guard = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("GUARD ")?.parse().ok()).unwrap();
    (worker, nix::unistd::Pid::from_raw(guard))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} within 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

#[test]
#[ignore = "runs in user-mode Linux"]
fn netem_goes_when_its_worker_is_killed_and_after_both_are_killed_by_recovery() {
    use nix::sys::signal::{Signal, kill};
    if !is_inside() {
        return;
    }
    load_netem();
    let pair = Pair::new();
    let before = pair.qdiscs();
    let (mut worker, _) = start_worker(&pair);
    assert!(pair.qdiscs().contains("netem"));
    worker.kill().unwrap();
    let took = wait_until("the guard undoes", || pair.qdiscs() == before && records() == 0);
    println!("undone by the guard {took:?} after its worker was killed");
    worker.wait().unwrap();

    let (mut worker, guard) = start_worker(&pair);
    kill(guard, Signal::SIGSTOP).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    kill(guard, Signal::SIGKILL).unwrap();
    wait_until("the guard is gone", || !Path::new(&format!("/proc/{guard}/ns")).exists() || is_zombie(guard));
    assert!(pair.qdiscs().contains("netem") && records() == 1, "nobody was left to undo");
    let (code, text) = agent("recover");
    println!("{text}");
    assert_eq!((code, pair.qdiscs(), records()), (0, before, 0), "{text}");
}

fn is_zombie(pid: nix::unistd::Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}
