//! The halt of a whole host, and the sweep of what nobody owns. Each test has a host of its own: a pid and a mount
//! namespace in which `/run`, `/tmp` and root's state folder are empty, so that it neither sees nor stops other tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests count as no tests to clippy"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{experiment, is_root, shop};
use serde_json::Value;

/// An own host, for the time of one test: this test program started again within, as its first process.
const INSIDE: &str = "FAULTLINE_TEST_HOST";

/// Runs the rest of a test on a host of its own; answers whether this is that.
fn is_on_a_host_of_its_own(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !is_root() {
        println!("skipped: a host of its own for a test (pid and mount namespaces) needs root");
        return false;
    }
    let namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child", "--mount"];
    match Command::new("unshare").args(namespaces).arg("true").output() {
        Ok(output) if output.status.success() => {}
        other => {
            println!("skipped: no host of its own can be made for a test here: {other:?}");
            return false;
        }
    }
    // Both programs are opened first: they may lie where the mounts hide them.
    let mounts = "exec 8<\"$1\" 9<\"$2\" && shift 2 && \
                  mount -t tmpfs -o mode=755 none /run && mount -t tmpfs -o mode=755 none /var/lib && \
                  mount -t tmpfs -o mode=1777 none /tmp && mount -t tmpfs -o mode=755 none /mnt && \
                  cat <&9 >/tmp/faultline-under-test && chmod 755 /tmp/faultline-under-test && exec 9<&- && \
                  exec /proc/self/fd/8 \"$@\"";
    let status = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", mounts, "sh"])
        .arg(std::env::current_exe().unwrap())
        .arg(env!("CARGO_BIN_EXE_faultline"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("TMPDIR", "/tmp")
        .env_remove("FAULTLINE_STATE")
        .env_remove("XDG_RUNTIME_DIR")
        .status()
        .unwrap();
    assert!(status.success(), "on a host of its own: {status}");
    false
}

/// Names the test by its function, as the test harness does.
macro_rules! on_a_host_of_its_own {
    ($test:ident) => {
        if !is_on_a_host_of_its_own(stringify!($test)) {
            return;
        }
    };
}

/// Where the program is on that host, for ordinary users too.
fn program() -> &'static Path {
    Path::new("/tmp/faultline-under-test")
}

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Root,
    Nobody,
}

/// The program as somebody runs it; nobody's home is below `/tmp`.
fn faultline(who: Who, arguments: &[&str]) -> Command {
    let mut command = match who {
        Who::Root => Command::new(program()),
        Who::Nobody => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program());
            command
        }
    };
    let home = if who == Who::Root { "/mnt" } else { "/tmp/nobody" };
    std::fs::create_dir_all(home).unwrap();
    if who == Who::Nobody {
        std::os::unix::fs::chown(home, Some(65534), Some(65534)).unwrap();
    }
    command.args(arguments).env("HOME", home).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn output(who: Who, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = faultline(who, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn json(who: Who, arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = output(who, arguments);
    (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
}

fn long_run() -> PathBuf {
    let signals = r#"
  signals:
    checkout: { http: { url: "http://127.0.0.1:8080/checkout", rate: 200/s, timeout: 1s } }
  steadyState: [ { signal: checkout, errors: { below: 1% } } ]
  method:
    - observe: 3s
    - inject: { fault: { network-latency: { delay: 50ms, peers: { ports: [8081] } } }, for: 60s }
"#;
    let path = Path::new("/tmp/experiment.yaml");
    std::fs::write(path, experiment("long", &(shop(", --fallback", "") + signals))).unwrap();
    path.to_owned()
}

/// A run with a fault in place.
struct Run {
    process: Child,
    state: PathBuf,
}

impl Run {
    fn start(who: Who, state: &str) -> Self {
        let file = long_run();
        let process = faultline(who, &["run", file.to_str().unwrap(), "--state", state])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, state: state.into() }
    }

    fn wait_for_the_fault(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.records() == 0 {
            assert!(
                Instant::now() < deadline && self.process.try_wait().unwrap().is_none(),
                "no fault: {}",
                self.end().1
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn records(&self) -> usize {
        let entries = std::fs::read_dir(self.state.join("faults")).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json")).count()
    }

    fn end(&mut self) -> (i32, String) {
        let mut text = String::new();
        let code = self.process.wait().unwrap().code().unwrap_or(-1);
        for stream in [
            self.process.stdout.take().map(|stream| Box::new(stream) as Box<dyn std::io::Read>),
            self.process.stderr.take().map(|stream| Box::new(stream) as Box<dyn std::io::Read>),
        ] {
            std::io::Read::read_to_string(&mut stream.unwrap(), &mut text).unwrap();
        }
        (code, text)
    }
}

#[test]
fn one_command_halts_runs_of_two_state_folders_and_new_ones_until_released() {
    on_a_host_of_its_own!(one_command_halts_runs_of_two_state_folders_and_new_ones_until_released);
    let mut runs = [Run::start(Who::Root, "/tmp/a"), Run::start(Who::Root, "/tmp/b")];
    runs.iter_mut().for_each(Run::wait_for_the_fault);
    let (code, stdout, _) = output(Who::Root, &["list"]);
    assert!(code == 0 && stdout.contains("keeps its faults in /tmp/a") && stdout.contains("/tmp/b"), "{stdout}");

    let (code, halted) = json(Who::Root, &["halt", "--reason", "customers complain", "--json"]);
    assert_eq!((code, halted["halted"].as_bool(), halted["scope"].as_str()), (0, Some(true), Some("host")), "{halted}");
    assert_eq!(halted["undone"].as_array().unwrap().len(), 2, "{halted}");
    for (folder, name) in halted["folders"].as_array().unwrap().iter().zip(["/tmp/a", "/tmp/b"]) {
        assert_eq!((folder["folder"].as_str(), folder["runs"].as_array().unwrap().len()), (Some(name), 1), "{halted}");
        assert_eq!(folder["undone"][0]["fault"], "network-latency");
    }
    for run in &mut runs {
        let (code, text) = run.end();
        assert!(code == 5 && text.contains("customers complain"), "{code}: {text}");
        assert_eq!(run.records(), 0);
    }

    // A state folder that did not exist then, of root and of somebody else.
    for (who, state) in [(Who::Root, "/tmp/new"), (Who::Nobody, "/tmp/nobody/new")] {
        let (code, text) = Run::start(who, state).end();
        assert!(code == 3 && text.contains("customers complain"), "{code}: {text}");
    }
    let (code, stdout, _) = output(Who::Nobody, &["halt", "--release"]);
    assert!(code == 3 && stdout.contains("root halted this host"), "{code}: {stdout}");
    let (code, stdout, _) = output(Who::Root, &["halt", "--release"]);
    assert_eq!((code, stdout.as_str()), (0, "released: faults may be injected again\n"));
    let mut run = Run::start(Who::Root, "/tmp/new");
    run.wait_for_the_fault();
    let (code, stdout, stderr) = output(Who::Root, &["halt", "--state", "/tmp/other"]);
    assert!(code == 0 && stderr.contains("other runs go on") && stderr.contains("/tmp/new"), "{stdout}{stderr}");
    assert_eq!(run.records(), 1, "that was about another folder");
    let (code, stdout, stderr) = output(Who::Root, &["halt"]);
    assert!(
        code == 0 && stdout.contains("/tmp/new: run ") && stdout.contains("undone network-latency "),
        "{stdout}{stderr}"
    );
    assert_eq!(run.end().0, 5);
}

#[test]
fn root_halts_the_run_of_a_user_who_himself_cannot_halt_root() {
    on_a_host_of_its_own!(root_halts_the_run_of_a_user_who_himself_cannot_halt_root);
    let mut users = Run::start(Who::Nobody, "/tmp/nobody/state");
    let mut roots = Run::start(Who::Root, "/tmp/a");
    users.wait_for_the_fault();
    roots.wait_for_the_fault();

    let (code, stdout, stderr) = output(Who::Nobody, &["halt"]);
    let named =
        format!("NOT STOPPED: process {} of root (/tmp/a): it is not yours; `sudo faultline halt`", roots.process.id());
    assert!(code == 7 && stdout.contains(&named), "{code}: {stdout}{stderr}");
    assert!(stdout.contains("/tmp/nobody/state: run ") && stdout.contains("undone network-latency "), "{stdout}");
    assert!(stdout.contains("no fault of yours is injected"), "{stdout}");
    assert_eq!((users.end().0, roots.records()), (5, 1));
    let (code, text) = Run::start(Who::Nobody, "/tmp/nobody/new").end();
    assert!(code == 3 && text.contains("halted by hand"), "{code}: {text}");
    assert_eq!(output(Who::Nobody, &["halt", "--release"]).0, 0);

    let mut users = Run::start(Who::Nobody, "/tmp/nobody/state");
    users.wait_for_the_fault();
    let (code, stdout, stderr) = output(Who::Root, &["halt"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    for part in ["of nobody): undone network-latency", "of root): undone network-latency"] {
        assert!(stdout.contains(part), "{stdout}");
    }
    assert_eq!((users.end().0, roots.end().0), (5, 5));
}

#[test]
fn a_run_in_a_container_is_halted_and_released() {
    on_a_host_of_its_own!(a_run_in_a_container_is_halted_and_released);
    // Its own processes, and its own /run, /tmp and /var/lib: nothing of the halt's places is seen within.
    let script = "mount -t tmpfs -o mode=755 none /run && mount -t tmpfs -o mode=755 none /var/lib && mkdir /mnt/inside && \
                  cp /tmp/faultline-under-test /tmp/experiment.yaml /mnt/inside && mount -t tmpfs none /tmp && \
                  /mnt/inside/faultline-under-test run /mnt/inside/experiment.yaml --state /tmp/within; \
                  echo \"ended $?\"; read again; \
                  /mnt/inside/faultline-under-test run /mnt/inside/experiment.yaml --state /tmp/within; echo \"ended $?\"";
    program();
    long_run();
    let mut container = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--mount", "sh", "-c", script])
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(container.stdout.take().unwrap()));
    let injected = || {
        let (_, listed) = json(Who::Root, &["list", "--json"]);
        let run = listed["otherRuns"][0]["process"].as_i64()?;
        let faults = std::fs::read_dir(format!("/proc/{run}/root/tmp/within/faults")).ok()?;
        faults.flatten().find(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
    };
    let wait = |what: &str, until: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !until() {
            assert!(Instant::now() < deadline, "waited 60 s for {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("the fault", &|| injected().is_some());
    let (code, stdout, stderr) = output(Who::Root, &["halt"]);
    assert!(
        code == 0 && stdout.contains("/tmp/within: run ") && stdout.contains("undone network-latency "),
        "{stdout}{stderr}"
    );
    let mut ended = || lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("ended ")).unwrap();
    assert_eq!(ended(), "ended 5");
    // One more must not make the release forget what the first one reached.
    let (code, stdout, _) = output(Who::Root, &["halt"]);
    assert!(code == 0 && stdout.contains("no fault was active"), "{stdout}");
    let (code, stdout, stderr) = output(Who::Root, &["halt", "--release"]);
    assert_eq!((code, stdout.as_str()), (0, "released: faults may be injected again\n"), "{stderr}");
    // The release reached the container's folder too: it runs again.
    std::io::Write::write_all(&mut container.stdin.take().unwrap(), b"\n").unwrap();
    wait("the fault after the release", &|| injected().is_some());
    assert_eq!(output(Who::Root, &["halt"]).0, 0);
    assert_eq!(ended(), "ended 5");
    container.wait().unwrap();
}

/// A scratch folder as a worker that died leaves it, whose record is lost.
fn orphan(name: &str) -> PathBuf {
    let scratch = Path::new("/mnt").join(name);
    std::fs::create_dir_all(scratch.join("000000")).unwrap();
    for file in ["made-by-faultline", "000000/00000000", "000000/00000001"] {
        std::fs::write(scratch.join(file), "").unwrap();
    }
    scratch
}

#[test]
fn an_orphan_goes_when_nobody_can_own_it_and_only_then() {
    on_a_host_of_its_own!(an_orphan_goes_when_nobody_can_own_it_and_only_then);
    let foreign = orphan(".faultline-00000000000f");
    std::fs::write(foreign.join("000000/notes"), "theirs").unwrap();
    let mut run = Run::start(Who::Root, "/tmp/a");
    run.wait_for_the_fault();
    let left = orphan(".faultline-00000000000a");
    let (code, stdout, stderr) = output(Who::Root, &["recover"]);
    let why = format!("process {} of root (state folder /tmp/a) is alive, and it may be that run's", run.process.id());
    assert!(
        code == 0 && stdout.contains(&format!("left     scratch {}", left.display())) && stdout.contains(&why),
        "{stdout}{stderr}"
    );
    assert!(left.join("000000/00000001").exists());

    assert_eq!(output(Who::Root, &["halt"]).0, 0);
    assert_eq!(run.end().0, 5);
    assert_eq!(output(Who::Root, &["halt", "--release"]).0, 0);
    // The start of the next run sweeps it.
    let mut run = Run::start(Who::Root, "/tmp/b");
    run.wait_for_the_fault();
    assert!(!left.exists());
    assert_eq!(output(Who::Root, &["halt"]).0, 0);
    let (code, text) = run.end();
    assert!(code == 5 && text.contains("without a record; it is removed now"), "{code}: {text}");
    assert_eq!(output(Who::Root, &["halt", "--release"]).0, 0);

    let again = orphan(".faultline-00000000000b");
    let (code, stdout, stderr) = output(Who::Root, &["recover"]);
    assert!(code == 0 && stdout.contains(&format!("removed  scratch {}", again.display())), "{stdout}{stderr}");
    assert!(!again.exists());
    assert_eq!(std::fs::read_to_string(foreign.join("000000/notes")).unwrap(), "theirs");
    assert!(foreign.join("000000/00000001").exists(), "nothing of it was touched");
    assert!(stdout.contains("it holds 000000/notes, which Faultline did not make"), "{stdout}");

    // A user does not claim to have swept what he cannot.
    let (code, stdout, stderr) = output(Who::Nobody, &["recover"]);
    assert!(
        code == 0 && stdout.contains("what runs of root or of other users left is theirs to recover"),
        "{stdout}{stderr}"
    );
    assert!(stdout.contains("it belongs to user 0"), "{stdout}");
}
