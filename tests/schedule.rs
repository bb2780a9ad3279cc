//! What `faultline schedule preview` prints, whole, and what other subcommands say of schedules.

#![allow(clippy::unwrap_used, reason = "helpers of tests count as no tests to clippy")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Standard output, standard error and the exit code, in one text.
fn faultline(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("faultline"))
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("FAULTLINE_STATE", folder.join("state"))
        // The user's own zone changes nothing.
        .env("TZ", "Pacific/Auckland")
        .current_dir(folder)
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if !errors.is_empty() {
        text += &format!("--- standard error\n{errors}");
    }
    match output.status.code().unwrap() {
        0 => text,
        code => format!("{text}--- exit code {code}\n"),
    }
}

fn examples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/schedules"))
}

fn preview(arguments: &[&str]) -> String {
    faultline(examples(), &[&["schedule", "preview"], arguments].concat())
}

#[test]
fn the_example_over_a_change_of_clocks() {
    insta::assert_snapshot!(
        "preview_by_pattern",
        preview(&[
            "weekday-mornings.yaml",
            "--name",
            "weekday-mornings",
            "--from",
            "2026-12-14",
            "--until",
            "2027-01-16"
        ])
    );
    insta::assert_snapshot!(
        "preview_by_chance",
        preview(&["weekday-mornings.yaml", "--name", "now-and-then", "--from", "2027-03-22"])
    );
}

#[test]
fn nights_when_clocks_change() {
    let folder = tempfile::tempdir().unwrap();
    let nights = "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: { name: nights }\nspec:\n  experiment: other\n  \
                  cron: \"30 1,2 * * *\"\n  timeZone: Europe/Berlin\n  windows: [{ hours: \"22:00-03:00\" }]\n  suspend: true\n";
    fs::write(folder.path().join("nights.yaml"), nights).unwrap();
    let of = |from: &str, until: &str| {
        faultline(folder.path(), &["schedule", "preview", "nights.yaml", "--from", from, "--until", until])
    };
    insta::assert_snapshot!(
        "preview_of_nights",
        of("2027-03-27", "2027-03-29T12:00") + "\n" + &of("2026-10-24T12:00", "2026-10-26T02:00:00Z")
    );
}

#[test]
fn for_other_programs() {
    let json =
        preview(&["weekday-mornings.yaml", "--from", "2027-03-25", "--until", "2027-03-30", "--seed", "3", "--json"]);
    let value: Value = serde_json::from_str(&json).unwrap();
    let rules: Vec<&str> = value.as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["weekday-mornings", "now-and-then/checkout", "now-and-then/search"]);
    insta::assert_snapshot!("preview_json", serde_json::to_string_pretty(&value[0]).unwrap());
    // The same question has the same answer, another seed another one.
    let again =
        preview(&["weekday-mornings.yaml", "--from", "2027-03-25", "--until", "2027-03-30", "--seed", "3", "--json"]);
    assert_eq!(again, json);
    let other =
        preview(&["weekday-mornings.yaml", "--from", "2027-03-25", "--until", "2027-03-30", "--seed", "4", "--json"]);
    assert_ne!(other, json);
}

#[test]
fn what_cannot_be_previewed() {
    let mut text = String::new();
    for arguments in [
        &["weekday-mornings.yaml", "--name", "weekday-morning"][..],
        &["weekday-mornings.yaml", "--from", "2027-03-22", "--until", "2027-03-22"],
        &["weekday-mornings.yaml", "--from", "2027-03-22", "--until", "2099-01-01"],
        &["weekday-mornings.yaml", "--from", "yesterday"],
        &["weekday-mornings.yaml", "--set", "spec.timeZone=Mars/Olympus"],
        &["../quickstart.yaml"],
    ] {
        text += &format!("$ faultline schedule preview {}\n{}\n", arguments.join(" "), preview(arguments));
    }
    insta::assert_snapshot!("preview_errors", text);
}

#[test]
fn other_subcommands_say_what_to_do_with_schedules() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["weekday-mornings.yaml", "holidays.ics"] {
        fs::copy(examples().join(file), folder.path().join(file)).unwrap();
    }
    let experiment = fs::read_to_string(examples().join("../quickstart.yaml")).unwrap();
    let both = fs::read_to_string(examples().join("weekday-mornings.yaml")).unwrap();
    fs::write(folder.path().join("both.yaml"), format!("{experiment}---\n{both}")).unwrap();
    let of =
        |arguments: &[&str]| format!("$ faultline {}\n{}\n", arguments.join(" "), faultline(folder.path(), arguments));
    let text = of(&["check", "weekday-mornings.yaml", "both.yaml"])
        + &of(&["run", "weekday-mornings.yaml"])
        + &of(&["plan", "weekday-mornings.yaml"]);
    insta::assert_snapshot!("of_schedules", text);
    let plan = faultline(folder.path(), &["plan", "both.yaml"]);
    assert!(
        plan.contains("both.yaml: left alone here: the schedule weekday-mornings, the schedule now-and-then\n"),
        "{plan}"
    );
    assert!(plan.starts_with("checkout-survives-a-slow-backend\n"), "{plan}");
}

#[test]
fn a_calendar_that_cannot_be_read_or_understood_stops_the_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(examples().join("weekday-mornings.yaml"), folder.path().join("x.yaml")).unwrap();
    let one = |text: &str| {
        fs::write(folder.path().join("holidays.ics"), text).unwrap();
        faultline(folder.path(), &["check", "x.yaml"])
    };
    let missing = faultline(folder.path(), &["check", "x.yaml"]);
    assert!(missing.contains("the calendar holidays.ics cannot be read: No such file or directory"), "{missing}");
    assert!(missing.ends_with("--- exit code 2\n"), "{missing}");
    let wrong =
        one("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\nRRULE:FREQ=DAILY;BYHOUR=9\nEND:VEVENT\nEND:VCALENDAR\n");
    assert!(wrong.contains("the calendar is not understood: line 4: `BYHOUR=9` of a recurrence rule"), "{wrong}");
    let right = one("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\nEND:VCALENDAR\n");
    assert_eq!(right, "x.yaml: schedules weekday-mornings, now-and-then can be used\n");
}
