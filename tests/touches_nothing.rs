//! What only looks must leave the host as it was: its fingerprint before equals the one after.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use common::{Lab, experiment};
use faultline_agent::fingerprint::{FingerprintScope, diff, take};

/// Ends a process of the test's own, also when the test fails.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A document in which every fault can be planned on a process of the test's own, without any service.
fn every_fault(victim: &Victim, folder: &Path) -> String {
    experiment(
        "every-fault",
        &format!(
            r#"
  signals: {{ level: {{ exec: {{ run: ["true"], interval: 100ms }} }} }}
  steadyState: [ {{ signal: level, errors: {{ below: 5% }} }} ]
  targets: {{ victim: {{ process: {{ pid: {} }} }} }}
  method:
    - observe: 30s
    - inject: {{ fault: {{ process-pause: {{}} }}, on: victim, for: 5s }}
    - inject: {{ fault: {{ process-kill: {{}} }}, on: victim, for: 5s }}
    - inject: {{ fault: {{ network-latency: {{ delay: 100ms, peers: {{ ports: [9] }} }} }}, on: victim, for: 5s }}
    - inject: {{ fault: {{ network-partition: {{ peers: {{ ports: [9] }} }} }}, on: victim, for: 5s }}
    - inject: {{ fault: {{ disk-fill: {{ path: {}, bytes: 1MiB }} }}, for: 5s }}
"#,
            victim.0.id(),
            folder.display()
        ),
    )
}

#[test]
fn a_plan_and_a_dry_run_change_nothing() {
    let lab = Lab::new();
    let victim = Victim(Command::new("sleep").arg("1000").spawn().unwrap());
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with("fill.yaml"))
        .collect();
    assert!(files.len() >= 8, "{files:?}");
    files.push(lab.write("every-fault.yaml", &every_fault(&victim, lab.path())));
    let scope = FingerprintScope {
        folders: vec![lab.path().to_owned()],
        state: Some(lab.state()),
        ..FingerprintScope::default()
    };
    let before = take(&scope);
    for file in &files {
        let file = file.to_str().unwrap();
        for arguments in [vec!["plan", file], vec!["run", "--dry-run", file], vec!["check", file]] {
            let output = lab.faultline(&arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(!lab.state().exists(), "not even the state folder is made");
    for arguments in [vec!["faults"], vec!["doctor"], vec!["list"], vec!["schema"]] {
        assert!(lab.faultline(&arguments).output().unwrap().status.success(), "{arguments:?}");
    }
    assert_eq!(diff(&before, &take(&scope)), Vec::<String>::new());
}
