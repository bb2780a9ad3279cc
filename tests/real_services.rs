//! The experiments on programs that none of us wrote: nginx, redis, PostgreSQL; and the one on a file system of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails or says what it skipped"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Lab, Ran, is_root};

fn document(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name)
}

/// Runs an experiment on a program, or says that the program is missing.
fn run_with(program: &str, name: &str) {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].iter().any(|place| Path::new(place).join(program).exists());
    if !found {
        println!("skipped: {name} needs {program}, which is not installed");
        return;
    }
    let lab = Lab::new();
    let ran = lab.run(&document(name), &[]);
    proven(&ran);
    lab.assert_nothing_left();
}

fn proven(ran: &Ran) {
    ran.expect(0);
    assert_eq!((ran.injected(), ran.undone_and_verified()), (1, 1));
}

#[test]
fn nginx_survives_a_killed_backend() {
    run_with("nginx", "nginx.yaml");
}

#[test]
fn redis_answers_over_a_slow_network() {
    run_with("redis-server", "redis.yaml");
}

#[test]
fn postgresql_recovers_from_a_killed_process() {
    if !is_root() {
        println!("skipped: postgresql.yaml runs the server as the user postgres, which only root can arrange");
        return;
    }
    run_with("pg_ctlcluster", "postgresql.yaml");
}

/// The file system is a tmpfs in a mount namespace of the test's own: it goes with the test, whatever happens.
#[test]
fn small_writes_survive_a_nearly_full_disk() {
    if !is_root() {
        println!("skipped: a file system of the test's own needs root");
        return;
    }
    let lab = Lab::new();
    let scratch = lab.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let text = std::fs::read_to_string(document("fill.yaml")).unwrap();
    let file = lab.write("fill.yaml", &text.replace("/mnt/faultline-scratch", scratch.to_str().unwrap()));
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", "mount -t tmpfs -o size=64m faultline \"$0\" && exec \"$@\""])
        .arg(&scratch)
        .args([env!("CARGO_BIN_EXE_faultline"), "run"])
        .arg(&file)
        .env("FAULTLINE_STATE", lab.state())
        .output()
        .unwrap();
    proven(&lab.ran(&output));
    lab.assert_nothing_left();
}
