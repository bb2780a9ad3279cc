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
