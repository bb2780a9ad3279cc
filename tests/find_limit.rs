//! `faultline find-limit` from end to end with the sample shop, whose limit is known: it follows from the front end's timeout.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::{Lab, injected};
use faultline::hypothesis::verdict::Phase;
use faultline::run::journal::{Entry, Event};
use faultline::signals::sample::{Reading, Sample};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/find-limit.yaml")
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn journals(lab: &Lab) -> Vec<Vec<Entry>> {
    let runs = std::fs::read_dir(lab.state().join("runs")).into_iter().flatten();
    let mut runs: Vec<PathBuf> = runs.map(|run| run.unwrap().path()).collect();
    runs.sort();
    let read = |run: PathBuf| std::fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
    let entries = |text: String| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    runs.into_iter().map(read).map(entries).collect()
}

/// How long a checkout takes without the fault, in milliseconds: the median of the samples before the first injection of each run, and by
/// how much one in ten takes longer. On a loaded host both are more than the backend's 5 ms of work would make them.
fn usual_milliseconds(journals: &[Vec<Entry>]) -> (f64, f64) {
    let mut found = Vec::new();
    for entries in journals {
        let before = entries.iter().take_while(|entry| !matches!(entry.event, Event::Injected { .. }));
        found.extend(before.filter_map(|entry| match &entry.event {
            Event::Sample(Sample { reading: Reading::Request { latency, failure: None }, .. }) => Some(*latency),
            _ => None,
        }));
    }
    found.sort_by(f64::total_cmp);
    let at = |tenth: usize| found[found.len() * tenth / 10] * 1000.0;
    (at(5), at(9) - at(5))
}

/// The front end gives up after 250 ms, and a checkout pays the delay twice: the limit is half of what the rest of a checkout leaves
/// of that. It is found within 5%, and within what the host's own slowness adds to that, in fewer than 15 runs of 4 s; it is kept in a
/// file, and not below what is asked.
#[test]
fn the_limit_of_the_shop_is_found_within_five_percent() {
    let lab = Lab::new();
    let (file, kept) = (example(), lab.path().join("limits.json"));
    // A little more than half: what a loaded host delays beyond the timeout is not to decide.
    let set = ["--set", "steadyState[0].errors.below=60%"];
    let search = ["find-limit", file.to_str().unwrap(), "--dose", "delay=0ms..500ms", "--json"];
    let arguments = [&search[..], &set].concat();
    let objective = ["--at-least", "20ms", "--baseline", kept.to_str().unwrap(), "--update-baseline"];
    let output = lab.faultline(&[&arguments[..], &objective].concat()).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["requirements"][0]["met"], "yes", "{out}");
    let number = |name: &str| result[name]["number"].as_f64().unwrap() * 1000.0;
    let runs = result["runs"].as_array().unwrap();
    assert!(runs.len() < 15, "{out}");
    let journals = journals(&lab);
    assert_eq!(journals.len(), runs.len());
    let (usual, slowness) = usual_milliseconds(&journals);
    let truth = (250.0 - usual) / 2.0;
    let (limit, low, high) = (number("limit"), number("low"), number("high"));
    // Where checkouts now and then take long by themselves, no dose divides those that hold from those that fail so sharply: the search
    // says so then, and the truth is within its interval.
    let found = result["outcome"] == "found";
    let allowed = slowness + if found { 0.05 * truth } else { high - low };
    assert!((limit - truth).abs() < allowed, "{limit} is found, {truth} is so, {allowed} is allowed\n{err}");
    assert!(low <= limit && limit < high && (!found || high - low < 0.051 * high), "{low} to {high}: {out}\n{err}");
    // Each run is a whole one: judged, undone, and with a report of its own.
    for (run, entries) in runs.iter().zip(&journals).filter(|(run, _)| run["verdict"] != "refused") {
        assert!(Path::new(run["folder"].as_str().unwrap()).join("report.html").exists());
        assert!(injected(entries));
        assert!(entries.iter().any(|entry| matches!(entry.event, Event::Undone { verified: true, .. })));
        let judged = entries.iter().find_map(|entry| match &entry.event {
            Event::Judged { objectives } => Some(objectives.iter().any(|one| one.phase == Phase::During)),
            _ => None,
        });
        assert_eq!(judged, Some(true));
    }
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(&kept).unwrap()).unwrap();
    let past = &baseline["baselines"]["main"]["how-late-may-the-backend-be"][0];
    let kept = if found { &result["limit"]["written"] } else { &Value::Null };
    assert_eq!(&past["limit"], kept, "{baseline:#}");
    lab.assert_nothing_left();
}

/// What is told before anything is touched, and Ctrl-C in a run: it undoes, and what is known is told.
#[test]
fn a_search_is_planned_first_and_can_be_interrupted() {
    let lab = Lab::new();
    let file = example();
    let file = file.to_str().unwrap();
    let code = |arguments: &[&str]| {
        let output = lab.faultline(&[&["find-limit", file], arguments].concat()).output().unwrap();
        let (out, err) = text(&output);
        (output.status.code().unwrap(), out + &err)
    };
    let (planned, told) = code(&["--dose", "delay=0..500ms", "--dry-run"]);
    assert_eq!(planned, 0, "{told}");
    assert!(told.contains("at most 14 runs of at least 4s each: 56s, and at most"), "{told}");
    assert!(told.contains("the baseline of every run shows that the hypothesis holds there"), "{told}");
    for (arguments, expected) in [
        (&["--dose", "dely=0..500ms"][..], "did you mean `delay`?"),
        (&["--dose", "delay=0..500"], "a duration with its unit"),
        (&["--dose", "delay=0..500ms", "--at-least", "1s"], "is not within the range"),
        (&["--dose", "delay=0..500ms", "--within", "4s"], "a run takes at least 4s"),
        (&["--dose", "delay=0..500ms", "--resolution", "5"], "a length of time"),
    ] {
        let (wrong, told) = code(arguments);
        assert!(wrong == 2 && told.contains(expected), "{arguments:?}: {wrong} {told}");
    }
    assert!(journals(&lab).is_empty());
    let mut search =
        lab.faultline(&["find-limit", file, "--dose", "delay=0..500ms", "--set", "method[1].inject.for=10m"]);
    let search = search.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lab.wait_for("the injection", injected);
    kill(Pid::from_raw(search.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = search.wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(130), "{out}\n{err}");
    assert!(out.contains("nothing is known of the limit after 1 run"), "{out}\n{err}");
    lab.assert_nothing_left();
}

/// A delay with which every checkout would fail: as a placebo it is planned, guarded, undone and judged, and nothing fails. A gate of two
/// such runs has no false alarm.
#[test]
fn a_placebo_does_everything_but_inject() {
    let lab = Lab::new();
    let file = example();
    let file = file.to_str().unwrap();
    let deadly = ["--set", "method[1].inject.fault.network-latency.delay=10s"];
    let output = lab.faultline(&[&["run", file, "--placebo"], &deadly[..]].concat()).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert!(out.contains("placebo: nothing was injected"), "{out}");
    let entries = lab.journal();
    assert!(matches!(&entries[0].event, Event::Started(started) if started.placebo));
    let (mut planned, mut undone) = (0, 0);
    for entry in &entries {
        match &entry.event {
            Event::Planned { plan, .. } => {
                assert!(plan.steps.is_empty() && plan.notes[0].starts_with("placebo, not done: "), "{plan:?}");
                planned += 1;
            }
            Event::Undone { verified, .. } => undone += usize::from(*verified),
            Event::Evidence { .. } => panic!("{entry:?}"),
            _ => {}
        }
    }
    assert!(injected(&entries) && planned == 1 && undone == 1, "{planned} {undone}");
    let report = lab.faultline(&["report", "latest", "--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&report["placebo"], &report["verdict"]), (&true.into(), &"held".into()));
    let output =
        lab.faultline(&[&["gate", file, "--placebo-rate", "2", "--json"], &deadly[..]].concat()).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&result["all"]["judged"], &result["all"]["alarms"]), (&2.into(), &0.into()), "{out}");
    lab.assert_nothing_left();
}
