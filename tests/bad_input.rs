//! Bad input, end to end with the real program: malformed and hostile documents, targets that are not there, state
//! folders that cannot be used, missing rights. Each ends in a clear error with the right exit code, and touches
//! nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as no tests to clippy")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A document that is right; each test makes one thing of it wrong.
const GOOD: &str = r#"apiVersion: faultline.dev/v1
kind: Experiment
metadata: { name: good }
spec:
  hypothesis: It holds.
  signals:
    shop: { http: { url: "http://127.0.0.1:8080/", rate: 50/s } }
  steadyState:
    - { signal: shop, errors: { below: 5% } }
  targets:
    nobody: { process: { name: no-such-name } }
  method:
    - observe: 30s
    - inject: { fault: { process-pause: {} }, on: nobody, for: 30s }
"#;

/// How a command ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A folder of its own for each test, with the document as `x.yaml` in it.
struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn with(document: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("x.yaml"), document).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("faultline"));
        command.args(arguments);
        self.ready(&mut command);
        command
    }

    /// Nothing of the caller's environment decides what is printed or where state is kept.
    fn ready(&self, command: &mut Command) {
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path());
        command.env("FAULTLINE_STATE", self.path().join("state"));
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.command(arguments))
    }

    fn end(&self, mut command: Command) -> Ended {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.path().to_str().unwrap(), "ROOM");
        Ended { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// What is in the folder.
    fn contents(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Refuses a document as `check`, `plan` and `run` all must: the same words, exit code 2, nothing made.
fn refused(document: impl AsRef<[u8]>) -> String {
    let room = Room::with(document.as_ref());
    let began = Instant::now();
    let check = room.run(&["check", "x.yaml"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((check.code, check.stdout.as_str()), (2, ""), "{}", check.stderr);
    for command in [&["plan", "x.yaml"][..], &["run", "x.yaml"], &["run", "--dry-run", "x.yaml"]] {
        let ended = room.run(command);
        assert_eq!((ended.code, ended.stderr.trim_end()), (2, check.stderr.trim_end()), "{command:?} says the same");
    }
    assert_eq!(room.contents(), ["x.yaml"], "nothing is made");
    check.stderr
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn text_that_is_no_yaml() {
    insta::assert_snapshot!("unclosed", refused(with("{ name: good }", "{ name: good")));
    insta::assert_snapshot!("tab", refused(with("  hypothesis", "\thypothesis")));
    insta::assert_snapshot!("colon", refused(with("It holds.", "It holds: always")));
    insta::assert_snapshot!("key_twice", refused(with("  hypothesis: It holds.", "  hypothesis: a\n  hypothesis: b")));
    insta::assert_snapshot!("empty", refused(""));
    insta::assert_snapshot!("not_utf8", refused(b"apiVersion: \xff\xfe\n"));
    insta::assert_snapshot!("nul", refused(b"apiVersion: a\0b\n"));
    insta::assert_snapshot!("a_list", refused("- a\n- b\n"));
    insta::assert_snapshot!("binary", refused((0..=255).cycle().take(5000).collect::<Vec<u8>>()));
}

#[test]
fn bombs() {
    let row = |from: &str| [from; 9].join(",");
    let laughs: String = std::iter::once(format!("a0: &a0 [{}]\n", row("x")))
        .chain((1..12).map(|level| format!("a{level}: &a{level} [{}]\n", row(&format!("*a{}", level - 1)))))
        .collect();
    insta::assert_snapshot!("billion_laughs", refused(laughs));
    insta::assert_snapshot!("nested_lists", refused("[".repeat(100_000)));
    insta::assert_snapshot!("nested_mappings", refused("{a: ".repeat(100_000)));
    let keys: String = (0..60_000).map(|number| format!("k{number}: 1\n")).collect();
    insta::assert_snapshot!("many_keys", refused(keys));
    insta::assert_snapshot!("too_long", refused("#".repeat(2 << 20)));
    insta::assert_snapshot!("many_documents", refused("---\na: 1\n".repeat(1000)));
    insta::assert_snapshot!("long_line", refused(with("good }", &format!("{} }}", "x".repeat(50_000)))));
}

#[test]
fn absurd_numbers_and_wrong_types() {
    let mut told = String::new();
    for (from, to) in [
        ("for: 30s", "for: 99999999999999999999d"),
        ("for: 30s", "for: -1s"),
        ("for: 30s", "for: 1e400"),
        ("for: 30s", "for: [30s]"),
        ("for: 30s", "for:"),
        ("rate: 50/s", "rate: 1000000000/s"),
        ("rate: 50/s", "rate: .inf"),
        ("below: 5%", "below: NaN"),
        ("name: no-such-name", "pid: 99999999999999999999"),
        ("name: no-such-name", "listensOn: -1"),
        ("name: no-such-name", "listensOn: \"80\""),
        ("hypothesis: It holds.", "hypothesis: { it: holds }"),
        ("hypothesis: It holds.", "hypothesis: It holds.\n  seed: 18446744073709551616"),
        ("signals:\n", "signals: none\n  nothing:\n"),
    ] {
        told += &format!("## {from} -> {to}\n{}\n", refused(with(from, to)));
    }
    insta::assert_snapshot!("absurd", told);
}

#[test]
fn every_error_of_a_file_at_once() {
    insta::assert_snapshot!("many_errors", refused(include_str!("bad_input/many_errors.yaml")));
}

#[test]
fn a_file_that_is_not_there() {
    let room = Room::with(b"");
    for (path, name) in [("missing.yaml", "missing_file"), (".", "a_folder")] {
        let ended = room.run(&["check", path]);
        assert_eq!(ended.code, 2);
        insta::assert_snapshot!(name, ended.stderr);
    }
}

#[test]
fn settings_that_lead_nowhere() {
    let mut told = String::new();
    for setting in ["metod[0].observe=1s", "method[9].observe=1s", "signals.shp.http.rate=1/s", "method[0].observe=1"] {
        let ended = Room::with(GOOD.as_bytes()).run(&["check", "x.yaml", "--set", setting]);
        assert_eq!(ended.code, 2);
        told += &format!("## {setting}\n{}\n", ended.stderr);
    }
    let ended = Room::with(GOOD.as_bytes()).run(&["check", "x.yaml", "--set", "nothing"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!("settings", told + &ended.stderr);
}

#[test]
fn a_target_that_nobody_is() {
    let room = Room::with(GOOD.as_bytes());
    let plan = room.run(&["plan", "x.yaml", "--seed", "1"]);
    assert_eq!(plan.code, 3, "{}", plan.stderr);
    assert!(
        plan.stdout.contains("IMPOSSIBLE     target `nobody`: no process has the name `no-such-name`"),
        "{}",
        plan.stdout
    );
    assert_eq!(room.contents(), ["x.yaml"]);
}

#[test]
fn a_run_on_nobody_is_refused_before_anything_is_injected() {
    let room = Room::with(GOOD.as_bytes());
    let dry = room.run(&["run", "--dry-run", "x.yaml", "--seed", "1"]);
    assert_eq!(dry.code, 3, "{}", dry.stderr);
    assert_eq!(room.contents(), ["x.yaml"]);
}

#[test]
fn warnings_fail_only_when_told() {
    let room = Room::with(with("below: 5%", "below: 0.1%").as_bytes());
    let lenient = room.run(&["check", "x.yaml"]);
    assert_eq!((lenient.code, room.run(&["check", "--strict", "x.yaml"]).code), (0, 2));
    insta::assert_snapshot!("warning", lenient.stdout + &lenient.stderr);
    let json: serde_json::Value = serde_json::from_str(&room.run(&["check", "--json", "x.yaml"]).stdout).unwrap();
    assert_eq!(json[0]["usable"], true);
    assert_eq!(json[0]["findings"][0]["severity"], "warning");
    assert_eq!(json[0]["findings"][0]["line"], 9);
}

#[test]
fn standard_input_is_a_file_too() {
    use std::io::Write as _;
    use std::process::Stdio;
    let room = Room::with(b"");
    let mut child = room
        .command(&["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "standard input: experiment good can be used\n");
}

#[test]
fn a_state_folder_that_cannot_be_used() {
    let room = Room::with(GOOD.as_bytes());
    fs::write(room.path().join("file"), "").unwrap();
    fs::create_dir(room.path().join("open")).unwrap();
    fs::set_permissions(room.path().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let mut told = String::new();
    for state in ["file", "file/below", "open", "/proc/faultline"] {
        for command in [&["recover"][..], &["halt"], &["run", "x.yaml"]] {
            let ended = room.run(&[&["--state", state], command].concat());
            assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{state} {command:?}: {}", ended.stderr);
            if command == ["recover"] {
                told += &format!("## {state}\n{}\n", ended.stderr);
            }
        }
    }
    insta::assert_snapshot!("state_folder", told);
    assert_eq!(fs::read_dir(room.path().join("open")).unwrap().count(), 0);
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_full_disk_for_the_state() {
    if !is_root() {
        println!("skipped: only root can mount the full file system");
        return;
    }
    let room = Room::with(GOOD.as_bytes());
    fs::create_dir(room.path().join("full")).unwrap();
    let program = assert_cmd::cargo::cargo_bin!("faultline");
    // A mount namespace of its own, gone with its process: nothing has to be unmounted.
    let script = "mount -t tmpfs -o size=16k,mode=700 none full && mkdir -m 700 full/state full/state/faults full/state/runs \
                  && (head -c 1000000 /dev/zero > full/rest 2>/dev/null; true) && exec \"$0\" --state full/state \"$@\"";
    let on_a_full_disk = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(program).args(arguments);
        room.ready(&mut command);
        room.end(command)
    };
    let recover = on_a_full_disk(&["recover"]);
    let run = on_a_full_disk(&["run", "x.yaml"]);
    assert_eq!((recover.code, run.code), (3, 3), "{}{}", recover.stderr, run.stderr);
    assert_eq!(recover.stderr, run.stderr);
    insta::assert_snapshot!("full_disk", recover.stderr);
    assert_eq!(fs::read_dir(room.path().join("full")).unwrap().count(), 0, "the mount is gone");
}

#[test]
fn an_ordinary_user_without_rights() {
    if !is_root() {
        println!("skipped: only root can become nobody");
        return;
    }
    let room = Room::with(GOOD.as_bytes());
    fs::create_dir(room.path().join("state")).unwrap();
    fs::set_permissions(room.path().join("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let program = assert_cmd::cargo::cargo_bin!("faultline");
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
            .arg(program)
            .args(arguments);
        room.ready(&mut command);
        room.end(command)
    };
    assert_eq!(as_nobody(&["check", "x.yaml"]).code, 0, "checking needs no rights");
    let mut told = String::new();
    for command in [&["list"][..], &["recover"], &["halt"], &["run", "x.yaml"]] {
        let ended = as_nobody(command);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{command:?}");
        told += &format!("## {}\n{}\n", command[0], ended.stderr);
    }
    insta::assert_snapshot!("no_rights", told);
    assert_eq!(fs::read_dir(room.path().join("state")).unwrap().count(), 0);
}

#[test]
fn words_that_are_no_command() {
    let room = Room::with(b"");
    let mut told = String::new();
    for arguments in [&["chek"][..], &[], &["check"], &["faults", "network-latancy"], &["completions", "basic"]] {
        let ended = room.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        if !arguments.is_empty() {
            told += &format!("## {arguments:?}\n{}\n", ended.stderr);
        }
    }
    insta::assert_snapshot!("usage", told);
}
