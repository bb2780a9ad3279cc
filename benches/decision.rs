//! From an answer to a decision: how long after the answer that makes a guardrail breached the run ends itself. Real runs
//! of the sample shop, as an ordinary user or root; the answer is found by judging the journal again, sample by sample.
//!
//! `cargo bench --bench decision -- 10`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends at the first surprise")]

use std::path::Path;
use std::process::{Command, Stdio};

use faultline::hypothesis::Judge;
use faultline::report::read_journal;
use faultline::run::journal::{Entry, Event};
use faultline::signals::sample::Reading;

/// The aim, in seconds.
const AIM: f64 = 0.05;

const DOCUMENT: &str = r#"
apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: decision }
spec:
  hypothesis: The backend may hang.
  services:
    backend: { run: [faultline, sample, backend, --port, "8081"], ready: { http: "http://127.0.0.1:8081/healthz" } }
  signals:
    backend: { http: { url: "http://127.0.0.1:8081/healthz", rate: 200/s, timeout: 100ms } }
  steadyState: [ { signal: backend, errors: { below: 5% } } ]
  guardrails: [ { signal: backend, errors: { below: 5% } } ]
  targets:
    backend: { service: backend }
  method:
    - observe: 3s
    - inject: { fault: { process-pause: {} }, on: backend, for: 20s }
  recovery: { within: 10s }
"#;

fn main() {
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("decision.yaml");
    std::fs::write(&file, DOCUMENT).unwrap();
    let mut took: Vec<f64> = (0..runs).map(|number| decision(&file, &folder.path().join(number.to_string()))).collect();
    took.sort_by(f64::total_cmp);
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("from the answer to the decision, {runs} runs at 200 requests a second:");
    for (what, measured) in [("median", median), ("worst", worst)] {
        println!("  {what}: measured {:.1} ms, aim {:.0} ms, ratio {:.2}", measured * 1e3, AIM * 1e3, measured / AIM);
    }
}

/// One run, in seconds.
fn decision(file: &Path, out: &Path) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command.arg("run").arg(file).arg("--out").arg(out).env("FAULTLINE_STATE", out.join("state"));
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(5), "the guardrail ends the run");
    let mut runs = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path().join("journal.jsonl"));
    let journal = runs.find(|path| path.is_file()).unwrap();
    let entries = read_journal(&journal).unwrap();
    let decided = entries.iter().find(|entry| matches!(entry.event, Event::Breached { .. })).unwrap().at;
    decided - answered(&entries)
}

/// When the answer had come, or had failed to, with which the guardrail is breached.
fn answered(entries: &[Entry]) -> f64 {
    let Event::Started(started) = &entries[0].event else { panic!("a journal begins with its document") };
    let mut judge = Judge::new(&started.experiment.spec).unwrap();
    for entry in entries {
        judge.follow(entry);
        if let Event::Sample(sample) = &entry.event
            && judge.breach(entry.at).is_some()
            && let Reading::Request { latency, .. } = sample.reading
        {
            return sample.at + latency;
        }
    }
    panic!("no sample breaches the guardrail")
}
