//! The kernel's own undo: whoever holds a fault is killed, and everything of it is gone.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use faultline_agent::kernel::{HostKernel, Kernel};
use faultline_agent::plan::Step;
use faultline_agent::plan::step::PartitionAction;

use crate::lab::{Lab, PORT, SERVER_4, apply, assert_takes, can_run, connect, cut, delay, round_trip, to_port};

const STEP: &str = "FAULTLINE_TEST_STEP";

/// The process that holds a fault until it is killed: does nothing in an ordinary run of the tests.
#[test]
fn hold() {
    let Ok(step) = std::env::var(STEP) else { return };
    let step: Step = serde_json::from_str(&step).unwrap();
    let _hold = apply(&step);
    println!("\nheld");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_holder_leaves_nothing_and_traffic_flows_again() {
    if !can_run() {
        return;
    }
    let lab = Lab::new();
    let mut open = lab.client(|| connect(SERVER_4, PORT).unwrap());
    for step in [
        delay(to_port(lab.client_namespace(), PORT), 300),
        cut(to_port(lab.client_namespace(), PORT), PartitionAction::Drop),
    ] {
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::hold", "--nocapture"])
            .env(STEP, serde_json::to_string(&step).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().trim() == "held"));
        assert!(HostKernel.is_present(&step).unwrap());
        let slow = round_trip(&mut open);
        assert!(slow.is_err() || slow.unwrap() > 250.0);
        assert!(
            HostKernel.revert(&step).unwrap_err().hint.unwrap().contains("vanishes when"),
            "it is not ours to remove"
        );
        let killed = Instant::now();
        holder.kill().unwrap();
        while HostKernel.is_present(&step).unwrap() {
            assert!(killed.elapsed() < Duration::from_secs(5), "the table is still there");
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("{}: gone {:?} after SIGKILL", step.describe(), killed.elapsed());
        holder.wait().unwrap();
        open = lab.client(|| connect(SERVER_4, PORT).unwrap());
        assert_takes(0.0, || round_trip(&mut open).unwrap());
        assert_eq!(HostKernel.revert(&step).unwrap(), faultline_agent::kernel::Reverted::Absent);
    }
}
