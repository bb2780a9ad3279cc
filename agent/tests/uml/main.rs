//! The lane of user-mode Linux: a Debian kernel as an ordinary process, which has netem, loop devices and reboots of
//! its own. Each test below boots one or two of them; the tests in [`inside`] run there, from this same program.
//!
//! What that kernel lacks is tested in an emulated machine: see [`emulated`].
//!
//! Skipped, with the reason printed, where `linux.uml` is not installed (Debian: `apt-get install user-mode-linux`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it skips"
)]

mod emulated;
mod inside;
mod machine;
#[allow(dead_code, unreachable_pub, reason = "the crash matrix outside uses the rest")]
#[path = "../matrix/mod.rs"]
mod matrix;
mod power_cut;

use machine::{Machine, ready};
use matrix::rows::Target;

#[test]
fn delays_add_up_and_come_off_beside_what_others_put_there() {
    if !ready() {
        return;
    }
    Machine::that_measures("netem").run_tests("inside::netem::");
}

#[test]
fn netem_is_undone_by_the_guard_and_by_recovery() {
    if !ready() {
        return;
    }
    Machine::new("crash").run_tests("inside::reboot::netem_goes");
}

#[test]
fn faults_that_need_netem_survive_the_crash_matrix() {
    if !ready() {
        return;
    }
    Machine::new("kill").run_tests("inside::kill::");
}

#[test]
fn nothing_is_left_of_faults_of_processes_after_a_power_cut_at_any_moment() {
    if !ready() {
        return;
    }
    power_cut::play("processes", |row| row.target != Target::Host && !row.is_of_network());
}

#[test]
fn nothing_is_left_of_faults_of_hosts_after_a_power_cut_at_any_moment() {
    if !ready() {
        return;
    }
    power_cut::play("hosts", |row| row.target == Target::Host || row.is_of_network());
}

#[test]
fn netem_without_a_record_is_removed_when_nobody_can_own_it() {
    if !ready() {
        return;
    }
    Machine::new("orphans").run_tests("inside::orphans::");
}

#[test]
fn what_outlives_a_power_cut_is_recovered_at_the_next_boot() {
    if !ready() {
        return;
    }
    let machine = Machine::new("reboot");
    machine.make_disk("disk", 64, "mkfs.ext4 -q");
    let mut first = machine.start(&Machine::test("inside::reboot::inject_and_wait"));
    first.wait_for("INJECTED");
    first.cut_power();
    machine.run_tests("inside::reboot::recover_what");
}

#[test]
fn delays_are_as_exact_as_those_of_tc() {
    if !ready() {
        return;
    }
    Machine::that_measures("accuracy").run_tests("inside::accuracy::");
}
