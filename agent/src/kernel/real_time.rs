//! Being woken on time: a thread that measures must not wait behind threads that work.

use std::io;

use nix::libc;

/// Puts the calling thread before all ordinary ones (SCHED_RR at the lowest real-time priority, sched(7)). Whatever it
/// starts is ordinary again. The kernel leaves ordinary threads at least 5% of each processor.
///
/// # Errors
/// Without CAP_SYS_NICE, or where the thread's cgroup has no real-time share (EPERM).
pub fn prefer_this_thread() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a live sched_param, which the call only reads; 0 means the calling thread.
    let result =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_preferred_and_what_it_starts_is_not() {
        let outcome = std::thread::spawn(|| {
            prefer_this_thread()?;
            let policy = |path: &str| {
                let stat = std::fs::read_to_string(path)?;
                let fields =
                    stat.rsplit_once(')').map(|(_, fields)| fields.split_ascii_whitespace().nth(38).map(str::to_owned));
                Ok::<_, io::Error>(fields.flatten().unwrap())
            };
            let own = policy("/proc/thread-self/stat")?;
            let started = std::thread::spawn(move || policy("/proc/thread-self/stat")).join().unwrap()?;
            Ok::<_, io::Error>((own, started))
        });
        match outcome.join().unwrap() {
            // Field 41 of proc_pid_stat(5): 2 is SCHED_RR, 0 the ordinary policy.
            Ok(policies) => assert_eq!(policies, ("2".to_owned(), "0".to_owned())),
            Err(error) => println!("skipped: real-time threads are not permitted here: {error}"),
        }
    }
}
