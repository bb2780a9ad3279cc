//! The whole of a fleet with the real programs: `faultline init`, `serve`, `faultline-agent enrol` and `run`, and an
//! experiment asked for over the API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, is_paused, receiver, service, told, victim};
use common::machine::Place;
use rustix::process::Signal;

#[test]
fn an_experiment_asked_for_over_the_api_is_carried_out_by_the_agent_of_its_host() {
    let Some(mut fleet) = Fleet::new() else { return };
    let mut agent = fleet.host("db-1");
    let process = victim();
    let file = fleet.experiment(process.0.id(), "3s", service());
    let output = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("held"), "{}", told(&output));
    assert!(!is_paused(&process));
    let runs = fleet.ask(&["runs", "list"]);
    assert_eq!(runs["runs"][0]["verdict"], "held", "{runs}");
    let audit = fleet.ask(&["audit", "verify"]);
    assert!(audit["records"].as_u64().or_else(|| audit["sequence"].as_u64()).unwrap_or(1) > 0, "{audit}");
    agent.signal(Signal::TERM);
    assert_eq!(agent.ended(), 0, "an agent that has nothing left ends well");
    let controller = fleet.controller.as_mut().unwrap();
    controller.signal(Signal::TERM);
    assert_eq!(controller.ended(), 0);
    let log = fleet.log.lock().unwrap();
    let read = |line: &String| {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    assert!(
        log.iter().map(read).any(|line| line["message"] == "a run is over" && line["verdict"] == "held"),
        "{log:?}"
    );
}

#[test]
fn a_controller_killed_in_mid_run_closes_the_run_when_it_is_back() {
    let Some(mut fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let (_, mut following) = fleet.under_a_fault(&process);
    fleet.controller.take().unwrap().signal(Signal::KILL);
    fleet.serve();
    fleet.wait_for("the undo", || !is_paused(&process));
    fleet.wait_for("the verdict", || fleet.ask(&["runs", "list"])["runs"][0]["state"] == "finished");
    let run = fleet.ask(&["runs", "list"])["runs"][0].clone();
    assert_eq!(run["verdict"], "aborted", "{run}");
    assert!(run["because"].as_str().unwrap().contains("restarted"), "{run}");
    let _ = following.0.kill();
    following.ended();
}

#[test]
fn an_agent_that_loses_its_controller_undoes_alone() {
    let Some(mut fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let (_, mut following) = fleet.under_a_fault(&process);
    fleet.controller.take().unwrap().signal(Signal::KILL);
    let begun = Instant::now();
    fleet.wait_for("the undo", || !is_paused(&process));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let _ = following.0.kill();
    following.ended();
}

#[test]
fn a_halt_on_any_host_halts_the_fleet_and_once() {
    let Some(fleet) = Fleet::new() else { return };
    if !common::is_root() {
        println!("skipped: a host with mounts of its own needs root");
        return;
    }
    let _agent = fleet.host("db-1");
    let machine = common::machine::Machine::on_this_network(&[&fleet.path("")]);
    let web = fleet.host_at("web-1", machine.place(), "role=web", &[]);
    let process = victim();
    let (file, mut following) = fleet.under_a_fault(&process);
    let halt = r#"mkdir -p -m 755 /run/faultline; echo '{"reason": "smoke in the hall", "time": "'$(date -Is)'"}' > /run/faultline/halt-all.json"#;
    machine.place().run("sh", &["-c", halt]);
    fleet.wait_for("the undo on the other host", || !is_paused(&process));
    assert_eq!(following.ended(), 5, "aborted by a halt, and recovered");
    let refused = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
    assert!(told(&refused).contains("smoke in the hall"), "{}", told(&refused));
    let records = fleet.ask(&["audit", "list", "--action", "halt"]);
    assert!(records.to_string().contains("host/web-1"), "{records}");
    let released = fleet.client(&["halt", "--release"]).output().unwrap();
    assert!(told(&released).contains("web-1"), "that it is halted still is told: {}", told(&released));
    // Whoever released the fleet is not overruled, not even by an agent that comes anew.
    drop(web);
    let _web = fleet.start_agent("web-1", machine.place(), "role=web", &[]);
    fleet.wait_for("web-1 to connect", || fleet.connected().len() == 2);
    let short = fleet.experiment(process.0.id(), "1s", service());
    let ran = fleet.client(&["run", short.to_str().unwrap()]).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", told(&ran));
}

#[test]
fn a_halt_undoes_everything_and_refuses_what_is_new_until_it_is_released() {
    let Some(fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let (file, mut following) = fleet.under_a_fault(&process);
    let halted = fleet.client(&["halt", "--reason", "drill"]).output().unwrap();
    assert_eq!(halted.status.code(), Some(0), "{}", told(&halted));
    assert!(!is_paused(&process), "undone when the command returns");
    assert_eq!(following.ended(), 5, "aborted, and recovered");
    let refused = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
    assert!(told(&refused).contains("drill"), "{}", told(&refused));
    let released = fleet.client(&["halt", "--release"]).output().unwrap();
    assert_eq!(released.status.code(), Some(0), "{}", told(&released));
}

#[test]
fn nobody_speaks_to_a_controller_without_a_token_and_no_token_enrols_twice() {
    let Some(fleet) = Fleet::new() else { return };
    let stranger = fleet.client(&["agents", "list"]).env("FAULTLINE_TOKEN", "fla1.nobody.nothing").output().unwrap();
    assert_eq!(stranger.status.code(), Some(3), "{}", told(&stranger));
    let token = fleet.ask(&["agents", "token"])["token"].as_str().unwrap().to_owned();
    assert!(enrol(&fleet, &token, "web-1").status.success());
    let replay = enrol(&fleet, &token, "web-2");
    assert!(!replay.status.success());
    assert!(told(&replay).contains("not accepted"), "{}", told(&replay));
}

fn enrol(fleet: &Fleet, token: &str, name: &str) -> Output {
    enrol_in(fleet, token, name, name)
}

fn enrol_in(fleet: &Fleet, token: &str, name: &str, folder: &str) -> Output {
    Command::new(&fleet.agent)
        .args(["enrol", "--controller", &fleet.url(), "--token", token, "--name", name, "--state"])
        .arg(fleet.path(folder))
        .output()
        .unwrap()
}

#[test]
fn a_host_cannot_say_itself_into_a_scope_or_out_of_it() {
    let Some(fleet) = Fleet::new() else { return };
    let token = |label: &str| fleet.ask(&["agents", "token", "--label", label])["token"].as_str().unwrap().to_owned();
    let payments = token("team=payments");
    assert!(enrol(&fleet, &payments, "pay-1").status.success());
    assert!(enrol(&fleet, &token("team=search"), "search-1").status.success());
    // Both say that they are of the other team.
    let _pay = fleet.start_agent("pay-1", Place::Here, "role=db,team=search", &[]);
    let _search = fleet.start_agent("search-1", Place::Here, "role=web,team=payments", &[]);
    fleet.wait_for("both hosts", || fleet.connected().len() == 2);
    let shown = fleet.client(&["agents", "list"]).output().unwrap();
    assert!(told(&shown).replace('\n', " ").contains("CLAIMS"), "{}", told(&shown));
    let details = fleet.ask(&["agents", "show", "pay-1"]);
    assert_eq!(
        (&details["labels"]["team"], &details["bound"]["team"], &details["contradicted"]["team"]),
        (&"payments".into(), &"payments".into(), &"search".into()),
        "{details}"
    );
    let made = fleet.ask(&["token", "create", "anna", "--role", "operator", "--scope", "team=payments"]);
    let anna = |arguments: &[&str]| {
        fleet.client(arguments).env("FAULTLINE_TOKEN", made["token"].as_str().unwrap()).output().unwrap()
    };
    let list: serde_json::Value = serde_json::from_slice(&anna(&["agents", "list", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        list["agents"].as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pay-1"]);
    let foreign = anna(&["agents", "show", "search-1"]);
    assert_eq!(foreign.status.code(), Some(3), "{}", told(&foreign));
    // A token enrols once, under a name that nobody has.
    let fresh = token("team=search");
    let taken = enrol(&fleet, &fresh, "pay-1-again");
    assert!(taken.status.success(), "{}", told(&taken));
    let other = token("team=search");
    let squatter = enrol_in(&fleet, &other, "pay-1", "squatter");
    assert!(!squatter.status.success() && told(&squatter).contains("revoke"), "{}", told(&squatter));
    assert!(enrol(&fleet, &other, "search-2").status.success(), "a refusal costs no token");
}

#[test]
fn others_are_told_what_happens_in_a_run_and_in_which_order() {
    let (port, got) = receiver();
    let endpoint = format!(
        "source: https://controller.test\nendpoints: [{{ name: events, format: cloud-events, url: \"http://127.0.0.1:{port}/in\" }}]\n"
    );
    let prepare = |data: &Path| std::fs::write(data.join("notifications.yaml"), endpoint).unwrap();
    let Some(fleet) = Fleet::prepared(prepare) else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let file = fleet.experiment(process.0.id(), "2s", service());
    let output = fleet.client(&["run", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let kinds = || -> Vec<String> {
        got.lock().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    fleet.wait_for("the last notification", || kinds().iter().any(|kind| kind == "dev.faultline.run.finished.v1"));
    let expected = ["run.started", "fault.injected", "fault.undone", "run.finished"];
    let expected: Vec<String> = expected.iter().map(|kind| format!("dev.faultline.{kind}.v1")).collect();
    let of_the_run: Vec<String> = kinds().into_iter().filter(|kind| !kind.contains("queued")).collect();
    assert_eq!(of_the_run, expected);
}

#[test]
fn a_schedule_runs_its_experiment_when_it_is_due_and_once() {
    let Some(fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let file = fleet.experiment(process.0.id(), "2s", service());
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += "---\napiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: { name: each-minute }\nspec:\n  experiment: \
             pause-over-the-fleet\n  cron: \"* * * * *\"\n";
    std::fs::write(&file, text).unwrap();
    let applied = fleet.client(&["schedule", "apply", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(applied.status.code(), Some(0), "{}", told(&applied));
    let finished = || {
        let runs = fleet.ask(&["runs", "list"])["runs"].clone();
        let runs: Vec<serde_json::Value> = runs.as_array().unwrap().clone();
        runs.into_iter().filter(|run| run["state"] == "finished").collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while finished().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the schedule did not fire");
        std::thread::sleep(Duration::from_millis(200));
    }
    let runs = finished();
    assert_eq!((runs.len(), runs[0]["verdict"].as_str()), (1, Some("held")), "{runs:?}");
    assert_eq!(runs[0]["origin"]["kind"], "schedule", "{}", runs[0]);
    assert!(!is_paused(&process));
    let suspended = fleet.client(&["schedule", "suspend", "each-minute"]).output().unwrap();
    assert_eq!(suspended.status.code(), Some(0), "{}", told(&suspended));
}
