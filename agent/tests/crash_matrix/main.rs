//! The crash matrix: each fault of the catalogue × each point of its life × each process that may die there, by real
//! SIGKILL on a real kernel. Afterwards the host is as it was before, and the journal is empty.
//!
//! A fault joins by being in the catalogue: without a row in [`rows`] the test below fails. Each case has a network
//! namespace, a tmpfs, a state folder and victims of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, missing_docs, reason = "a test")]

mod outside;
mod rows;
mod stage;
mod worker;

use std::collections::BTreeSet;

use faultline_agent::fault::CATALOGUE;

use rows::Row;
use stage::{Killed, Moment, Stage};

#[test]
fn every_fault_of_the_catalogue_has_a_row() {
    let listed: BTreeSet<&str> = CATALOGUE.iter().map(|entry| entry.name).collect();
    let tested: BTreeSet<&str> = rows::ALL.iter().map(Row::fault_name).collect();
    assert_eq!(tested, listed, "write a row for it in rows.rs, and its line in the list of tests below");
}

/// Runs all cases of one row and says how many there were.
fn survive(row: &Row) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the crash matrix needs root, to make network namespaces and mount a tmpfs");
        return;
    }
    let mut cases = 0;
    for killed in [Killed::Worker, Killed::Guard, Killed::Both] {
        for moment in row.moments() {
            one(row, &moment, killed);
            cases += 1;
        }
    }
    // A guard that dies while it undoes what its dead worker left.
    for moment in row.moments().into_iter().filter(Moment::is_in_undo) {
        one(row, &moment, Killed::WorkerThenGuard);
        cases += 1;
    }
    println!("{}: {cases} cases, each with nothing left", row.name);
}

fn one(row: &Row, moment: &Moment, killed: Killed) {
    let case = format!("{}, {killed:?} at {moment:?}", row.name);
    // Its own thread, because the namespace of a case ends with the thread that made it.
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| Stage::set(row).unwrap_or_else(|error| panic!("{case}: {error}")).play(moment, killed)).join()
    });
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => panic!("{case}: {problem}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
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
    network_partition => NETWORK_PARTITION,
    network_partition_peers => NETWORK_PARTITION_PEERS,
    disk_fill => DISK_FILL,
    disk_fill_inodes => DISK_FILL_INODES,
    process_kill => PROCESS_KILL,
    process_kill_again => PROCESS_KILL_AGAIN,
    process_pause => PROCESS_PAUSE,
    process_pause_beat => PROCESS_PAUSE_BEAT,
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

#[test]
fn worker() {
    worker::enter();
}
