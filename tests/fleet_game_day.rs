//! A game day over a fleet, with the real programs: `serve`, an agent, Prometheus and Alertmanager, and people at their
//! own command lines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::{Command, Stdio};

use common::alerting::{Alerting, ask, free_port};
use common::fleet::{Fleet, Running, is_paused, service, told, victim};
use rustix::process::Signal;
use serde_json::Value;

/// The sample shop: a front end that falls back when its backend does not answer.
struct Shop {
    front: u16,
    backend: Running,
    _front: Running,
}

impl Shop {
    fn open(fleet: &Fleet) -> Self {
        let [front, backend] = [(); 2].map(|()| free_port());
        let sample = |what: &str, port: u16, more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
            command.args(["sample", what, "--port", &port.to_string()]).args(more).stdin(Stdio::null());
            let sample = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            fleet.wait_for(what, || ask(port, "/healthz").is_some_and(|answer| answer.contains("200")));
            sample
        };
        let of_backend = sample("backend", backend, &[]);
        let to = format!("127.0.0.1:{backend}");
        let of_front = sample("front", front, &["--backend", &to, "--timeout", "500ms", "--fallback"]);
        Self { front, backend: of_backend, _front: of_front }
    }

    fn experiment(&self, lasts: &str) -> String {
        format!(
            r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: {{ name: frozen-backend }}
spec:
  hypothesis: When the backend hangs, checkout loses nothing.
  signals:
    checkout: {{ http: {{ url: "http://127.0.0.1:{}/checkout", rate: 50/s, timeout: 2s }} }}
  steadyState:
    - {{ signal: checkout, errors: {{ below: 5% }} }}
  targets:
    backend: {{ hosts: {{ labels: {{ role: db }} }}, process: {{ pid: {} }} }}
  method:
    - observe: 4s
    - inject: {{ fault: {{ process-pause: {{}} }}, on: backend, for: {lasts} }}
    - observe: 2s
  recovery: {{ within: 30s }}
  seed: 7
"#,
            self.front,
            self.backend.0.id()
        )
    }
}

fn game_day(alertmanager: u16) -> String {
    format!(
        r#"apiVersion: faultline.dev/v1
kind: GameDay
metadata: {{ name: shop-day }}
spec:
  title: The shop without its backend
  roles:
    incident-commander: [ada]
    owners: [grace, linus]
  approvals: {{ required: 2, of: [owners] }}
  checklist:
    - {{ ask: Is nobody deploying?, of: owners }}
  alertmanager: {{ url: "http://127.0.0.1:{alertmanager}", interval: 300ms, timeout: 1s }}
  experiments:
    - experiment: frozen-backend
      hold: before
      expect:
        alerts:
          - {{ name: BackendDown, matchers: ['severity="page"'], within: 9s, resolvedWithin: 30s }}
          - {{ name: StillDown, within: 2s }}
          - {{ name: FrontDown, within: 5s }}
          - {{ name: Watchdog, within: 5s }}
---
"#
    )
}

/// People, each with a token of their own.
struct People<'a> {
    fleet: &'a Fleet,
    tokens: Vec<(&'static str, String)>,
}

impl<'a> People<'a> {
    fn of(fleet: &'a Fleet, roles: &[(&'static str, &str)]) -> Self {
        let token = |(name, role): &(&'static str, &str)| {
            let made = fleet.ask(&["token", "create", name, "--role", role]);
            (*name, made["token"].as_str().unwrap().to_owned())
        };
        Self { fleet, tokens: roles.iter().map(token).collect() }
    }

    /// The command line of one of them.
    fn client(&self, who: &str, arguments: &[&str]) -> Command {
        let token = &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1;
        let mut command = self.fleet.client(arguments);
        command.env("FAULTLINE_TOKEN", token);
        command
    }

    /// What somebody does: the exit code, and what is said to it.
    fn does(&self, who: &str, arguments: &[&str]) -> (i32, String) {
        let output = self.client(who, arguments).output().unwrap();
        (output.status.code().unwrap(), told(&output))
    }

    fn may(&self, who: &str, arguments: &[&str]) -> String {
        let (code, told) = self.does(who, arguments);
        assert_eq!(code, 0, "{who}: {arguments:?}: {told}");
        told
    }

    fn may_not(&self, who: &str, arguments: &[&str], why: &str) {
        let (code, told) = self.does(who, arguments);
        assert!(code == 3 && told.contains(why), "{who}: {arguments:?}: {code} {told}");
    }
}

const ROLES: [(&str, &str); 5] =
    [("dennis", "operator"), ("ada", "operator"), ("grace", "approver"), ("linus", "admin"), ("eve", "viewer")];

/// Follows a game day from a file, and says nothing.
fn begin(people: &People<'_>, document: &str, more: &[&str]) -> (Running, String) {
    let fleet = people.fleet;
    let file = fleet.path("day.yaml");
    std::fs::write(&file, document).unwrap();
    let mut command = people.client("dennis", &[&["gameday", "run", file.to_str().unwrap()], more].concat());
    let log = std::fs::File::create(fleet.path("following.log")).unwrap();
    let out = std::fs::File::create(fleet.path("sheet.out")).unwrap();
    let following = Running(command.stdout(out).stderr(log).spawn().unwrap());
    fleet.wait_for("the game day", || !fleet.ask(&["gameday", "list"])["gameDays"].as_array().unwrap().is_empty());
    let id = fleet.ask(&["gameday", "list"])["gameDays"][0]["id"].as_str().unwrap().to_owned();
    (following, id)
}

fn followed(fleet: &Fleet) -> String {
    std::fs::read_to_string(fleet.path("following.log")).unwrap()
}

#[test]
fn people_agree_a_controller_is_killed_at_a_hold_and_the_run_sheet_says_which_alerts_fired() {
    let Some(mut fleet) = Fleet::new() else { return };
    let shop = Shop::open(&fleet);
    let Some(alerting) = Alerting::start(&fleet.path(""), shop.front) else { return };
    let _agent = fleet.host("db-1");
    let out = fleet.path("days");
    let people = People::of(&fleet, &ROLES);
    let document = game_day(alerting.alertmanager) + &shop.experiment("10s");
    let (mut following, id) = begin(&people, &document, &["--out", out.to_str().unwrap()]);
    let id = id.as_str();

    let shown = fleet.ask(&["gameday", "show", id]);
    assert_eq!(shown["asks"], "approvals", "{shown:#}");
    assert_eq!(shown["experiments"][0]["faults"][0], "process-pause for 10s on db-1");
    let hash = shown["planHash"].as_str().unwrap();
    let approve = ["gameday", "approve", id, "--plan-hash", hash];
    people.may_not("eve", &approve, "needs the role approver");
    people.may_not("dennis", &approve, "needs the role approver");
    let other = format!("sha256:{}", "0".repeat(64));
    people.may_not("grace", &["gameday", "approve", id, "--plan-hash", &other], "the plan is");
    people.may_not("grace", &["gameday", "go", id, "--to", "question-1"], "is not asked now");
    assert!(people.may("grace", &approve).contains("approved, 1 of 2"));
    people.may_not("grace", &approve, "has approved already");
    people.may("linus", &approve);
    people.may_not("ada", &["gameday", "go", id], "may not answer this question");
    people.may("linus", &["gameday", "go", id, "--remark", "deploys are frozen"]);
    assert_eq!(fleet.ask(&["gameday", "show", id])["asks"], "before-1");
    people.may_not("eve", &["gameday", "abort", id, "--reason", "x"], "needs the role operator");

    let tokens = people.tokens;
    fleet.controller.take().unwrap().signal(Signal::KILL);
    fleet.serve();
    let people = People { fleet: &fleet, tokens };
    fleet.wait_for("its agent", || fleet.connected().contains(&"db-1".to_owned()));
    assert_eq!(fleet.ask(&["gameday", "show", id])["asks"], "before-1", "it holds still");
    assert_eq!(fleet.ask(&["runs", "list"])["runs"], serde_json::json!([]));
    people.may("ada", &["gameday", "go", id]);
    fleet.wait_for("the fault", || is_paused(&shop.backend));
    people.may("ada", &["gameday", "note", id, "checkout is slow", "--tag", "detected"]);
    people.may("ada", &["gameday", "finding", id, "no runbook", "--severity", "high", "--owner", "grace"]);

    let code = following.ended_within(std::time::Duration::from_secs(120));
    let log = followed(&fleet);
    assert_eq!(code, 1, "an alert was missed: {log}");
    let sheet: Value = serde_json::from_str(&people.may("eve", &["gameday", "sheet", id, "--format", "json"])).unwrap();
    let row = &sheet["experiments"][0];
    let fired: Vec<String> = row["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| format!("{}: {}", alert["alert"].as_str().unwrap(), alert["fired"].as_str().unwrap()))
        .collect();
    assert_eq!(
        fired,
        ["BackendDown{severity=\"page\"}: in-time", "StillDown: late", "FrontDown: missed", "Watchdog: firing-before"],
        "{row:#}\n{log}"
    );
    assert_eq!((&row["verdict"], &row["alerts"][0]["resolved"]), (&"held".into(), &"in-time".into()), "{row:#}");
    for moment in ["incited", "detected", "mitigated", "recovered"] {
        assert!(row[moment]["at"].is_string(), "{moment}: {row:#}");
    }
    assert_eq!((&sheet["outcome"], &sheet["identity"]), (&"finished".into(), &"token".into()));
    assert_eq!(sheet["findings"][0]["author"], "ada");
    assert!(!is_paused(&shop.backend));

    let runs = fleet.ask(&["runs", "list"]);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs:#}");
    assert_eq!(runs["runs"][0]["id"], row["run"]);
    assert_eq!(runs["runs"][0]["origin"]["kind"], "game-day");
    let here: Value = serde_json::from_str(&std::fs::read_to_string(out.join(id).join("sheet.json")).unwrap()).unwrap();
    assert_eq!(here, sheet, "the sheet is made from the journal alone, here and there");
    assert!(std::fs::read_to_string(fleet.path("sheet.out")).unwrap().contains("StillDown"));
    for (format, begins) in [("markdown", "# "), ("html", "<!DOCTYPE html>"), ("postmortem", "# ")] {
        let text = people.may("eve", &["gameday", "sheet", id, "--format", format]);
        assert!(text.starts_with(begins), "{format}: {text}");
    }
    assert!(
        log.contains("approve") && log.contains("linus: go: deploys are frozen") && log.contains("in place"),
        "{log}"
    );
    fleet.ask(&["audit", "verify"]);
    people.may_not("ada", &["gameday", "abort", id, "--reason", "too late"], "the game day is over");
}

fn short(hold: bool, port: u16, pid: u32) -> String {
    let hold = if hold { "\n      hold: before" } else { "" };
    format!(
        "apiVersion: faultline.dev/v1\nkind: GameDay\nmetadata: {{ name: day }}\nspec:\n  title: A day\n  roles: {{ drivers: \
         [dennis] }}\n  experiments:\n    - experiment: stop{hold}\n---\napiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ \
         name: stop }}\nspec:\n  hypothesis: Nobody notices.\n  signals:\n    port: {{ tcp: {{ address: \"127.0.0.1:{port}\", rate: \
         50/s, timeout: 500ms }} }}\n  steadyState:\n    - {{ signal: port, errors: {{ below: 50% }} }}\n  targets:\n    db: {{ hosts: {{ \
         labels: {{ role: db }} }}, process: {{ pid: {pid} }} }}\n  method:\n    - observe: 3s\n    - inject: {{ fault: {{ \
         process-pause: {{}} }}, on: db, for: 10min }}\n  recovery: {{ within: 30s }}\n"
    )
}

#[test]
fn a_controller_killed_under_the_fault_undoes_it_and_ends_the_game_day_honestly() {
    let Some(mut fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let people = People::of(&fleet, &ROLES);
    let answers = fleet.path("answers");
    std::fs::write(&answers, "go with me\n").unwrap();
    let document = short(true, service(), process.0.id());
    let (mut following, id) = begin(&people, &document, &["--answers", answers.to_str().unwrap()]);
    fleet.wait_for("the fault", || is_paused(&process));
    let tokens = people.tokens;
    fleet.controller.take().unwrap().signal(Signal::KILL);
    fleet.serve();
    let people = People { fleet: &fleet, tokens };
    fleet.wait_for("the undo", || !is_paused(&process));
    let code = following.ended_within(std::time::Duration::from_secs(60));
    assert_eq!(code, 5, "{}", followed(&fleet));
    let shown = fleet.ask(&["gameday", "show", &id]);
    assert_eq!((&shown["gameDay"]["stage"], &shown["stage"]), (&Value::Null, &"aborted".into()), "{shown:#}");
    assert!(shown["because"].as_str().unwrap().contains("restarted"), "{shown:#}");
    assert_eq!(fleet.ask(&["runs", "list"])["runs"].as_array().unwrap().len(), 1);
    assert!(people.may("eve", &["gameday", "sheet", &id]).contains("with me"));
}

#[test]
fn a_halt_and_an_interruption_undo_what_runs_and_end_the_game_day() {
    let Some(fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let people = People::of(&fleet, &ROLES);
    let document = short(false, service(), process.0.id());
    let (mut following, id) = begin(&people, &document, &[]);
    fleet.wait_for("the fault", || is_paused(&process));
    following.signal(Signal::INT);
    assert_eq!(following.ended(), 5, "{}", followed(&fleet));
    assert!(!is_paused(&process));
    let shown = fleet.ask(&["gameday", "show", &id]);
    assert!(shown["because"].as_str().unwrap().contains("ended by dennis: interrupted"), "{shown:#}");

    let file = fleet.path("day.yaml");
    let detached = people.client("dennis", &["gameday", "run", file.to_str().unwrap(), "--detach"]).output().unwrap();
    let id = String::from_utf8(detached.stdout).unwrap().trim().to_owned();
    fleet.wait_for("the fault again", || is_paused(&process));
    people.may("eve", &["halt", "--reason", "drill"]);
    assert!(!is_paused(&process));
    fleet.wait_for("its end", || fleet.ask(&["gameday", "show", &id])["stage"] == "aborted");
    let shown = fleet.ask(&["gameday", "show", &id]);
    assert_eq!(shown["exitCode"], 5, "{shown:#}");
    assert!(shown["because"].as_str().unwrap().contains("halted: drill"), "{shown:#}");
    people.may_not("dennis", &["gameday", "run", file.to_str().unwrap()], "the fleet is halted");
}
