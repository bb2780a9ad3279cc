//! The matrix of SIGKILL: each moment of a row × each process that may die there.

use super::rows::Row;
use super::stage::Stage;
use super::{Killed, Moment};

/// Runs all cases of one row and says how many there were.
pub fn survive(row: &Row) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the crash matrix needs root, to make network namespaces and mount a tmpfs");
        return;
    }
    if let Some(why) = row.missing() {
        // Another lane has a kernel that can, where it is installed.
        let elsewhere = std::path::Path::new("/usr/bin/linux.uml").exists();
        println!("{}: {}: {why}", if elsewhere { "left to user-mode Linux" } else { "skipped" }, row.name);
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
