//! The document's schema is current and means what the reader means; every experiment of this repository and every
//! example of the catalogue can be used.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as no tests to clippy")]

use std::fs;
use std::path::{Path, PathBuf};

use faultline::document::load;
use faultline::document::schema;
use faultline_agent::fault::{AnyFault, CATALOGUE};
use serde_json::Value;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/document.schema.json");

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema::of(None)).unwrap()
}

/// What is wrong with a document by the schema, `path: message` each.
fn against_the_schema(text: &str) -> Vec<String> {
    let value: Value = serde_saphyr::from_str(text).unwrap();
    validator().iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn experiments() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut files: Vec<PathBuf> = [folder.clone(), folder.join("schedules"), folder.join("game-days")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

const GOOD: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: good, labels: { version: "1.10" } }
spec:
  hypothesis: It holds.
  services:
    shop: { run: [shop, --fast], ready: { tcp: "127.0.0.1:80", within: 5s }, restart: { after: 500ms } }
  signals:
    shop: { http: { url: "http://127.0.0.1:8080/", rate: 50/s, expectStatus: [200, 300-399] } }
    command: { exec: { run: [check], read: number } }
    host: { host: { of: main } }
  steadyState:
    - { signal: shop, errors: { below: 5% } }
    - { signal: shop, traffic: { atLeast: 80%, of: baseline } }
    - { signal: command, value: { below: 2.5 } }
    - { signal: host, saturation: { resource: cpu-pressure, below: 50 } }
  guardrails:
    - { signal: shop, latency: { quantile: 0.5, below: 1s } }
  targets:
    main: { service: shop, pick: { percent: 50, atMost: 2 } }
  method:
    - observe: 30s
    - inject: { fault: { process-pause: {} }, on: main, for: 30s }
  recovery: { within: 1m30s }
  seed: 7
"#;

#[test]
fn the_schema_in_the_repository_is_current() {
    let current = serde_json::to_string_pretty(&schema::of(None)).unwrap() + "\n";
    let committed = fs::read_to_string(SCHEMA).unwrap();
    assert!(
        committed == current,
        "the document has changed: `cargo run -- schema > experiments/document.schema.json`, and look at the diff"
    );
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    assert_eq!(against_the_schema(GOOD), Vec::<String>::new());
    let loaded = load::from_text("good.yaml", GOOD, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
    let written = serde_json::to_value(&loaded[0].document).unwrap();
    let errors: Vec<String> = validator().iter_errors(&written).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "what is written back");
}

#[test]
fn the_schema_and_the_reader_agree_about_hosts() {
    let document = |hosts: &str, radius: &str| {
        GOOD.replace(
            "main: { service: shop, pick: { percent: 50, atMost: 2 } }",
            &format!("main: {{ hosts: {hosts} }}"),
        )
        .replace("  seed: 7", &format!("  seed: 7\n  blastRadius: {radius}"))
    };
    for (hosts, radius) in [
        ("{ labels: { role: db }, pick: one }", "{ hosts: 3 }"),
        ("{ names: [db-1, 'db-*', '?'], pick: all }", "{ hosts: 20%, perLabel: { zone: 1, role=db: 50% } }"),
        ("{ names: [db-1], pick: { count: 2, atMost: 3, atLeast: 1 } }", "{ hosts: 2 }"),
        ("{ expressions: ['zone in (a, b)', '!spot', kernel >= 6.1], pick: { upTo: 30% } }", "{}"),
    ] {
        let text = document(hosts, radius);
        assert_eq!(against_the_schema(&text), Vec::<String>::new(), "{hosts}");
        let loaded = load::from_text("good.yaml", &text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let written = serde_json::to_value(&loaded[0].document).unwrap();
        let errors: Vec<String> = validator().iter_errors(&written).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "what is written back of {hosts}");
        let again: faultline::experiment::document::Experiment = serde_json::from_value(written).unwrap();
        assert_eq!(Some(again), loaded[0].clone().experiment().ok().map(|one| one.document), "{hosts}");
    }
    for (hosts, radius) in [
        ("{ names: [db 1] }", "{}"),
        ("{ names: db-1 }", "{}"),
        ("{ pick: two, names: [a] }", "{}"),
        ("{ pick: { atleast: 1 }, names: [a] }", "{}"),
        ("{ expressions: [''] }", "{}"),
        ("{ names: [a] }", "{ hosts: -1 }"),
        ("{ names: [a] }", "{ hosts: 1.5 }"),
        ("{ names: [a] }", "{ perLabel: { 'a b': 1 } }"),
    ] {
        let text = document(hosts, radius);
        assert!(!against_the_schema(&text).is_empty(), "the schema takes {hosts} {radius}");
        assert!(load::from_text("wrong.yaml", &text, &[]).is_err(), "the reader takes {hosts} {radius}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    for (from, to) in [
        ("hypothesis: It holds.", "hypotheses: It holds."),
        ("kind: Experiment", "kind: Experimint"),
        ("faultline.dev/v1", "faultline.dev/v2"),
        ("name: good", "name: Good Name"),
        ("rate: 50/s", "rate: 50"),
        ("within: 5s", "within: 5 parsecs"),
        ("below: 5%", "below: five"),
        ("atLeast: 80%", "atLeast: 80"),
        ("quantile: 0.5", "quantile: 50"),
        ("errors: { below: 5% } }", "errors: { below: 5% }, value: { below: 1 } }"),
        ("signal: shop, errors: { below: 5% }", "signal: shop"),
        ("resource: cpu-pressure", "resource: cpus"),
        ("process-pause", "process-pausing"),
        ("expectStatus: [200, 300-399]", "expectStatus: [20]"),
        ("- observe: 30s", "- wait: 30s"),
        ("seed: 7", "seed: -7"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let wrong = GOOD.replacen(from, to, 1);
        assert!(!against_the_schema(&wrong).is_empty(), "the schema takes {to}");
        assert!(load::from_text("wrong.yaml", &wrong, &[]).is_err(), "the reader takes {to}");
    }
}

const SCHEDULE: &str = r#"
apiVersion: faultline.dev/v1
kind: Schedule
metadata: { name: good }
spec:
  experiment: other
  cron: "0 10 * * mon-fri"
  timeZone: Europe/Berlin
  windows: [{ days: "mon-thu,sat", hours: "09:00-17:00" }, { hours: "22:00-06:00" }]
  blackouts:
    - { date: 2026-12-25 }
    - { from: 2026-12-27, to: "2026-12-28T12:00", reason: Sale }
    - { calendarText: "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\nEND:VEVENT\nEND:VCALENDAR" }
  jitter: 5m
  concurrency: forbid
  startingDeadline: 2m
  missed: { policy: run-once, deadline: 1h }
  history: { keep: 7 }
  seed: 7
"#;

const BY_CHANCE: &str = r#"
apiVersion: faultline.dev/v1
kind: Schedule
metadata: { name: good }
spec:
  experiment: other
  probabilistic:
    groups: { a: { labels: { app: a } }, b: {} }
    meanTimeBetweenRuns: 5d
    minimumGap: 2d
  windows: [{ days: mon-fri, hours: "09:00-15:00" }]
"#;

#[test]
fn the_schema_of_schedules_takes_and_refuses_what_the_reader_does() {
    for good in [SCHEDULE, BY_CHANCE] {
        assert_eq!(against_the_schema(good), Vec::<String>::new());
        let loaded = load::from_text("good.yaml", good, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let written = serde_json::to_value(&loaded[0].document).unwrap();
        let errors: Vec<String> = validator().iter_errors(&written).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "what is written back");
        let text = serde_saphyr::to_string(&loaded[0].document).unwrap();
        let again = load::from_text("again.yaml", &text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        assert_eq!(again[0].document, loaded[0].document);
    }
    for (good, from, to) in [
        (SCHEDULE, "cron: \"0 10 * * mon-fri\"", "suspend: true"),
        (SCHEDULE, "0 10 * * mon-fri", "0 0 10 * * mon-fri"),
        (SCHEDULE, "09:00-17:00", "9-17"),
        (SCHEDULE, "mon-thu,sat", "1-4"),
        (SCHEDULE, "date: 2026-12-25", "day: 2026-12-25"),
        (SCHEDULE, "from: 2026-12-27, to", "from: 2026-12-27, calendar"),
        (SCHEDULE, "date: 2026-12-25", "date: 25.12.2026"),
        (SCHEDULE, "jitter: 5m", "jitter: 5"),
        (SCHEDULE, "forbid", "forbidden"),
        (SCHEDULE, "run-once", "run-twice"),
        (SCHEDULE, "keep: 7", "keep: 0"),
        (SCHEDULE, "kind: Schedule", "kind: Scedule"),
        (BY_CHANCE, "{ labels: { app: a } }", "{ label: { app: a } }"),
        (BY_CHANCE, "{ a: { labels: { app: a } }, b: {} }", "{}"),
        (BY_CHANCE, "5d", "5 days"),
        (BY_CHANCE, "meanTimeBetweenRuns: 5d", "meanTime: 5d"),
        (BY_CHANCE, "  probabilistic:", "  cron: \"@daily\"\n  probabilistic:"),
    ] {
        assert!(good.contains(from), "{from}");
        let wrong = good.replacen(from, to, 1);
        assert!(!against_the_schema(&wrong).is_empty(), "the schema takes {to}");
        assert!(load::from_text("wrong.yaml", &wrong, &[]).is_err(), "the reader takes {to}");
    }
}

#[test]
fn every_example_of_the_catalogue_can_be_used() {
    for entry in CATALOGUE {
        let fault: AnyFault = serde_saphyr::from_str(entry.example)
            .unwrap_or_else(|error| panic!("the example of {}: {error}\n{}", entry.name, entry.example));
        assert_eq!(fault.name(), entry.name);
        fault.check().unwrap_or_else(|error| panic!("the example of {}: {error}", entry.name));
        let indented = entry.example.trim_end().replace('\n', "\n            ");
        let text = GOOD.replace(
            "{ fault: { process-pause: {} }, on: main, for: 30s }",
            &format!("\n        on: main\n        for: 30s\n        fault:\n            {indented}"),
        );
        assert_eq!(against_the_schema(&text), Vec::<String>::new(), "{}", entry.name);
        load::from_text("example.yaml", &text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
    }
}

#[test]
fn every_experiment_of_this_repository_can_be_used() {
    let files = experiments();
    if files.is_empty() {
        println!("skipped: there is no experiment here yet");
    }
    for file in files {
        let name = file.display();
        let loaded = load::load(&file, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        for one in &loaded {
            assert!(one.warnings.is_empty(), "{name}:\n{}", one.render_warnings(false));
            let value = serde_json::to_value(&one.document).unwrap();
            assert!(validator().is_valid(&value), "{name}");
        }
        if loaded.len() == 1 {
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(against_the_schema(&text), Vec::<String>::new(), "{name}");
        }
    }
}
