//! A game day over a fleet, with the real programs: `serve`, an agent, Prometheus and Alertmanager, and people at their
//! own command lines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use common::alerting::Alerting;
use common::fleet::{Fleet, is_paused, receiver, service, victim};
use common::game_days::{People, ROLES, Shop, begin, followed, shop_day, short};
use rustix::process::Signal;
use serde_json::Value;

/// What is expected while the backend hangs.
const ALERTS: &str = r#"          - { name: BackendDown, matchers: ['severity="page"'], within: 9s, resolvedWithin: 30s }
          - { name: StillDown, within: 2s }
          - { name: FrontDown, within: 5s }
          - { name: Watchdog, within: 5s }"#;

#[test]
fn people_agree_a_controller_is_killed_at_a_hold_and_the_run_sheet_says_which_alerts_fired() {
    let Some(mut fleet) = Fleet::new() else { return };
    let shop = Shop::open(&fleet);
    let Some(alerting) = Alerting::start(&fleet.path(""), shop.front) else { return };
    let _agent = fleet.host("db-1");
    let out = fleet.path("days");
    let people = People::of(&fleet, &ROLES);
    let document = shop_day(alerting.alertmanager, "owners", ALERTS, "") + &shop.experiment("10s");
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

#[test]
fn a_controller_killed_under_the_fault_undoes_it_and_ends_the_game_day_honestly() {
    let Some(mut fleet) = Fleet::new() else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let people = People::of(&fleet, &ROLES);
    let answers = fleet.path("answers");
    std::fs::write(&answers, "go with me\n").unwrap();
    let document = short("\n      hold: before", "", "10min", service(), process.0.id());
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
    let document = short("", "", "10min", service(), process.0.id());
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

#[test]
fn others_are_told_of_a_game_day_who_is_waited_for_and_how_it_ends() {
    let formats = ["cloud-events", "slack", "pagerduty", "grafana"];
    let receivers = formats.map(|format| (format, receiver()));
    let got = |format: &str| -> Vec<Value> {
        let (_, (_, got)) = receivers.iter().find(|(name, _)| *name == format).unwrap();
        got.lock().unwrap().clone()
    };
    let prepare = |data: &Path| {
        let mut text = "source: https://controller.test\nendpoints:\n".to_owned();
        for (format, (port, _)) in &receivers {
            let secret = if ["pagerduty", "grafana"].contains(format) { ", secretFile: a.key" } else { "" };
            text += &format!(
                "  - {{ name: {format}, format: {format}, url: \"http://127.0.0.1:{port}/in\", events: [game-day.*]{secret} }}\n"
            );
        }
        std::fs::write(data.join("notifications.yaml"), text).unwrap();
        let mut key = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut key, 0o600);
        let mut key = key.create(true).write(true).open(data.join("a.key")).unwrap();
        std::io::Write::write_all(&mut key, b"KEY\n").unwrap();
    };
    let Some(fleet) = Fleet::prepared(prepare) else { return };
    let _agent = fleet.host("db-1");
    let process = victim();
    let people = People::of(&fleet, &ROLES);
    let asked =
        "\n  approvals: { required: 1, of: [owners] }\n  checklist: [ { ask: Is nobody deploying?, of: owners } ]";
    let document = short("\n      hold: before", asked, "1s", service(), process.0.id());
    let agree = |id: &str| {
        let shown = fleet.ask(&["gameday", "show", id]);
        people.may("grace", &["gameday", "approve", id, "--plan-hash", shown["planHash"].as_str().unwrap()]);
    };
    let (mut following, id) = begin(&people, &document, &[]);
    agree(&id);
    people.may("linus", &["gameday", "go", &id]);
    people.may("dennis", &["gameday", "go", &id, "--remark", "all are here"]);
    assert_eq!(following.ended_within(std::time::Duration::from_secs(60)), 0, "{}", followed(&fleet));
    let file = fleet.path("day.yaml");
    let detached = people.client("dennis", &["gameday", "run", file.to_str().unwrap(), "--detach"]).output().unwrap();
    let second = String::from_utf8(detached.stdout).unwrap().trim().to_owned();
    agree(&second);
    people.may("linus", &["gameday", "no-go", &second, "--remark", "a release goes out"]);

    let events = |id: &str| -> Vec<String> {
        let about = format!("game-days/{id}");
        let of_it = got("cloud-events").into_iter().filter(|event| event["subject"] == about.as_str());
        of_it.map(|event| event["type"].as_str().unwrap().replace("dev.faultline.game-day.", "")).collect()
    };
    fleet.wait_for("the last event", || events(&second).iter().any(|event| event == "aborted.v1"));
    let whole = [
        "submitted",
        "waiting-for-approval",
        "hold",
        "decided",
        "hold",
        "decided",
        "started",
        "step",
        "step",
        "finished",
    ];
    assert_eq!(events(&id), whole.map(|event| format!("{event}.v1")));
    let short = ["submitted", "waiting-for-approval", "hold", "decided", "aborted"];
    assert_eq!(events(&second), short.map(|event| format!("{event}.v1")));
    let holds: Vec<Value> =
        got("cloud-events").into_iter().filter(|event| event["type"].to_string().contains("hold")).collect();
    let told: Vec<[&str; 2]> = holds
        .iter()
        .map(|hold| [&hold["data"]["asks"], &hold["data"]["ask"]].map(|text| text.as_str().unwrap()))
        .collect();
    let question = ["question-1", "Is nobody deploying?"];
    assert_eq!(told, [question, ["before-1", "Before stop"], question], "who answers names it");

    fleet.wait_for("all of Slack's", || got("slack").len() == whole.len() + short.len());
    let lines: Vec<String> = got("slack").iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
    assert!(lines.iter().any(|line| line.starts_with("day: go or no-go? Before stop")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("no-go by linus to question-1")), "{lines:#?}");
    fleet.wait_for("all of PagerDuty's", || got("pagerduty").len() == 8);
    let actions = |id: &str| -> Vec<Value> {
        let key = format!("https://controller.test/game-days/{id}");
        got("pagerduty")
            .iter()
            .filter(|event| event["dedup_key"] == key.as_str())
            .map(|event| event["event_action"].clone())
            .collect()
    };
    assert_eq!(actions(&id), ["trigger", "resolve", "trigger", "resolve", "resolve"]);
    assert_eq!(actions(&second), ["trigger", "resolve", "resolve"]);
    fleet.wait_for("both regions", || got("grafana").len() == 2);
    let regions = got("grafana");
    assert!(regions[0]["tags"].as_array().unwrap().contains(&"hold:before-1".into()), "{regions:#?}");
    assert!(regions.iter().all(|region| region["time"].as_i64() < region["timeEnd"].as_i64()), "{regions:#?}");
}

#[test]
fn a_game_day_whose_host_is_gone_is_planned_anew_and_approved_again() {
    let Some(fleet) = Fleet::new() else { return };
    let first = fleet.host("db-1");
    let process = victim();
    let people = People::of(&fleet, &ROLES);
    let asked = "\n  approvals: { required: 1, of: [owners] }";
    let document = short("", asked, "1s", service(), process.0.id());
    let (mut following, id) = begin(&people, &document, &[]);
    let hash = || fleet.ask(&["gameday", "show", &id])["planHash"].as_str().unwrap().to_owned();
    let old = hash();
    drop(first);
    fleet.wait_for("db-1 to be gone", || fleet.connected().is_empty());
    let _second = fleet.host("db-2");
    let approve = |hash: &str| people.does("grace", &["gameday", "approve", &id, "--plan-hash", hash]);
    let (code, told) = approve(&old);
    assert!(code == 3 && told.contains("db-1") && told.contains("gameday replan"), "{code} {told}");
    people.may_not("eve", &["gameday", "replan", &id], "needs the role operator");
    people.may("dennis", &["gameday", "replan", &id]);
    assert_ne!(hash(), old);
    let (code, told) = approve(&old);
    assert!(code == 3 && told.contains("the plan is"), "{code} {told}");
    people.may("grace", &["gameday", "approve", &id, "--plan-hash", &hash()]);
    assert_eq!(following.ended_within(std::time::Duration::from_secs(60)), 0, "{}", followed(&fleet));
    assert!(followed(&fleet).contains("dennis has it planned anew"), "{}", followed(&fleet));
    let shown = fleet.ask(&["gameday", "show", &id]);
    assert_eq!(shown["experiments"][0]["faults"][0], "process-pause for 1s on db-2", "{shown:#}");
}
