//! Network faults in force, in network namespaces that each test makes, seen from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests fail as tests do")]

mod classification;
mod control;
mod crash;
mod host_names;
mod lab;
mod latency;
mod listing;
mod partition;
mod peer;
mod scope;
mod together;
