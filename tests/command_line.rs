//! What the command line prints: help, the catalogue, a plan; whole outputs, so that every change of them is seen.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as no tests to clippy")]

use std::path::Path;
use std::process::{Command, Stdio};

use faultline_agent::fault::CATALOGUE;
use serde_json::Value;

fn faultline(arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("faultline"))
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("FAULTLINE_STATE", folder.join("state"))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", faultline(&["-h"], folder.path()));
    insta::assert_snapshot!("help_check", faultline(&["check", "--help"], folder.path()));
    insta::assert_snapshot!("help_plan", faultline(&["plan", "--help"], folder.path()));
    insta::assert_snapshot!("help_halt", faultline(&["halt", "--help"], folder.path()));
}

#[test]
fn the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("faults", faultline(&["faults"], folder.path()));
    let all: Value = serde_json::from_str(&faultline(&["faults", "--json"], folder.path())).unwrap();
    for (entry, described) in CATALOGUE.iter().zip(all.as_array().unwrap()) {
        assert_eq!(described["name"], entry.name);
        let properties = described["schema"]["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
        let parameters = described["parameters"].as_array().unwrap();
        for name in properties {
            let parameter = parameters.iter().find(|parameter| parameter["name"] == name.as_str());
            let parameter = parameter.unwrap_or_else(|| panic!("{} does not describe {name}", entry.name));
            assert_ne!(parameter["form"], "", "{} {name}", entry.name);
            assert_ne!(parameter["description"], "", "{} {name}", entry.name);
        }
        let page = faultline(&["faults", entry.name], folder.path());
        assert!(page.contains(entry.example.trim().lines().next().unwrap()), "{page}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    faultline(&["man", "--out", "pages"], folder.path());
    for page in ["faultline.1", "faultline-check.1", "faultline-plan.1", "faultline-halt.1"] {
        assert!(folder.path().join("pages").join(page).exists(), "{page}");
    }
    assert!(!folder.path().join("pages/faultline-keep-service.1").exists(), "what is hidden has no page");
    for shell in ["bash", "zsh", "fish"] {
        assert!(faultline(&["completions", shell], folder.path()).contains("faultline"));
    }
}

const PLANNED: &str = r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: sleeper-sleeps }
spec:
  hypothesis: A sleeping process does not notice that it is stopped.
  services:
    sleeper: { run: [sleep, "1000"] }
  network: host
  signals:
    sleeper: { exec: { run: ["true"], interval: 100ms } }
  steadyState:
    - { signal: sleeper, errors: { below: 50% } }
  targets:
    sleeper: { service: sleeper }
    here: { process: { commandLine: "^sleep PID " } }
  method:
    - observe: 5s
    - inject: { fault: { process-pause: {} }, on: here, for: 5s }
    - inject: { fault: { process-kill: { grace: 1s } }, on: sleeper, for: 5s }
  seed: 7
"#;

/// The state of the host that a fault of this plan could change.
fn state_of(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find(|line| line.starts_with("State:")).unwrap().to_owned()
}

#[test]
fn a_plan_names_targets_steps_and_undo_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A command line that nobody else on this host has.
    let marker = std::process::id();
    let mut sleeper = Command::new("sleep").args(["1000", &marker.to_string()]).stdout(Stdio::null()).spawn().unwrap();
    let text = PLANNED.replace("^sleep PID ", &format!("^sleep 1000 {marker}$"));
    std::fs::write(folder.path().join("x.yaml"), &text).unwrap();
    while !state_of(sleeper.id()).contains("sleeping") {
        std::thread::yield_now();
    }
    let before = state_of(sleeper.id());
    let plan = faultline(&["plan", "x.yaml"], folder.path());
    let json: Value = serde_json::from_str(&faultline(&["plan", "--json", "x.yaml"], folder.path())).unwrap();
    let after = state_of(sleeper.id());
    let pid = sleeper.id();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(before, after);
    assert!(!folder.path().join("state").exists(), "a plan makes no state folder");
    assert_eq!(json[0]["steps"][1]["inject"]["outcome"]["resolved"]["plan"]["fault"], "process-pause");
    assert!(json[0]["steps"][2]["inject"]["outcome"]["at-the-run"]["because"].is_string());
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    let plain = plan
        .replace(&pid.to_string(), "PID")
        .replace(&marker.to_string(), "MARKER")
        .replace(&format!("user {user}"), "user ME");
    insta::assert_snapshot!("plan", plain);
}
