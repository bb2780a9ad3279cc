//! The experiments of the repository, run as a user runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use common::Lab;

fn run(name: &str, code: i32) {
    let lab = Lab::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
    let ran = lab.run(&file, &[]);
    ran.expect(code);
    assert_eq!(ran.undone_and_verified(), ran.injected(), "{}", ran.stderr);
    assert!(ran.injected() >= 1);
    lab.assert_nothing_left();
}

#[test]
fn quickstart_holds() {
    run("quickstart.yaml", 0);
}

#[test]
fn its_failing_twin_is_violated() {
    run("quickstart-fails.yaml", 1);
}

#[test]
fn a_killed_backend() {
    run("kill.yaml", 0);
}

#[test]
fn a_paused_backend() {
    run("pause.yaml", 0);
}

#[test]
fn a_partition() {
    run("partition.yaml", 0);
}
