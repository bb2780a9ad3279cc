//! The controller is killed at every transition of a run, and once more while it closes the run; under both stores.
//!
//! It ends itself by SIGKILL at a named point (`FAULTLINE_CRASH_AT`), so no row depends on luck. Afterwards nothing is left
//! on the host, the run has ended once, its verdict says no more than its journal shows, nothing was injected twice,
//! and the audit log is whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/database.rs"]
mod database;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, is_paused, service, victim};
use common::injections::Injections;
use faultline::run::journal::{Entry, RunState};
use faultline::store::runs::RunState as Standing;

/// What is written of a run that nobody disturbs, in its order.
const COURSE: [&str; 15] = [
    "started",
    "planned",
    "state-steady",
    "state-injecting",
    "injected",
    "state-biting",
    "evidence",
    "state-watching",
    "state-undoing",
    "undone",
    "state-recovering",
    "recovered",
    "state-judged",
    "judged",
    "finished",
];
/// What is written when the run of a controller that was killed is closed.
const CLOSING: [&str; 6] = ["stopped", "state-undoing", "undone", "state-judged", "judged", "finished"];
/// The states of a run in the store that its controller enters.
const STANDINGS: [Standing; 4] = [Standing::Claimed, Standing::Running, Standing::Closing, Standing::Finished];
/// How many fleets work at once.
const LANES: usize = 6;
/// Held by the store whose turn it is: twice as many fleets on a machine of two processors leave an agent no time to measure
/// what its fault does, and the run goes another way.
static TURN: Mutex<()> = Mutex::new(());

/// One row: the points at which one controller after the other dies.
#[derive(Debug, Clone)]
struct Row {
    points: Vec<String>,
    /// How much of the course the killed controller had written down, where the next one finds it.
    written: usize,
    /// Whether the agent was asked to inject before the first death.
    injected: bool,
}

/// What becomes of a store and of the folder of the run between two controllers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keeping {
    /// A store and a folder on the same disk.
    Sqlite,
    /// The next controller is on another machine: it has the database alone.
    Postgres,
}

fn rows(keeping: Keeping) -> Vec<Row> {
    let injection = COURSE.iter().position(|kind| *kind == "injected").unwrap();
    let mut rows = Vec::new();
    // `written` is in the journal's file alone, `kept` in the store as well.
    let moments = match keeping {
        Keeping::Sqlite => [("unwritten", 0), ("written", 1)],
        Keeping::Postgres => [("written", 0), ("kept", 1)],
    };
    for (number, kind) in COURSE.iter().enumerate() {
        for (moment, more) in moments {
            let points = vec![format!("run/{kind}/{moment}")];
            rows.push(Row { points, written: number + more, injected: number >= injection });
        }
    }
    let whole = COURSE.len();
    // A run that was not claimed after all is still queued, and carried out by whoever comes next.
    let claimed = ["uncommitted", "committed"].map(|moment| (Standing::Claimed, moment));
    let running = ["uncommitted", "committed"].map(|moment| (Standing::Running, moment));
    let finished = ["uncommitted", "committed"].map(|moment| (Standing::Finished, moment));
    for (standing, moment) in [claimed, running, finished].concat() {
        let points = vec![format!("store/{standing}/{moment}")];
        let is_whole = standing == Standing::Finished || (standing == Standing::Claimed && moment == "uncommitted");
        rows.push(Row { points, written: if is_whole { whole } else { 0 }, injected: is_whole });
    }
    rows.push(Row { points: vec!["run/folder/made".into()], written: 0, injected: false });
    // Killed under the fault, and again by whoever closes the run.
    let watching = COURSE.iter().position(|kind| *kind == "state-watching").unwrap() + 1;
    let first = "run/state-watching/kept";
    let mut again: Vec<String> = Vec::new();
    again.extend(
        CLOSING.iter().flat_map(|kind| ["unwritten", "written"].map(|moment| format!("closing/{kind}/{moment}"))),
    );
    if keeping == Keeping::Postgres {
        again.push("closing/journal/unrestored".into());
    }
    for what in ["taken-up".to_owned(), Standing::Closing.to_string(), Standing::Finished.to_string()] {
        again.extend(["uncommitted", "committed"].map(|moment| format!("store/{what}/{moment}")));
    }
    rows.extend(again.into_iter().map(|second| Row {
        points: vec![first.into(), second],
        written: watching,
        injected: true,
    }));
    rows
}

impl Row {
    /// The verdicts that the journal allows, as far as it is written.
    fn honest(&self, keeping: Keeping) -> &'static [&'static str] {
        let reached = |kind: &str| self.written > COURSE.iter().position(|other| *other == kind).unwrap();
        match keeping {
            // Nothing was asked of anybody.
            _ if !reached("state-injecting") => &["refused"],
            _ if !reached("recovered") => &["aborted"],
            _ if reached("judged") => &["held"],
            Keeping::Sqlite => &["held", "inconclusive"],
            // The samples were on the machine that is gone.
            Keeping::Postgres => &["no-data"],
        }
    }
}

/// A fleet on which rows are played one after the other.
struct Lane {
    fleet: Fleet,
    keeping: Keeping,
    injections: Injections,
    _agent: Running,
    process: Running,
    experiment: std::path::PathBuf,
    met: BTreeSet<String>,
}

impl Lane {
    fn new(keeping: Keeping) -> Option<Self> {
        let store = match keeping {
            Keeping::Sqlite => None,
            Keeping::Postgres => Some(database::new()?),
        };
        let mut fleet = Fleet::founded(Founding { store, ..Founding::default() })?;
        fleet.serve();
        let agent = fleet.host("db-1");
        let injections = Injections::of(&fleet.path("db-1"));
        let process = victim();
        let experiment = experiment(&fleet, process.0.id());
        Some(Self { fleet, keeping, injections, _agent: agent, process, experiment, met: BTreeSet::new() })
    }

    fn play(&mut self, row: &Row) {
        let before = self.injections.count();
        self.fleet.controller = None;
        self.fleet.serve_with(&[("FAULTLINE_CRASH_AT", row.points[0].as_str())]);
        self.wait_for_the_host();
        let mut client = self.submit();
        self.dies(row);
        for point in &row.points[1..] {
            self.restart(&[("FAULTLINE_CRASH_AT", point)]);
            self.dies(row);
        }
        self.restart(&[]);
        let code = client.ended_within(Duration::from_secs(90));
        self.check(row, code, self.injections.count() - before);
    }

    /// Asks for the run, and waits until it is known whether there is one.
    fn submit(&self) -> Running {
        let mut client = self.fleet.client(&["run", self.experiment.to_str().unwrap()]);
        let said = std::fs::File::create(self.fleet.path("said")).unwrap();
        let client = Running(client.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap());
        while client.state() != Some('Z') && !self.is_sent() {
            std::thread::sleep(Duration::from_millis(20));
        }
        client
    }

    /// Whether the request came to the controller: there is a run, or its answer was lost since the controller was killed
    /// while it claimed the run, and the client asks again until there is another controller.
    fn is_sent(&self) -> bool {
        let said = self.said();
        said.starts_with("run ") || said.contains("; asked again\n")
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.fleet.path("said")).unwrap()
    }

    fn dies(&mut self, row: &Row) {
        let died = self.fleet.controller_dies(Duration::from_secs(60));
        assert!(died, "{row:?}: not killed there: {}", self.said());
    }

    fn restart(&mut self, environment: &[(&str, &str)]) {
        if self.keeping == Keeping::Postgres {
            let _ = std::fs::remove_dir_all(self.fleet.path("controller").join("runs"));
        }
        self.fleet.serve_with(environment);
    }

    fn wait_for_the_host(&self) {
        let begun = Instant::now();
        while self.fleet.connected().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the agent does not come back");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn check(&mut self, row: &Row, code: i32, injections: usize) {
        let listed = self.fleet.ask(&["runs", "list", "--limit", "1"]);
        let run = &listed["runs"][0];
        let (id, verdict) = (run["id"].as_str().unwrap(), run["verdict"].as_str().unwrap_or_default());
        let said = self.said();
        assert_eq!(run["state"], "finished", "{row:?}: {run}: {said}");
        assert!(row.honest(self.keeping).contains(&verdict), "{row:?}: {run}");
        let codes = [("held", 0), ("refused", 3), ("inconclusive", 4), ("no-data", 4), ("aborted", 5)];
        assert!(codes.contains(&(verdict, code)), "{row:?}: exit code {code} of a run that is {verdict}");
        assert_eq!(injections, usize::from(row.injected), "{row:?}: injections");
        assert!(!is_paused(&self.process), "{row:?}: the process is paused");
        let left = self.injections.left();
        assert!(left.is_empty(), "{row:?}: left on the host: {left:?}");
        self.fleet.ask(&["audit", "verify"]);
        let journal = self.fleet.path("controller").join("runs").join(id).join("journal.jsonl");
        let Ok(text) = std::fs::read_to_string(journal) else {
            // What the client has heard of it then came from the store.
            let over = self.keeping == Keeping::Postgres && row.points.last().unwrap() == "store/finished/committed";
            assert!(row.written == 0 || over, "{row:?}: a run that began has a journal");
            return;
        };
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.event.kind()).collect();
        let count = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
        let ended = usize::from(row.written > 0);
        assert_eq!((count("started"), count("finished")), (ended, ended), "{row:?}: {kinds:?}");
        assert_eq!(kinds.last().copied().unwrap_or("finished"), "finished", "{row:?}: {kinds:?}");
        assert!(count("injected") <= 1 && count("judged") <= 1, "{row:?}: {kinds:?}");
        if verdict == "held" {
            assert!(count("recovered") == 1 && count("undone") == 1, "{row:?}: {kinds:?}");
        }
        self.met.extend(kinds.into_iter().map(str::to_owned));
    }
}

fn experiment(fleet: &Fleet, victim: u32) -> std::path::PathBuf {
    let path = fleet.path("short.yaml");
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: short-pause }}\nspec:\n  hypothesis: Nobody \
         notices that a process stands still.\n  signals:\n    port: {{ tcp: {{ address: \"127.0.0.1:{port}\", rate: 20/s, \
         timeout: 500ms }} }}\n  steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ \
         hosts: {{ labels: {{ role: db }}, pick: {{ count: 1 }} }}, process: {{ pid: {victim} }} }}\n  method:\n    - \
         observe: 1500ms\n    - inject: {{ fault: {{ process-pause: {{}} }}, on: db, for: 3s }}\n    - observe: 1s\n  \
         recovery: {{ within: 20s }}\n",
        port = service()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn play_all(keeping: Keeping) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = Mutex::new(rows(keeping));
    let met = Mutex::new(BTreeSet::new());
    let begun = Instant::now();
    let number = rows.lock().unwrap().len();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let Some(mut lane) = Lane::new(keeping) else { return };
                loop {
                    let Some(row) = rows.lock().unwrap().pop() else { break };
                    lane.play(&row);
                }
                met.lock().unwrap().append(&mut lane.met);
            });
        }
    });
    let known: BTreeSet<String> =
        COURSE.iter().chain(&CLOSING).map(|kind| (*kind).to_owned()).chain(["sample".into()]).collect();
    let unknown: Vec<_> = met.into_inner().unwrap().into_iter().filter(|kind| !known.contains(kind)).collect();
    assert!(unknown.is_empty(), "written of a run, and nobody was killed there: {unknown:?}");
    println!("{keeping:?}: {number} rows in {:.0?}", begun.elapsed());
}

#[test]
fn a_controller_killed_at_any_transition_over_sqlite() {
    play_all(Keeping::Sqlite);
}

#[test]
fn a_controller_killed_at_any_transition_over_postgresql() {
    play_all(Keeping::Postgres);
}

/// A state that is new has no row until somebody gives it one.
#[test]
fn every_state_of_a_run_has_its_row() {
    let words = serde_json::to_value(schemars::schema_for!(RunState)).unwrap();
    let mut states = Vec::new();
    words_of(&words, &mut states);
    assert!(states.len() >= 8, "{words}");
    for state in states {
        // A run is planned from the moment on at which its journal says that it started.
        let kind = if state == "planned" { "started".into() } else { format!("state-{state}") };
        assert!(COURSE.contains(&kind.as_str()), "no controller is killed at {kind}");
    }
    // The others are entered by a client's request, before a controller has the run: see `every_request.rs`.
    let before = [Standing::Queued, Standing::WaitingForApproval, Standing::Cancelled];
    for standing in Standing::ALL {
        let is_known = STANDINGS.contains(standing) || before.contains(standing);
        assert!(is_known, "no controller is killed when a run becomes {standing}");
        let point = format!("store/{standing}/committed");
        let row = rows(Keeping::Sqlite).into_iter().any(|row| row.points.contains(&point));
        assert_eq!(row, STANDINGS.contains(standing), "{point}");
    }
}

/// The words of an enumeration in a schema: in `enum` without descriptions, in `const` with them.
fn words_of(schema: &serde_json::Value, words: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("const", serde_json::Value::String(word)) => words.push(word.clone()),
                    ("enum", serde_json::Value::Array(all)) => {
                        words.extend(all.iter().filter_map(|word| word.as_str().map(str::to_owned)));
                    }
                    _ => words_of(value, words),
                }
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|value| words_of(value, words)),
        _ => {}
    }
}
