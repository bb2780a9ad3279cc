//! The lane of user-mode Linux: a Debian kernel as an ordinary process, which has netem, loop devices and reboots of
//! its own. Each test below boots one or two of them; the tests in [`inside`] run there, from this same program.
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

use machine::{Machine, ready};

#[test]
fn netem_delays_adds_up_and_comes_off_beside_what_others_put_there() {
    if !ready() {
        return;
    }
    Machine::boot("netem").run_tests("inside::netem::");
}

#[test]
fn netem_is_undone_by_the_guard_and_by_recovery() {
    if !ready() {
        return;
    }
    Machine::boot("crash").run_tests("inside::reboot::netem_goes");
}

#[test]
fn netem_without_a_record_is_removed_when_nobody_can_own_it() {
    if !ready() {
        return;
    }
    Machine::boot("orphans").run_tests("inside::orphans::");
}

#[test]
fn what_outlives_a_power_cut_is_recovered_at_the_next_boot() {
    if !ready() {
        return;
    }
    let machine = Machine::boot("reboot");
    machine.make_disk("disk", "mkfs.ext4 -q");
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
    Machine::boot("accuracy").run_tests("inside::accuracy::");
}
