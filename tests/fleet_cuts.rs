//! The network between controller and agent is cut at every phase of a run, heals, and is cut again. The test cuts it
//! at the switch, so that neither end is told. A short cut changes nothing; after a long one the host has undone alone,
//! and the run says so. Nothing is left, nothing is injected twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, told};
use common::injections::Injections;
use common::machine::{Machine, Network};
use faultline::run::journal::Entry;
use rustix::process::Signal;

/// A cut that is over before anybody has to act: far below the lease of 15 s.
const SHORT: Duration = Duration::from_secs(3);
/// A cut after which the host has undone alone, and the controller has given it up.
const LONG: Duration = Duration::from_secs(24);

/// Where the run is when the cable is cut, and how it ends after a short and after a long cut. Once everything is undone,
/// nothing more is asked of the host.
const PHASES: [(&str, i32, i32); 8] = [
    ("state-steady", 0, 5),
    ("state-injecting", 0, 5),
    ("injected", 0, 5),
    ("state-biting", 0, 5),
    ("state-watching", 0, 5),
    ("state-undoing", 0, 5),
    ("undone", 0, 0),
    ("state-recovering", 0, 0),
];

/// A controller and one host, each on a machine of its own, and a process to be paused.
struct Pair {
    victim: Running,
    _agent: Running,
    injections: Injections,
    fleet: Fleet,
    host: Machine,
    _controller: Machine,
    _network: Network,
    ground: tempfile::TempDir,
}

impl Pair {
    fn new(point: &str) -> Option<Self> {
        let ground = tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap();
        std::fs::set_permissions(ground.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut network = Network::new(&[ground.path()])?;
        let (controller, host) = (network.host(), network.host());
        let founding = Founding {
            place: controller.place(),
            address: controller.address.clone(),
            store: None,
            within: ground.path().to_owned(),
        };
        let mut fleet = Fleet::founded(founding)?;
        // It stops there, until the cable is cut.
        fleet.serve_with(&[("FAULTLINE_CRASH_AT", point), ("FAULTLINE_CRASH_BY", "stop")]);
        let agent = fleet.host_at("db-1", host.place(), "role=db", &[]);
        let injections = Injections::of(&fleet.path("db-1"));
        let mut sleep = Command::new("sleep");
        let victim = Running(host.place().spawn(sleep.arg("4711").stdin(Stdio::null())));
        Some(Self {
            victim,
            _agent: agent,
            injections,
            fleet,
            host,
            _controller: controller,
            _network: network,
            ground,
        })
    }

    /// The signal is what a customer on the controller's machine sees of the API's port, which no cut touches.
    fn start(&self) -> Running {
        let address = self.fleet.url().replace("https://", "");
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: cut-off }}\nspec:\n  hypothesis: Nobody \
             notices.\n  signals:\n    port: {{ tcp: {{ address: \"{address}\", rate: 10/s, timeout: 2s }} }}\n  \
             steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ labels: {{ \
             role: db }}, pick: all }}, process: {{ commandLine: \"^sleep 4711\" }} }}\n  method:\n    - observe: 5s\n    - inject: {{ \
             fault: {{ process-pause: {{}} }}, on: db, for: 8s }}\n    - observe: 1s\n  recovery: {{ within: 60s }}\n"
        );
        let file = self.ground.path().join("experiment.yaml");
        std::fs::write(&file, text).unwrap();
        let said = std::fs::File::create(self.ground.path().join("said")).unwrap();
        let mut client = self.fleet.client(&["run", file.to_str().unwrap()]);
        Running(self.fleet.place().spawn(client.stdout(said.try_clone().unwrap()).stderr(said)))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.ground.path().join("said")).unwrap()
    }

    fn cut_for(&self, lasts: Duration) {
        self.host.cut(true);
        std::thread::sleep(lasts);
        self.host.cut(false);
    }
}

fn cut_at(phase: &str, lasts: Duration, code: i32) {
    let Some(pair) = Pair::new(&format!("run/{phase}/kept")) else { return };
    let mut client = pair.start();
    let controller = pair.fleet.controller.as_ref().unwrap();
    let begun = Instant::now();
    while controller.state() != Some('T') {
        assert!(begun.elapsed() < Duration::from_secs(60), "{phase}: the run does not come there: {}", pair.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    pair.host.cut(true);
    controller.signal(Signal::CONT);
    std::thread::sleep(lasts);
    if lasts > Duration::from_secs(20) {
        assert_ne!(pair.victim.state(), Some('T'), "{phase}: undone by the host alone");
    }
    pair.host.cut(false);
    // And again, before everything is settled.
    std::thread::sleep(Duration::from_millis(1_500));
    pair.cut_for(SHORT);
    let ended = client.ended_within(Duration::from_secs(150));
    assert_eq!(ended, code, "{phase}, cut for {lasts:?}: {}", pair.said());
    assert_ne!(pair.victim.state(), Some('T'), "{phase}: it is paused still");
    let left = pair.injections.left();
    assert!(left.is_empty(), "{phase}: left on the host: {left:?}");
    let injections = pair.injections.count();
    assert!(injections <= 1, "{phase}: injected {injections} times");
    let runs = pair.fleet.ask(&["runs", "list"]);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{phase}: {runs}");
    let folder = pair.fleet.path("controller").join("runs").join(runs["runs"][0]["id"].as_str().unwrap());
    let journal = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let entries: Vec<Entry> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| entries.iter().filter(|entry| entry.event.kind() == kind).count();
    assert_eq!(count("finished"), 1, "{phase}");
    assert!(count("injected") <= injections, "{phase}: what is called injected was");
    // What was given up was not called undone without the host's own word.
    if ended != 7 && injections == 1 {
        assert!(count("undone") == 1 || count("injection-failed") == 1, "{phase}: {}", pair.said());
    }
    pair.fleet.ask(&["audit", "verify"]);
    // The host is there for the next run.
    let again = pair.fleet.place().output(&mut pair.fleet.client(&["agents", "list"]));
    assert!(again.status.success(), "{}", told(&again));
    pair.victim.signal(Signal::KILL);
    println!("{phase}, cut for {lasts:?}: exit code {ended} after {:.0?}", begun.elapsed());
}

/// All phases at once: they wait for time to pass, and for nothing else.
fn at_every_phase(lasts: Duration, code: impl Fn(&(&str, i32, i32)) -> i32) {
    std::thread::scope(|scope| {
        for phase in &PHASES {
            let code = code(phase);
            scope.spawn(move || cut_at(phase.0, lasts, code));
        }
    });
}

#[test]
fn a_short_cut_at_any_phase_changes_nothing() {
    at_every_phase(SHORT, |phase| phase.1);
}

#[test]
fn a_long_cut_at_any_phase_is_undone_by_the_host_and_ends_the_run() {
    at_every_phase(LONG, |phase| phase.2);
}
