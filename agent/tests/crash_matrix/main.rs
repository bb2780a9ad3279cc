//! The crash matrix: each fault of the catalogue × each point of its life × each process that may die there, by real
//! SIGKILL on a real kernel. Afterwards the host is as it was before, and the journal is empty.
//!
//! A fault joins by being in the catalogue: without a row in [`rows`] the test below fails. Each case has a network
//! namespace, a tmpfs, a state folder and victims of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, missing_docs, reason = "a test")]

#[allow(dead_code, reason = "the lane of user-mode Linux uses the rest")]
#[path = "../matrix/mod.rs"]
mod matrix;

use std::collections::BTreeSet;

use faultline_agent::fault::CATALOGUE;

use matrix::kill::survive;
use matrix::stage::Stage;
use matrix::{Row, rows};

#[test]
fn every_fault_of_the_catalogue_has_a_row() {
    let listed: BTreeSet<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
    let tested: BTreeSet<&str> = rows::ALL.iter().map(Row::fault_name).collect();
    assert_eq!(tested, listed, "write a row for it in rows.rs, and its line in the list of tests below");
}

macro_rules! rows_survive {
    ($($test:ident => $row:ident,)+) => {
        $(#[test]
        fn $test() {
            survive(&rows::$row);
        })+

        #[test]
        fn every_row_has_its_test() {
            let tested: BTreeSet<&str> = [$(rows::$row.name),+].into();
            assert_eq!(tested, rows::ALL.iter().map(|row| row.name).collect());
        }
    };
}

rows_survive! {
    network_latency => NETWORK_LATENCY,
    network_latency_processes => NETWORK_LATENCY_PROCESSES,
    network_latency_netem => NETWORK_LATENCY_NETEM,
    network_partition => NETWORK_PARTITION,
    network_partition_peers => NETWORK_PARTITION_PEERS,
    disk_fill => DISK_FILL,
    disk_fill_inodes => DISK_FILL_INODES,
    process_kill => PROCESS_KILL,
    process_kill_again => PROCESS_KILL_AGAIN,
    process_pause => PROCESS_PAUSE,
    process_pause_beat => PROCESS_PAUSE_BEAT,
    process_pause_freezer => PROCESS_PAUSE_FREEZER,
}

/// A worker that hangs is killed when its time is up, and what it did is undone; one that is well in time is let be,
/// and a guard that is told to end by its terminal stays.
#[test]
fn a_worker_that_hangs_is_killed_and_its_fault_undone() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to make network namespaces and mount a tmpfs");
        return;
    }
    for row in [&rows::PROCESS_PAUSE, &rows::NETWORK_PARTITION] {
        let ended = std::thread::scope(|scope| scope.spawn(|| Stage::set(row).unwrap().hang()).join());
        let took = ended.unwrap().unwrap_or_else(|problem| panic!("{}: {problem}", row.name));
        println!("{}: undone {took:?} after it was due", row.name);
    }
}
