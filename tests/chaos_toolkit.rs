//! Side by side with the real Chaos Toolkit, as it is on PyPI: the same services, the same faults, its verdict and ours.
//!
//! `docs/beside-chaos-toolkit.md` has the table as it was seen. Faults act on processes that the test started, by pid.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails, and tells what it saw")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::ports::free_port;
use common::{Lab, Ran};
use faultline::run::journal::{Event, RunState};
use serde_json::{Value, json};

/// The packages as they were when the table was written.
const PINNED: [&str; 4] = ["chaostoolkit==1.19.0", "chaostoolkit-lib==1.44.0", "requests==2.34.2", "PyYAML==6.0.3"];

/// The sample shop as processes of the test, which end with it.
struct Shop {
    backend: Child,
    front: Child,
    port: u16,
}

impl Shop {
    fn start(lab: &Lab, front: &[&str]) -> Self {
        let (backend_port, port) = (free_port().to_string(), free_port());
        let sample = |arguments: &[&str]| {
            let mut all = vec!["sample"];
            all.extend(arguments);
            lab.faultline(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let backend = sample(&["backend", "--port", &backend_port]);
        let (address, port_text) = (format!("127.0.0.1:{backend_port}"), port.to_string());
        let mut all = vec!["front", "--port", &port_text, "--backend", &address, "--timeout", "1s"];
        all.extend(front);
        let shop = Self { backend, front: sample(&all), port };
        let answers = |port: &str| std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok();
        lab.wait_until("the shop answers", || answers(&backend_port) && answers(&port_text));
        shop
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for process in [&mut self.front, &mut self.backend] {
            // By the child's own handle, which knows whether it was reaped: SIGKILL ends a stopped process too.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What a tool said.
#[derive(Debug, PartialEq)]
struct Said {
    code: i32,
    word: String,
}

/// The folder with the packages; or why there is none.
fn packages() -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    let cache = if common::is_root() {
        PathBuf::from("/var/cache/faultline-tests")
    } else {
        home.join(".cache/faultline-tests")
    };
    let folder = cache.join(PINNED.join("-").replace("==", "-"));
    if folder.join("chaostoolkit").is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&cache).map_err(|error| format!("cannot make {}: {error}", cache.display()))?;
    let scratch = tempfile::Builder::new().prefix("new-").tempdir_in(&cache).map_err(|error| error.to_string())?;
    let (venv, packages) = (scratch.path().join("venv"), scratch.path().join("packages"));
    let called = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        let told = || String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{}: {}", program.display(), told())) }
    };
    called(Path::new("python3"), &["-m", "venv", venv.to_str().unwrap()])
        .map_err(|why| format!("no virtual environment of Python (Debian package python3-venv): {why}"))?;
    let mut install =
        vec!["install", "--quiet", "--retries", "1", "--timeout", "15", "--target", packages.to_str().unwrap()];
    install.extend(PINNED);
    called(&venv.join("bin/pip"), &install).map_err(|why| format!("PyPI cannot be reached: {why}"))?;
    // Another test may have been as quick.
    match std::fs::rename(&packages, &folder) {
        Err(error) if !folder.join("chaostoolkit").is_dir() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(folder),
    }
}

/// Runs Chaos Toolkit on a shop: its steady state is one request for a checkout, its fault these calls of `kill`.
fn chaos_toolkit(packages: &Path, lab: &Lab, port: u16, method: &[(&str, u32, u32)]) -> Said {
    let call = |(signal, pid, seconds): &(&str, u32, u32)| {
        json!({
            "type": "action", "name": format!("{signal} {pid}"), "pauses": { "after": seconds },
            "provider": { "type": "process", "path": "kill", "arguments": [signal, pid.to_string()] },
        })
    };
    let probe = json!({
        "type": "probe", "name": "checkout", "tolerance": 200,
        "provider": { "type": "http", "url": format!("http://127.0.0.1:{port}/checkout"), "timeout": 10 },
    });
    let document = json!({
        "version": "1.0.0", "title": "the shop under a fault", "description": "beside faultline",
        "steady-state-hypothesis": { "title": "checkout answers", "probes": [probe] },
        "method": method.iter().map(call).collect::<Vec<_>>(),
        "rollbacks": [],
    });
    let (file, journal) = (lab.write("chaos.json", &document.to_string()), lab.path().join("chaos-journal.json"));
    let output = Command::new("python3")
        .args(["-m", "chaostoolkit", "--no-version-check", "run", "--journal-path"])
        .args([&journal, &file])
        .env("PYTHONPATH", packages)
        .env("HOME", lab.path())
        .current_dir(lab.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = std::fs::read(&journal).unwrap_or_else(|error| panic!("no journal: {error}\n{told}"));
    let journal: Value = serde_json::from_slice(&text).unwrap();
    let deviated = if journal["deviated"] == true { ", deviated" } else { "" };
    Said {
        code: output.status.code().unwrap_or(-1),
        word: format!("{}{deviated}", journal["status"].as_str().unwrap()),
    }
}

/// Our document on a shop: the same fault on the same process, and the share of failed checkouts.
fn document(port: u16, fault: &str, pid: u32) -> String {
    common::experiment(
        "beside-chaos-toolkit",
        &format!(
            "  signals: {{ checkout: {{ http: {{ url: \"http://127.0.0.1:{port}/checkout\", rate: 100/s, timeout: 2s }} }} }}\n  \
             steadyState: [ {{ signal: checkout, errors: {{ below: 20% }} }} ]\n  \
             targets: {{ victim: {{ process: {{ pid: {pid} }} }} }}\n  \
             method: [ {{ observe: 4s }}, {{ inject: {{ fault: {{ {fault}: {{}} }}, on: victim, for: 3s }} }}, {{ observe: 1s }} ]\n  \
             recovery: {{ within: 15s }}\n"
        ),
    )
}

fn said(ran: &Ran) -> Said {
    let verdict = ran.entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Finished { verdict, .. } => Some(verdict.word().to_owned()),
        _ => None,
    });
    Said { code: ran.code, word: verdict.unwrap_or_else(|| panic!("not finished:\n{}", ran.stderr)) }
}

/// One row of the table: each tool on a shop of its own, at the same time.
fn row(
    front: &[&str],
    theirs: impl Fn(&Lab, &Shop) -> Said + Sync,
    ours: impl Fn(&Lab, &Shop) -> Said,
) -> (Said, Said) {
    let (one, other) = (Lab::new(), Lab::new());
    let shops = (Shop::start(&one, front), Shop::start(&other, front));
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| theirs(&one, &shops.0));
        let ours = ours(&other, &shops.1);
        (theirs.join().unwrap(), ours)
    })
}

#[test]
fn the_same_services_and_faults_under_both() {
    let packages = match packages() {
        Ok(packages) => packages,
        Err(why) => return println!("skipped: no Chaos Toolkit: {why}"),
    };
    let pause_then_continue = |lab: &Lab, shop: &Shop| {
        let pid = shop.backend.id();
        chaos_toolkit(&packages, lab, shop.port, &[("-STOP", pid, 3), ("-CONT", pid, 1)])
    };
    let ours_with = |fault: &'static str| {
        move |lab: &Lab, shop: &Shop| said(&lab.run_text(&document(shop.port, fault, shop.backend.id())))
    };
    let healthy = row(&["--fallback"], pause_then_continue, ours_with("process-pause"));
    let recovers = row(&[], pause_then_continue, ours_with("process-pause"));
    let absent = row(
        &["--fallback"],
        |lab, shop| {
            // Ended and not waited for, so that its number is nobody else's.
            let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
            victim.kill().unwrap();
            let said = chaos_toolkit(&packages, lab, shop.port, &[("-STOP", victim.id(), 3)]);
            victim.wait().unwrap();
            said
        },
        |lab, shop| {
            let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
            let file = lab.write("experiment.yaml", &document(shop.port, "process-pause", victim.id()));
            let run = lab.start(&file, &[]);
            let steady = |event: &Event| matches!(event, Event::State { state: RunState::Steady, .. });
            lab.wait_for("the baseline", |entries| entries.iter().any(|entry| steady(&entry.event)));
            victim.kill().unwrap();
            victim.wait().unwrap();
            said(&lab.ran(&run.wait_with_output().unwrap()))
        },
    );
    let broken = row(
        &[],
        |lab, shop| chaos_toolkit(&packages, lab, shop.port, &[("-KILL", shop.backend.id(), 3)]),
        ours_with("process-kill"),
    );
    let rows = [
        ("the backend is paused, checkout has a fallback", healthy, (0, "completed"), (0, "held")),
        ("the backend is paused, every checkout fails meanwhile", recovers, (0, "completed"), (1, "violated")),
        ("the process to be paused is gone by its turn", absent, (0, "completed"), (6, "invalid")),
        ("the backend is killed and stays dead", broken, (1, "completed, deviated"), (1, "violated")),
    ];
    println!("| what happens | Chaos Toolkit 1.19.0 | Faultline |\n|---|---|---|");
    for (what, (theirs, ours), _, _) in &rows {
        println!("| {what} | {} (exit {}) | {} (exit {}) |", theirs.word, theirs.code, ours.word, ours.code);
    }
    for (what, (theirs, ours), of_theirs, of_ours) in rows {
        let expected = |(code, word): (i32, &str)| Said { code, word: word.to_owned() };
        assert_eq!(theirs, expected(of_theirs), "Chaos Toolkit: {what}");
        assert_eq!(ours, expected(of_ours), "Faultline: {what}");
    }
}
