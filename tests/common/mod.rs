//! What the end-to-end tests share: running the real program in a state folder of the test's own, and the proof that
//! nothing is left behind.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each test binary uses its own part; a test that cannot go on fails, and says what it skipped"
)]

pub mod alerting;
pub mod fleet;
pub mod game_days;
pub mod injections;
pub mod machine;
pub mod ports;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use faultline::run::journal::{Entry, Event};

/// A state folder, and scratch beside it, both gone at the end of the test.
pub struct Lab {
    folder: tempfile::TempDir,
}

/// One finished run.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub entries: Vec<Entry>,
}

impl Lab {
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The program, told to use this lab's state folder.
    pub fn faultline(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command.args(arguments).env("FAULTLINE_STATE", self.state()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a document to its end.
    pub fn run(&self, file: &Path, arguments: &[&str]) -> Ran {
        let mut all = vec!["run", file.to_str().unwrap()];
        all.extend(arguments);
        let output = self.faultline(&all).output().unwrap();
        self.ran(&output)
    }

    /// Runs the text of a document to its end.
    pub fn run_text(&self, text: &str) -> Ran {
        let file = self.write("experiment.yaml", text);
        self.run(&file, &[])
    }

    pub fn start(&self, file: &Path, arguments: &[&str]) -> Child {
        let mut all = vec!["run", file.to_str().unwrap()];
        all.extend(arguments);
        self.faultline(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn ran(&self, output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            entries: self.journal(),
        }
    }

    /// The journal of the newest run, without a torn last line.
    pub fn journal(&self) -> Vec<Entry> {
        let Ok(runs) = std::fs::read_dir(self.state().join("runs")) else { return Vec::new() };
        let Some(newest) = runs.map(|run| run.unwrap().path()).max() else { return Vec::new() };
        let text = std::fs::read_to_string(newest.join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the journal shows something.
    pub fn wait_for(&self, what: &str, seen: impl Fn(&[Entry]) -> bool) {
        self.wait_until(what, || seen(&self.journal()));
    }

    pub fn wait_until(&self, what: &str, seen: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !seen() {
            assert!(Instant::now() < deadline, "waited 60 s for: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The journal of faults is empty, `list` says so, no process of a run in this lab is alive, and no run's scratch
    /// folder is there.
    pub fn assert_nothing_left(&self) {
        let faults = self.state().join("faults");
        let records: Vec<_> = std::fs::read_dir(&faults)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        let records: Vec<_> = records.iter().filter(|name| name.to_string_lossy().ends_with(".json")).collect();
        assert!(records.is_empty(), "records of faults are left: {records:?}");
        let listed = self.faultline(&["list"]).output().unwrap();
        assert!(listed.status.success(), "list: {listed:?}");
        assert_eq!(self.processes(), Vec::<String>::new(), "processes of a run are left");
        for run in std::fs::read_dir(self.state().join("runs")).into_iter().flatten() {
            let scratch = std::env::temp_dir().join(format!("faultline-{}", run.unwrap().file_name().display()));
            assert!(!scratch.exists(), "{} is left", scratch.display());
        }
    }

    /// The processes that were started with this lab's state folder in their environment: services, keepers, guards.
    pub fn processes(&self) -> Vec<String> {
        let marker = format!("FAULTLINE_STATE={}", self.state().display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()) {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                found.push(format!(
                    "{}: {}",
                    entry.file_name().to_string_lossy(),
                    String::from_utf8_lossy(&line).replace('\0', " ")
                ));
            }
        }
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A failed test must not leave its processes; each is ended by its own recorded pid.
        for line in self.processes() {
            if let Some(pid) = line.split(':').next().and_then(|pid| pid.parse::<i32>().ok()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn injected(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.event, Event::Injected { .. })).count()
    }

    pub fn undone_and_verified(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.event, Event::Undone { verified: true, .. })).count()
    }
}

/// Whether a program is installed.
pub fn has(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/sbin", "/bin"]
        .iter()
        .any(|place| Path::new(place).join(program).exists())
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn injected(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.event, Event::Injected { .. }))
}

/// The sample shop as services of an experiment.
pub fn shop(front: &str, backend: &str) -> String {
    format!(
        r#"
  services:
    backend:
      run: [faultline, sample, backend, --port, "8081"{backend}]
      ready: {{ http: "http://127.0.0.1:8081/healthz" }}
    front:
      run: [faultline, sample, front, --port, "8080", --backend, "127.0.0.1:8081", --timeout, 150ms{front}]
      ready: {{ http: "http://127.0.0.1:8080/healthz" }}
      after: [backend]
"#
    )
}

/// A document from the parts of its `spec`.
pub fn experiment(name: &str, parts: &str) -> String {
    format!(
        "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: {name} }}\nspec:\n  hypothesis: It holds.\n  seed: 7\n{parts}\n"
    )
}
