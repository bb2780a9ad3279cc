//! The agent is killed at every point of an injection that a controller asked for: it alone, its guard alone, both, or one
//! after the other; then it is started again as its unit would. Nothing is left on the host, nothing is injected twice, the
//! run ends in a verdict that is true, and the host is there for the next run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, told};
use common::injections::Injections;
use common::machine::{Machine, Network};
use faultline::authority::{AgentName, Authority};
use faultline::run::journal::Entry;
use faultline_agent::credentials::{Credentials, KeyRequest};
use rustix::process::{Pid, Signal, kill_process};

/// How many hosts work at once.
const LANES: usize = 12;
/// How long the unit waits before it starts the agent again (`RestartSec=` in packaging/systemd/faultline-agent.service).
const RESTART: Duration = Duration::from_secs(2);
/// How long a row may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// The disk of a host, which is in nobody else's sight.
const DISK: &str = "/var/lib/disk";

/// What is injected.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Two steps: one ends with the agent, the other outlives even a reboot.
    DiskFill,
    /// One step, which somebody has to undo.
    ProcessPause,
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Killed {
    Agent,
    Guard,
    Both,
    /// The agent while the fault is in place, then its guard at the point, in the undo.
    AgentThenGuard,
}

/// One row.
#[derive(Debug, Clone)]
struct Row {
    fault: Fault,
    point: &'static str,
    killed: Killed,
    /// At which point the agent that is started next dies too.
    again: Option<&'static str>,
}

/// Before anything is asked to be injected.
const PLANNING: [&str; 2] = ["session/plan/asked", "session/plan/unanswered"];
/// From the request to the fault in place.
const INJECTING: [&str; 9] = [
    "session/inject/asked",
    "session/inject/leased",
    "torn-record",
    "before-rename",
    "after-record",
    "after-step-0",
    "after-step-1",
    "active",
    "session/inject/unanswered",
];
const MEASURING: [&str; 2] = ["session/evidence/asked", "session/evidence/unanswered"];
/// From the request to the word that nothing is left.
const UNDOING: [&str; 7] = [
    "session/undo/asked",
    "before-undo-1",
    "after-undo-1",
    "before-undo-0",
    "after-undo-0",
    "before-forget",
    "session/undo/unanswered",
];
/// Those of them that a guard comes by as well.
const UNDONE_BY_THE_GUARD: [&str; 5] =
    ["before-undo-1", "after-undo-1", "before-undo-0", "after-undo-0", "before-forget"];
/// Those that the kind of the steps makes another matter.
const OF_ANY_STEP: [&str; 5] = ["after-record", "after-step-0", "active", "before-undo-0", "after-undo-0"];
/// When the connection was lost while the fault is in place.
const RECONNECTING: &str = "session/dialled-again";
/// Where the next agent dies, while the controller waits for its word that nothing is left.
const AGAIN: [&str; 7] = [
    "session/dialled",
    "session/welcomed",
    "session/undo/asked",
    "session/undo/unanswered",
    "session/renewal/unasked",
    "session/renewal/unsaved",
    "session/renewal/saved",
];

fn rows() -> Vec<Row> {
    let each = [Killed::Agent, Killed::Guard, Killed::Both];
    let row = |fault, point, killed| Row { fault, point, killed, again: None };
    let points = PLANNING.into_iter().chain(INJECTING).chain(MEASURING).chain([RECONNECTING]).chain(UNDOING);
    let mut rows: Vec<Row> = points.flat_map(|point| each.map(|killed| row(Fault::DiskFill, point, killed))).collect();
    rows.extend(UNDONE_BY_THE_GUARD.map(|point| row(Fault::DiskFill, point, Killed::AgentThenGuard)));
    let pauses = OF_ANY_STEP.into_iter().flat_map(|point| each.map(|killed| row(Fault::ProcessPause, point, killed)));
    rows.extend(pauses);
    let again = AGAIN.map(|again| Row { again: Some(again), ..row(Fault::DiskFill, "active", Killed::Agent) });
    rows.extend(again);
    rows
}

impl Row {
    /// What the environment of the agent says that is to die.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let role = if self.killed == Killed::AgentThenGuard { "guard" } else { "worker" };
        let mut environment = vec![("FAULTLINE_CRASH_AT", format!("{}:{role}", self.point))];
        if matches!(self.killed, Killed::Guard | Killed::Both) {
            // It stands still there until the test has done its part.
            environment.push(("FAULTLINE_CRASH_BY", "stop".into()));
        }
        environment
    }

    /// The exit codes that tell the truth: 0 held, 3 refused, 5 aborted, 6 not applied.
    fn honest(&self) -> &'static [i32] {
        match self.killed {
            // Asked for again, and answered by an agent that is well; unless it took too long to be that.
            Killed::Agent | Killed::Both if PLANNING.contains(&self.point) => &[0, 3],
            // The agent ends to get another guard: before the run asks it for anything, or when it does.
            Killed::Guard if PLANNING.contains(&self.point) => &[0, 3, 5, 6],
            // Refused for want of a guard, or ended for it.
            Killed::Guard if self.point.starts_with("session/inject/") => &[5, 6],
            // That the guard died is noticed, or everything was over before.
            Killed::Guard if UNDOING.contains(&self.point) => &[0, 5],
            _ => &[5],
        }
    }
}

/// A host on which rows are played one after the other.
struct Lane<'a> {
    name: String,
    agent: Option<Running>,
    victim: Running,
    injections: Injections,
    before: String,
    host: Machine,
    fleet: &'a Fleet,
}

/// What has happened in a row so far.
struct Course {
    begun: Instant,
    /// With which points the next agents start.
    next: VecDeque<&'static str>,
    deaths: usize,
    /// Whether the test has done its part.
    acted: bool,
    cut_off: bool,
}

impl<'a> Lane<'a> {
    fn new(fleet: &'a Fleet, network: &Mutex<Network>, number: usize) -> Self {
        let name = format!("db-{number}");
        let host = network.lock().unwrap().host();
        let place = host.place();
        place.run("mkdir", &[DISK]);
        place.run("mount", &["-t", "tmpfs", "-o", "size=16m,nr_inodes=2000", "none", DISK]);
        let mut sleep = Command::new("sleep");
        let victim = Running(place.spawn(sleep.arg("4711").stdin(Stdio::null())));
        let agent = Some(fleet.host_at(&name, place, &format!("lane={name}"), &[]));
        let injections = Injections::of(&fleet.path(&name));
        let mut lane = Self { name, agent, victim, injections, before: String::new(), host, fleet };
        lane.before = lane.look();
        lane
    }

    fn state(&self) -> PathBuf {
        self.fleet.path(&self.name)
    }

    /// The host as its fingerprint and others see it, but for what all hosts of this machine have in common.
    fn look(&self) -> String {
        let state = self.state();
        let program = self.fleet.agent.to_str().unwrap();
        let arguments = ["fingerprint", "--json", "--state", state.to_str().unwrap(), "--folder", DISK];
        let text = self.host.place().run(program, &arguments);
        let mut seen: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sections = seen.as_object_mut().unwrap();
        for shared in ["cgroups", "sysctls", "clock", "bpf"] {
            sections.remove(shared);
        }
        let free = self.host.place().run("stat", &["--file-system", "--format", "%f blocks, %d inodes free", DISK]);
        let files = self.host.place().run("ls", &["-A", DISK]);
        format!(
            "{}\n{free}{files}victim stands still: {}",
            serde_json::to_string_pretty(&sections).unwrap(),
            self.stands_still()
        )
    }

    fn stands_still(&self) -> bool {
        self.victim.state() == Some('T')
    }

    fn start(&mut self, environment: &[(&'static str, String)]) {
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let labels = format!("lane={}", self.name);
        self.agent = Some(self.fleet.start_agent(&self.name, self.host.place(), &labels, &environment));
    }

    fn is_connected(&self) -> bool {
        self.fleet.connected().contains(&self.name)
    }

    /// Ends the agent as its unit would stop it.
    fn stop(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.signal(Signal::TERM);
        assert_eq!(agent.ended(), 0, "{}: the agent ends well", self.name);
        self.wait_for("to be gone", |lane| !lane.is_connected());
    }

    fn wait_for(&mut self, what: &str, seen: impl Fn(&mut Self) -> bool) {
        let begun = Instant::now();
        while !seen(self) {
            assert!(begun.elapsed() < PATIENCE, "{} was waited for {what}: {}", self.name, self.said());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn play(&mut self, row: &Row) -> (i32, Duration) {
        let injected = self.injections.count();
        self.stop();
        self.start(&row.environment());
        self.wait_for("to connect", |lane| lane.is_connected());
        let mut course = Course {
            begun: Instant::now(),
            next: row.again.into_iter().collect(),
            deaths: 0,
            acted: false,
            cut_off: false,
        };
        let mut client = self.submit(row.fault);
        let code = loop {
            if let Some(status) = client.0.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            self.tend(row, &mut course);
        };
        let took = course.begun.elapsed();
        // It is well again without anybody's doing.
        while !self.is_well() {
            self.tend(row, &mut course);
        }
        assert!(course.acted || course.deaths > 0, "{row:?}: nobody died: {}", self.said());
        assert!(course.next.is_empty(), "{row:?}: the next agent did not die: {}", self.said());
        self.check(row.honest(), &format!("{row:?}"), code, self.injections.count() - injected);
        (code, took)
    }

    /// Whether the agent lives with a guard, and its controller takes it for fit.
    fn is_well(&mut self) -> bool {
        let agent = self.agent.as_mut().unwrap();
        let lives = agent.0.try_wait().unwrap().is_none() && agent.state() != Some('T');
        if !lives || guard_of(agent).is_none() {
            return false;
        }
        let agents = self.fleet.ask(&["agents", "list"]);
        let own =
            agents["agents"].as_array().unwrap().iter().find(|agent| agent["name"] == self.name.as_str()).unwrap();
        own["connected"] == true && own["health"] == "healthy"
    }

    /// What the test does in a row, and the unit.
    fn tend(&mut self, row: &Row, course: &mut Course) {
        assert!(course.begun.elapsed() < PATIENCE, "{row:?} does not end: {}", self.said());
        std::thread::sleep(Duration::from_millis(20));
        if row.point == RECONNECTING && !course.cut_off && self.is_in_place() {
            course.cut_off = true;
            let address = self.fleet.agents_address();
            let port = format!(":{}", address.rsplit(':').next().unwrap());
            self.host.place().run("ss", &["--kill", "state", "established", "dport", "=", &port]);
        }
        let agent = self.agent.as_mut().unwrap();
        if let Some(status) = agent.0.try_wait().unwrap() {
            course.deaths += usize::from(status.code().is_none());
            // A wrong usage is the only end after which the unit gives up.
            assert_ne!(status.code(), Some(2), "{row:?}");
            let mut recover = Command::new(&self.fleet.agent);
            let recovered = self.host.place().output(recover.args(["recover", "--state"]).arg(self.state()));
            assert!(recovered.status.success(), "{row:?}: {}", told(&recovered));
            std::thread::sleep(RESTART);
            let next = course.next.pop_front();
            if next.is_some_and(|point| point.starts_with("session/renewal")) {
                age_the_certificate(&self.fleet.path("controller"), &self.state(), &self.name);
            }
            let environment = next.map(|point| ("FAULTLINE_CRASH_AT", point.to_owned()));
            self.start(environment.as_slice());
            return;
        }
        match row.killed {
            _ if course.acted => {}
            Killed::Agent => {}
            Killed::Guard | Killed::Both => {
                if agent.state() == Some('T') {
                    kill_process(guard_of(agent).expect("it has a guard"), Signal::KILL).unwrap();
                    let end = if row.killed == Killed::Both { Signal::KILL } else { Signal::CONT };
                    if row.point == "active" {
                        assert_ne!(self.look(), self.before, "{row:?}: the fault does nothing");
                    }
                    self.agent.as_ref().unwrap().signal(end);
                    course.acted = true;
                }
            }
            Killed::AgentThenGuard => {
                if self.is_in_place() {
                    self.agent.as_ref().unwrap().signal(Signal::KILL);
                    course.acted = true;
                }
            }
        }
    }

    /// Whether a record says that all steps are in place.
    fn is_in_place(&self) -> bool {
        let records = self.injections.left().into_iter();
        let mut texts = records.filter_map(|name| std::fs::read_to_string(self.state().join("faults").join(name)).ok());
        texts.any(|text| text.contains("\"state\": \"active\"") || text.contains("\"state\":\"active\""))
    }

    fn submit(&self, fault: Fault) -> Running {
        let (fault, target) = match fault {
            Fault::DiskFill => (format!("disk-fill: {{ path: {DISK}, bytes: 4MiB, inodes: {{ count: 300 }} }}"), ""),
            Fault::ProcessPause => {
                ("process-pause: { by: signal }".to_owned(), ", process: { commandLine: \"^sleep 4711\" }")
            }
        };
        let (name, port) = (&self.name, self.fleet.url().replace("https://", ""));
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: killed-on-{name} }}\nspec:\n  hypothesis: \
             Nobody notices.\n  signals:\n    port: {{ tcp: {{ address: \"{port}\", rate: 20/s, timeout: 500ms }} }}\n  \
             steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ labels: {{ \
             lane: {name} }}, pick: all }}{target} }}\n  method:\n    - observe: 1500ms\n    - inject: {{ fault: {{ {fault} \
             }}, on: db, for: 3s }}\n    - observe: 1s\n  recovery: {{ within: 20s }}\n"
        );
        let file = self.fleet.path(&format!("{name}.yaml"));
        std::fs::write(&file, text).unwrap();
        let said = std::fs::File::create(self.fleet.path(&format!("{name}.said"))).unwrap();
        let mut client = self.fleet.client(&["run", file.to_str().unwrap()]);
        Running(self.fleet.place().spawn(client.stdout(said.try_clone().unwrap()).stderr(said)))
    }

    /// What the client said, and the last lines of the agents' log.
    fn said(&self) -> String {
        let read = |suffix: &str| {
            std::fs::read_to_string(self.fleet.path(&format!("{}.{suffix}", self.name))).unwrap_or_default()
        };
        let log = read("log");
        let lines: Vec<&str> = log.lines().collect();
        format!("{}\n--- agent:\n{}", read("said"), lines[lines.len().saturating_sub(12)..].join("\n"))
    }

    fn check(&self, honest: &[i32], row: &str, code: i32, injections: usize) {
        let said = self.said();
        assert!(honest.contains(&code), "{row}: exit code {code}, {honest:?} would be true: {said}");
        let left = self.injections.left();
        assert!(left.is_empty(), "{row}: left on the host: {left:?}: {said}");
        assert_eq!(self.look(), self.before, "{row}: the host is not as before: {said}");
        assert!(injections <= 1, "{row}: injected {injections} times: {said}");
        let id = said
            .strip_prefix("run ")
            .and_then(|said| said.split(' ').next())
            .unwrap_or_else(|| panic!("{row}: {said}"));
        let run = &self.fleet.ask(&["runs", "show", id]);
        let verdict = run["verdict"].as_str().unwrap_or_default();
        let codes = [("held", 0), ("refused", 3), ("aborted", 5), ("invalid", 6)];
        assert!(codes.contains(&(verdict, code)), "{row}: exit code {code} of a run that is {verdict}: {run}");
        let journal = self.fleet.path("controller").join("runs").join(id).join("journal.jsonl");
        let text = std::fs::read_to_string(journal).unwrap();
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |wanted: &str| entries.iter().filter(|entry| entry.event.kind() == wanted).count();
        assert_eq!(count("finished"), 1, "{row}: {said}");
        assert!(count("injected") <= injections, "{row}: what is called injected was: {said}");
        assert!(count("injected") <= count("undone"), "{row}: what was injected was seen to be undone: {said}");
        if verdict == "held" {
            let all = ["injected", "undone", "recovered"].map(count);
            assert!(all == [1, 1, 1] && count("evidence") > 0, "{row}: held without the whole chain: {said}");
        }
    }
}

/// The guard of an agent: its only child.
fn guard_of(agent: &Running) -> Option<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.0.id())).ok()?;
    let children = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let alive = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let mut pids =
        children.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>());
    pids.find(alive).and_then(Pid::from_raw)
}

/// Gives a host another certificate of its fleet, one that is due for renewal.
fn age_the_certificate(controller: &Path, state: &Path, name: &str) {
    let now = jiff::Timestamp::now();
    let (life, age) = (Duration::from_secs(24 * 3600), jiff::SignedDuration::from_hours(20));
    let authority = Authority::open(&Authority::folder(controller), now).unwrap();
    let folder = state.join("credentials");
    let held = Credentials::load(&folder).unwrap().unwrap();
    let request = KeyRequest::new().unwrap();
    let name: AgentName = name.parse().unwrap();
    let labels = &held.identity().labels;
    let issued = authority.issue_agent(&request.signing_request().unwrap(), &name, labels, life, now - age).unwrap();
    let controller = held.controller().clone();
    let aged = request.accept(&issued.certificate_chain, &issued.trust_bundle, controller, now).unwrap();
    aged.save(&folder).unwrap();
}

#[test]
fn an_agent_killed_at_any_point_of_an_injection_leaves_nothing_and_no_lie() {
    if common::fleet::agent_program().is_none() {
        return;
    }
    let ground = tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap();
    let Some(mut network) = Network::new(&[ground.path()]) else { return };
    let controller = network.host();
    let founding = Founding {
        place: controller.place(),
        address: controller.address.clone(),
        store: None,
        within: ground.path().to_owned(),
    };
    let network = Mutex::new(network);
    let Some(mut fleet) = Fleet::founded(founding) else { return };
    fleet.serve();
    let begun = Instant::now();
    let rows = Mutex::new(selected(rows()));
    let number = rows.lock().unwrap().len();
    std::thread::scope(|scope| {
        for lane in 1..=LANES.min(number) {
            let (fleet, network, rows) = (&fleet, &network, &rows);
            scope.spawn(move || {
                let mut lane = Lane::new(fleet, network, lane);
                loop {
                    let Some(row) = rows.lock().unwrap().pop() else { break };
                    let (code, took) = lane.play(&row);
                    println!("{} {row:?}: exit code {code} after {took:.1?}", lane.name);
                }
                // Nobody dies any more, and the host is as good as new.
                lane.stop();
                lane.start(&[]);
                lane.wait_for("to connect", |lane| lane.is_connected());
                let injected = lane.injections.count();
                let code = lane.submit(Fault::DiskFill).ended_within(PATIENCE);
                lane.check(&[0], "a run in peace", code, lane.injections.count() - injected);
            });
        }
    });
    fleet.ask(&["audit", "verify"]);
    println!("{number} rows on {LANES} hosts in {:.0?}", begun.elapsed());
    // A machine is gone when all that ran on it is.
    drop(fleet);
    drop(controller);
}

/// All rows, or those whose text has what `FAULTLINE_TEST_ROWS` says.
fn selected(mut rows: Vec<Row>) -> Vec<Row> {
    if let Ok(wanted) = std::env::var("FAULTLINE_TEST_ROWS") {
        rows.retain(|row| format!("{row:?}").contains(&wanted));
    }
    rows
}
