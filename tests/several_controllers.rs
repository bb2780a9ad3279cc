//! Two controllers over one PostgreSQL, with the real programs: what one begins, the other ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;
#[path = "common/database.rs"]
mod database;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, is_paused, receiver, service, told, victim};
use rustix::process::Signal;
use serde_json::Value;

/// Two controllers of one fleet that serve.
struct Two([Fleet; 2]);

impl Two {
    fn new() -> Option<Self> {
        Self::prepared(|_| ())
    }

    /// The same, with the data folder of each made ready before it starts.
    fn prepared(prepare: impl Fn(&Path)) -> Option<Self> {
        let store = Some(database::new()?);
        let mut one = Fleet::founded(Founding { store, ..Founding::default() })?;
        let mut two = one.joining();
        prepare(&one.path("controller"));
        prepare(&two.path("controller"));
        one.serve();
        two.serve();
        Some(Self([one, two]))
    }

    /// A host that was enrolled at the first, and has found the second by itself.
    fn host(&self, name: &str) -> Running {
        let agent = self.0[0].host(name);
        self.wait_for_both(name);
        agent
    }

    fn wait_for_both(&self, name: &str) {
        self.0[0].wait_for("a session with both", || self.controllers_of(0, name).len() == 2);
        self.0[1].wait_for("a session with both", || self.controllers_of(1, name).len() == 2);
    }

    /// The controllers to which a host is connected, as one of them says.
    fn controllers_of(&self, asked: usize, name: &str) -> Vec<Value> {
        let agents = self.0[asked].ask(&["agents", "list"]);
        let agents = agents["agents"].as_array().unwrap();
        let agent = agents.iter().find(|agent| agent["name"] == name);
        agent.and_then(|agent| agent["controllers"].as_array().cloned()).unwrap_or_default()
    }

    /// Which of them drives the run.
    fn driver(&self, run: &Value) -> usize {
        let driver = run["controller"].as_str().unwrap();
        self.0.iter().position(|fleet| fleet.id() == driver).unwrap()
    }

    fn kill(&mut self, which: usize) {
        let mut controller = self.0[which].controller.take().unwrap();
        controller.signal(Signal::KILL);
        controller.ended();
    }
}

fn runs(fleet: &Fleet) -> Vec<Value> {
    fleet.ask(&["runs", "list"])["runs"].as_array().unwrap().clone()
}

fn document(fleet: &Fleet, process: &Running, lasts: &str) -> PathBuf {
    fleet.experiment(process.0.id(), lasts, service())
}

/// How often a run put a fault in place, by its report.
fn injections(fleet: &Fleet, run: &str) -> usize {
    let report = fleet.client(&["runs", "report", run, "--format", "json"]).output().unwrap();
    assert!(report.status.success(), "{}", told(&report));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    report["faults"].as_array().unwrap().len()
}

#[test]
fn either_answers_and_the_death_of_the_one_that_does_not_drive_changes_nothing() {
    let Some(mut two) = Two::new() else { return };
    let _agent = two.host("db-1");
    let process = victim();
    let file = document(&two.0[0], &process, "25s");
    let mut client = two.0[0].client(&["run", file.to_str().unwrap()]);
    let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    two.0[0].wait_for("the fault", || is_paused(&process));
    let begun = Instant::now();
    let run = runs(&two.0[0])[0].clone();
    assert_eq!(run, runs(&two.0[1])[0], "both say the same");
    let (driver, id) = (two.driver(&run), run["id"].as_str().unwrap().to_owned());
    let other = 1 - driver;
    assert_eq!(two.0[other].ask(&["runs", "show", &id])["hosts"], serde_json::json!(["db-1"]));
    // The one that drives has the journal; the command line goes there by itself.
    assert_eq!(injections(&two.0[other], &id), 1);
    // Whoever speaks HTTP is told where it is.
    let plan = two.0[other].client(&["plan", file.to_str().unwrap()]).output().unwrap();
    assert!(!told(&plan).contains("not asked"), "{}", told(&plan));
    two.kill(other);
    // Longer than any lease.
    while begun.elapsed() < Duration::from_secs(20) {
        assert!(is_paused(&process), "after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(!is_paused(&process));
    let over = runs(&two.0[driver]);
    assert_eq!(
        (over.len(), over[0]["verdict"].as_str(), &over[0]["controller"]),
        (1, Some("held"), &run["controller"])
    );
}

#[test]
fn when_the_one_that_drives_is_killed_the_other_takes_the_run_over_and_undoes_it() {
    let Some(mut two) = Two::new() else { return };
    let mut agent = two.host("db-1");
    let process = victim();
    let (_, mut following) = two.0[0].under_a_fault(&process);
    let run = runs(&two.0[0])[0].clone();
    let (driver, id) = (two.driver(&run), run["id"].as_str().unwrap().to_owned());
    let survivor = 1 - driver;
    two.kill(driver);
    let killed = Instant::now();
    two.0[survivor].wait_for("the undo", || !is_paused(&process));
    assert!(killed.elapsed() < Duration::from_secs(20), "{:?}", killed.elapsed());
    println!("undone {:.1} s after the kill", killed.elapsed().as_secs_f64());
    two.0[survivor].wait_for("the verdict", || runs(&two.0[survivor])[0]["state"] == "finished");
    println!("closed {:.1} s after the kill", killed.elapsed().as_secs_f64());
    let over = runs(&two.0[survivor]);
    assert_eq!((over.len(), over[0]["verdict"].as_str()), (1, Some("aborted")), "{over:?}");
    assert_eq!(over[0]["controller"], two.0[survivor].id());
    assert!(over[0]["because"].as_str().unwrap().contains("is gone"), "{over:?}");
    assert_eq!(injections(&two.0[survivor], &id), 1, "nothing twice");
    assert_eq!(following.ended_within(Duration::from_secs(60)), 5, "it heard of the end from the other");
    // The one that was killed comes back, and leaves the run to the other.
    two.0[driver].serve();
    two.wait_for_both("db-1");
    let again = runs(&two.0[driver]);
    assert_eq!(again, over);
    assert_eq!(injections(&two.0[driver], &id), 1);
    // The host finds whoever lives, though it was enrolled at the first.
    two.kill(0);
    agent.signal(Signal::TERM);
    assert_eq!(agent.ended(), 0);
    let _agent = two.0[0].start_agent("db-1", two.0[0].place(), "role=db", &[]);
    two.0[1].wait_for("its return", || two.controllers_of(1, "db-1") == [Value::from(two.0[1].id())]);
    let file = document(&two.0[1], &process, "2s");
    let output = two.0[1].client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[test]
fn a_halt_on_one_ends_what_the_other_drives_and_holds_on_both_until_it_is_released() {
    let Some(two) = Two::new() else { return };
    // By the list of both controllers, as on its command line.
    let mut agent = two.0[0].host("db-1");
    agent.signal(Signal::TERM);
    agent.ended();
    let both = format!("{},https://{}", two.0[0].agents_address(), two.0[1].agents_address());
    let _agent = Running(
        Command::new(&two.0[0].agent)
            .args(["run", "--labels", "role=db", "--config", "/dev/null", "--controller", &both, "--state"])
            .arg(two.0[0].path("db-1"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    two.wait_for_both("db-1");
    let process = victim();
    let (file, mut following) = two.0[0].under_a_fault(&process);
    let driver = two.driver(&runs(&two.0[0])[0]);
    let other = 1 - driver;
    let halted = two.0[other].client(&["halt", "--reason", "drill"]).output().unwrap();
    assert_eq!(halted.status.code(), Some(0), "{}", told(&halted));
    assert!(!is_paused(&process), "undone when the command returns");
    assert_eq!(following.ended(), 5, "aborted, and recovered");
    for fleet in &two.0 {
        let refused = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
        assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
        assert!(told(&refused).contains("drill"), "{}", told(&refused));
    }
    // Neither takes it back because it did not order it.
    std::thread::sleep(Duration::from_secs(7));
    let health = || two.0[driver].ask(&["agents", "show", "db-1"])["health"].clone();
    assert_eq!(health(), "halted");
    let released = two.0[driver].client(&["halt", "--release"]).output().unwrap();
    assert_eq!(released.status.code(), Some(0), "{}", told(&released));
    two.0[driver].wait_for("the release", || health() == "healthy");
    let begun = Instant::now();
    let file = document(&two.0[0], &process, "2s");
    loop {
        // The other one learns of the release within a second.
        let output = two.0[0].client(&["run", file.to_str().unwrap()]).output().unwrap();
        if output.status.code() == Some(0) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", told(&output));
    }
}

#[test]
fn a_schedule_fires_once_with_both_up_and_goes_on_when_the_leader_is_killed() {
    let Some(mut two) = Two::new() else { return };
    let _agent = two.host("db-1");
    let process = victim();
    let file = document(&two.0[0], &process, "2s");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += "---\napiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: { name: each-minute }\nspec:\n  experiment: \
             pause-over-the-fleet\n  cron: \"* * * * *\"\n";
    std::fs::write(&file, text).unwrap();
    let applied = two.0[1].client(&["schedule", "apply", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(applied.status.code(), Some(0), "{}", told(&applied));
    let finished = |fleet: &Fleet| runs(fleet).iter().filter(|run| run["state"] == "finished").count();
    let wait = |fleet: &Fleet, count: usize| {
        let begun = Instant::now();
        while finished(fleet) < count {
            assert!(begun.elapsed() < Duration::from_secs(150), "the schedule does not fire: {:?}", runs(fleet));
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    wait(&two.0[0], 1);
    let leads = |fleet: &Fleet| fleet.log.lock().unwrap().iter().any(|line| line.contains("this controller leads"));
    let leader = two.0.iter().position(leads).unwrap();
    assert!(!leads(&two.0[1 - leader]), "one at a time");
    two.kill(leader);
    let survivor = &two.0[1 - leader];
    wait(survivor, 2);
    assert!(leads(survivor));
    let all = runs(survivor);
    let slots: BTreeSet<&str> = all.iter().map(|run| run["origin"]["slot"].as_str().unwrap()).collect();
    assert_eq!(slots.len(), all.len(), "no slot has two runs: {all:?}");
    assert!(all.iter().all(|run| run["verdict"] == "held" || run["state"] != "finished"), "{all:?}");
    assert!(!is_paused(&process) || all.iter().any(|run| run["state"] == "running"));
}

#[test]
fn a_host_has_vanished_when_all_have_lost_it_and_that_is_told_once() {
    let (port, got) = receiver();
    let endpoint = format!(
        "source: https://controller.test\nendpoints: [{{ name: events, format: cloud-events, url: \"http://127.0.0.1:{port}/in\" }}]\n"
    );
    let Some(two) = Two::prepared(|data| std::fs::write(data.join("notifications.yaml"), &endpoint).unwrap()) else {
        return;
    };
    let agent = two.host("db-1");
    let events = |kind: &str| {
        let kind = format!("dev.faultline.{kind}.v1");
        got.lock().unwrap().iter().filter(|event| event["type"] == *kind).count()
    };
    // One of them stands still for so long that it loses its agents.
    let second = two.0[1].controller.as_ref().unwrap();
    second.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(26));
    assert_eq!(two.controllers_of(0, "db-1").len(), 1, "it does not count as alive any more");
    second.signal(Signal::CONT);
    two.wait_for_both("db-1");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(events("agent.vanished"), 0, "the other one had it all the time");
    agent.signal(Signal::KILL);
    two.0[0].wait_for("the notification", || events("agent.vanished") > 0);
    let _agent = two.0[0].start_agent("db-1", two.0[0].place(), "role=db", &[]);
    two.wait_for_both("db-1");
    two.0[0].wait_for("its return", || events("agent.returned") > 0);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!((events("agent.vanished"), events("agent.returned")), (1, 1), "both saw it, and it was told once");
}
