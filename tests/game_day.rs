//! Game days on one host, as people hold them: from a file of answers to the run sheet.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as no tests to clippy")]

mod common;

use std::path::PathBuf;

use common::Lab;
use common::alerting::Alerting;
use common::game_days::shop_day;
use common::ports::free_port;
use serde_json::Value;

/// An experiment on the sample shop that stops its backend for a while; the front end falls back.
fn experiment(front: u16, backend: u16, network: &str, lasts: &str) -> String {
    format!(
        r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: {{ name: frozen-backend }}
spec:
  hypothesis: When the backend hangs, checkout loses nothing.
  network: {network}
  services:
    backend:
      run: [faultline, sample, backend, --port, "{backend}"]
      ready: {{ http: "http://127.0.0.1:{backend}/healthz" }}
    front:
      run: [faultline, sample, front, --port, "{front}", --backend, "127.0.0.1:{backend}", --timeout, 500ms, --fallback]
      ready: {{ http: "http://127.0.0.1:{front}/healthz" }}
      after: [backend]
  signals:
    checkout: {{ http: {{ url: "http://127.0.0.1:{front}/checkout", rate: 50/s, timeout: 2s }} }}
  steadyState:
    - {{ signal: checkout, errors: {{ below: 5% }} }}
  targets:
    backend: {{ service: backend }}
  method:
    - observe: 4s
    - inject: {{ fault: {{ process-pause: {{}} }}, on: backend, for: {lasts} }}
    - observe: 2s
  recovery: {{ within: 20s }}
  seed: 7
"#
    )
}

/// Who may approve here, by the names that are typed.
const APPROVERS: &str = "owners, incident-commander";

/// Who says what until the experiment runs.
const AGREED: &str = "approve grace\napprove ada\ngo linus deploys are frozen\ngo ada\n";

struct Day {
    code: i32,
    stderr: String,
    folder: PathBuf,
    sheet: Value,
}

fn hold(lab: &Lab, document: &str, answers: &str, more: &[&str]) -> Day {
    let (file, answers) = (lab.write("day.yaml", document), lab.write("answers.txt", answers));
    let mut arguments = vec!["gameday", "run", file.to_str().unwrap(), "--as", "dennis"];
    arguments.extend(["--answers", answers.to_str().unwrap()]);
    arguments.extend(more);
    let output = lab.faultline(&arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let days = std::fs::read_dir(lab.state().join("game-days")).unwrap_or_else(|_| panic!("{stderr}"));
    let folder = days.map(|day| day.unwrap().path()).max().unwrap();
    let sheet = std::fs::read_to_string(folder.join("sheet.json")).unwrap_or_else(|_| panic!("{stderr}"));
    let again = lab.faultline(&["gameday", "sheet", folder.to_str().unwrap(), "--format", "json"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), sheet, "the sheet is made from the journal alone");
    Day { code: output.status.code().unwrap(), stderr, folder, sheet: serde_json::from_str(&sheet).unwrap() }
}

/// What became of the expected alerts.
fn fired(day: &Day) -> Vec<String> {
    let alerts = day.sheet["experiments"][0]["alerts"].as_array().unwrap();
    let told = |alert: &Value| format!("{}: {}", alert["alert"].as_str().unwrap(), alert["fired"].as_str().unwrap());
    alerts.iter().map(told).collect()
}

#[test]
fn real_prometheus_and_alertmanager() {
    let lab = Lab::new();
    let [front, backend] = [(); 2].map(|()| free_port());
    let Some(alerting) = Alerting::start(lab.path(), front) else { return };

    let alerts = "          - { name: BackendDown, matchers: ['severity=\"page\"'], within: 9s, resolvedWithin: 20s }\n          \
                  - { name: FrontDown, within: 5s }\n          - { name: Watchdog, within: 5s }";
    let document = shop_day(alerting.alertmanager, APPROVERS, alerts, "") + &experiment(front, backend, "host", "10s");
    let day = hold(&lab, &document, &format!("{AGREED}wait incited\nnote ada checkout is slow #detected\n"), &[]);
    let row = &day.sheet["experiments"][0];
    assert_eq!(
        fired(&day),
        ["BackendDown{severity=\"page\"}: in-time", "FrontDown: missed", "Watchdog: firing-before"],
        "{row:#}\n{}",
        day.stderr
    );
    assert_eq!(row["alerts"][0]["resolved"], "in-time", "{row:#}");
    assert_eq!(row["verdict"], "held", "{row:#}");
    let unexpected = row["unexpected"].as_array().unwrap();
    let unexpected: Vec<&str> = unexpected.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert!(unexpected.iter().any(|alert| alert.starts_with("Degraded{")), "{row:#}");
    assert!(!unexpected.iter().any(|alert| alert.starts_with("Watchdog")), "{row:#}");
    for moment in ["incited", "detected", "mitigated", "recovered"] {
        assert!(row[moment]["at"].is_string(), "{moment}: {row:#}");
    }
    assert_eq!((day.sheet["outcome"].as_str(), day.code), (Some("finished"), 1), "an alert was missed");
    for file in ["sheet.md", "sheet.html", "postmortem.md", "postmortem.html", "journal.jsonl", "game-day.yaml"] {
        assert!(day.folder.join(file).is_file(), "{file}");
    }
    lab.assert_nothing_left();
}

#[test]
fn without_alertmanager_an_alert_is_unknown() {
    let lab = Lab::new();
    let alerts = "          - { name: BackendDown, within: 2s }";
    let document = shop_day(free_port(), APPROVERS, alerts, "") + &experiment(8080, 8081, "private", "5s");
    let day = hold(&lab, &document, AGREED, &[]);
    assert_eq!(fired(&day), ["BackendDown: unknown"], "{}", day.stderr);
    let because = day.sheet["experiments"][0]["alerts"][0]["because"].as_str().unwrap();
    assert_eq!(because, "not known: connection refused");
    assert_eq!((day.sheet["outcome"].as_str(), day.code), (Some("finished"), 4));
    lab.assert_nothing_left();
}

#[test]
fn whoever_sees_harm_ends_it_and_it_is_undone() {
    let lab = Lab::new();
    let document = shop_day(free_port(), APPROVERS, "          - { name: BackendDown, within: 2s }", "")
        + &experiment(8080, 8081, "private", "60s");
    let answers =
        format!("{AGREED}wait incited\nfinding ada high no runbook owner=grace\nabort ada a customer calls\n");
    let day = hold(&lab, &document, &answers, &[]);
    assert_eq!(day.sheet["outcome"]["aborted"]["kind"], "person", "{}", day.stderr);
    assert_eq!(day.sheet["experiments"][0]["verdict"], "aborted");
    assert_eq!(day.sheet["findings"][0]["owner"], "grace");
    assert_eq!(day.code, 5);
    let journal = std::fs::read_to_string(day.folder.join("journal.jsonl")).unwrap();
    assert!(journal.contains("{\"undone\":{\"verified\":true}}"), "{journal}");
    lab.assert_nothing_left();
}

#[test]
fn nothing_runs_without_a_go_approvals_and_a_window() {
    let lab = Lab::new();
    let alerts = "          - { name: BackendDown, within: 2s }";
    let document = shop_day(free_port(), APPROVERS, alerts, "") + &experiment(8080, 8081, "private", "5s");
    let past = ["--set", "spec.window={from: 2020-01-01T10:00, until: 2020-01-01T12:00}"];
    for (answers, more, kind, because) in [
        ("approve grace\napprove grace\napprove dennis\n", &[][..], "person", "the file of answers is over"),
        ("approve grace\napprove linus\nno-go grace we deploy\n", &[], "no-go", "no-go by grace on question 1"),
        ("approve grace\napprove linus\ngo grace\nno-go ada too late\n", &[], "no-go", "no-go by ada at the hold"),
        ("approve grace\napprove linus\ngo grace\ngo ada\n", &past, "window-over", "the window is over"),
    ] {
        let day = hold(&lab, &document, answers, more);
        assert_eq!(day.sheet["outcome"]["aborted"]["kind"], kind, "{answers}: {}", day.stderr);
        assert!(day.sheet["outcome"]["aborted"]["because"].as_str().unwrap().contains(because), "{}", day.sheet);
        assert!(day.sheet["experiments"][0]["run"].is_null());
        assert_eq!(day.code, 3);
        assert!(!day.folder.join("runs").exists(), "no run was made");
        std::fs::remove_dir_all(&day.folder).unwrap();
    }
    lab.assert_nothing_left();
}

#[test]
fn usage_that_makes_no_sense_is_refused_before_anything_happens() {
    let lab = Lab::new();
    let alerts = "          - { name: BackendDown, within: 2s }";
    let day = shop_day(free_port(), APPROVERS, alerts, "");
    let run = |document: &str, answers: &str| {
        let (file, answers) = (lab.write("day.yaml", document), lab.write("answers.txt", answers));
        let arguments = ["gameday", "run", file.to_str().unwrap(), "--answers", answers.to_str().unwrap()];
        let output = lab.faultline(&arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let whole = day.clone() + &experiment(8080, 8081, "private", "5s");
    for (document, answers, expected) in [
        (day.trim_end_matches("---\n"), "", "there is no experiment `frozen-backend` in these files"),
        (experiment(8080, 8081, "private", "5s").as_str(), "", "0 game days in"),
        (whole.as_str(), "hello ada\n", "answers.txt:1: `hello` is nothing that can be said"),
        (whole.replace("owners, incident", "owner, incident").as_str(), "", "there is no role and no person `owner`"),
    ] {
        let (code, stderr) = run(document, answers);
        assert!(code == Some(2) && stderr.contains(expected), "{expected}: {code:?} {stderr}");
    }
    assert!(!lab.state().join("game-days").exists());
    let sheet = lab.faultline(&["gameday", "sheet"]).output().unwrap();
    assert_eq!(sheet.status.code(), Some(2));
}
