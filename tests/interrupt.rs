//! Ctrl-C, a termination and a closed terminal, at every phase of a run: undone, exit code 130, nothing left.
//! And the two other ways in which a run ends early: a halt from another terminal, and the death of the guard.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Lab, experiment, injected, is_root, shop};
use faultline::run::journal::{Entry, Event, RunState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn long_run() -> String {
    let signals = r#"
  signals:
    checkout: { http: { url: "http://127.0.0.1:8080/checkout", rate: 200/s, timeout: 1s } }
  steadyState: [ { signal: checkout, errors: { below: 50% } } ]
  method:
    - observe: 4s
    - inject: { fault: { network-latency: { delay: 50ms, peers: { ports: [8081] } } }, for: 4s }
    - observe: 60s
  recovery: { within: 100s }
"#;
    experiment("long", &(shop(", --fallback", "") + signals))
}

fn in_state(wanted: RunState) -> impl Fn(&[Entry]) -> bool {
    move |entries| entries.iter().any(|entry| matches!(&entry.event, Event::State { state, .. } if *state == wanted))
}

fn interrupt_in(state: Option<RunState>, signal: Signal) {
    let lab = Lab::new();
    let file = lab.write("experiment.yaml", &long_run());
    let run = lab.start(&file, &[]);
    match state {
        Some(state) => lab.wait_for(&format!("{state:?}"), in_state(state)),
        None => lab.wait_for("the beginning", |entries| !entries.is_empty()),
    }
    kill(Pid::from_raw(run.id().try_into().unwrap()), signal).unwrap();
    let ran = lab.ran(&run.wait_with_output().unwrap());
    ran.expect(130);
    assert_eq!(ran.injected(), ran.undone_and_verified());
    assert!(matches!(ran.entries.last().map(|entry| &entry.event), Some(Event::Finished { .. })));
    lab.assert_nothing_left();
}

#[test]
fn while_services_start() {
    interrupt_in(None, Signal::SIGINT);
}

#[test]
fn in_the_baseline() {
    interrupt_in(Some(RunState::Steady), Signal::SIGTERM);
}

#[test]
fn while_injecting() {
    interrupt_in(Some(RunState::Injecting), Signal::SIGINT);
}

#[test]
fn while_the_fault_acts() {
    interrupt_in(Some(RunState::Watching), Signal::SIGHUP);
}

#[test]
fn while_undoing() {
    interrupt_in(Some(RunState::Undoing), Signal::SIGTERM);
}

#[test]
fn while_recovering() {
    interrupt_in(Some(RunState::Recovering), Signal::SIGINT);
}

#[test]
fn a_halt_from_another_terminal_ends_the_run_and_refuses_new_ones_until_released() {
    let lab = Lab::new();
    let file = lab.write("experiment.yaml", &long_run());
    let run = lab.start(&file, &[]);
    lab.wait_for("the injection", injected);
    let halt = lab.faultline(&["halt", "--reason", "customers complain"]).output().unwrap();
    assert!(halt.status.success(), "{halt:?}");
    let ran = lab.ran(&run.wait_with_output().unwrap());
    ran.expect(5);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    let refused = lab.run(&file, &[]);
    refused.expect(3);
    assert!(refused.stderr.contains("customers complain") || refused.stdout.contains("customers complain"));
    let release = lab.faultline(&["halt", "--release"]).output().unwrap();
    assert!(release.status.success(), "{release:?}");
    lab.assert_nothing_left();
}

#[test]
fn a_run_whose_guard_is_killed_undoes_and_aborts() {
    let lab = Lab::new();
    let file = lab.write("experiment.yaml", &long_run());
    let run = lab.start(&file, &[]);
    lab.wait_for("the injection", injected);
    let guard = lab.processes().into_iter().find(|line| line.contains(" guard")).expect("there is a guard");
    let pid: i32 = guard.split(':').next().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let ran = lab.ran(&run.wait_with_output().unwrap());
    ran.expect(5);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();
}

/// A closed terminal: the run's standard streams go away with it.
#[test]
fn a_run_whose_terminal_is_closed_ends_undone() {
    let lab = Lab::new();
    let file = lab.write("experiment.yaml", &long_run());
    let mut run = lab.start(&file, &[]);
    lab.wait_for("the injection", injected);
    drop(run.stdout.take());
    drop(run.stderr.take());
    kill(Pid::from_raw(run.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    lab.assert_nothing_left();
}

#[test]
fn an_ordinary_user_runs_the_quickstart() {
    if !is_root() {
        println!(
            "skipped: this test changes from root to an ordinary user; as an ordinary user every other test does it"
        );
        return;
    }
    let lab = Lab::new();
    let quickstart = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.yaml");
    let text = std::fs::read_to_string(quickstart).unwrap();
    // The program must be where that user can reach it.
    let program = lab.path().join("faultline");
    std::fs::copy(env!("CARGO_BIN_EXE_faultline"), &program).unwrap();
    let file = lab.write("experiment.yaml", &text);
    let nobody = nix::unistd::User::from_name("nobody").unwrap().expect("Debian has a user nobody");
    for path in [lab.path(), &program, &file] {
        nix::unistd::chown(path, Some(nobody.uid), Some(nobody.gid)).unwrap();
    }
    let mut command = std::process::Command::new(&program);
    std::os::unix::process::CommandExt::uid(&mut command, nobody.uid.as_raw());
    std::os::unix::process::CommandExt::gid(&mut command, nobody.gid.as_raw());
    let output = command.args(["run", file.to_str().unwrap()]).env("FAULTLINE_STATE", lab.state()).output().unwrap();
    let ran = lab.ran(&output);
    if ran.stderr.contains("user namespace") && ran.code == 3 {
        println!("skipped: this kernel forbids user namespaces to ordinary users");
        return;
    }
    ran.expect(0);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
    lab.assert_nothing_left();
}
