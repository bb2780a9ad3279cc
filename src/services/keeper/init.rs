use std::io;
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::super::{processes, this_program};
use super::{Isolation, KeepError, Report, die_with_parent, read_order, report, write_order};

/// Starts the program, reaps whatever dies, and ends with the program: its namespace then ends too.
pub(super) fn keep() -> Result<(), KeepError> {
    let order = read_order()?;
    let isolation = order.isolation.unwrap_or(Isolation::Subreaper);
    let _ = nix::sys::prctl::set_name(c"faultline-keep");
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|error| KeepError::call("blocking signals", error))?;
    if isolation == Isolation::Subreaper {
        // Not SIGKILL: without a namespace it takes a last act to bury the descendants.
        die_with_parent(Signal::SIGTERM)?;
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|error| KeepError::call("prctl(PR_SET_CHILD_SUBREAPER)", error))?;
    } else {
        die_with_parent(Signal::SIGKILL)?;
        own_proc();
    }
    let output = io::stderr().as_fd().try_clone_to_owned().map_err(|error| KeepError::call("dup(stderr)", error))?;
    let mut program = Command::new(this_program())
        .args(["keep-service", "program"])
        .stdin(Stdio::piped())
        .stdout(Stdio::from(output))
        .spawn()
        .map_err(|error| KeepError::call("starting the program", error))?;
    let mut stdin = program.stdin.take();
    if let Some(stdin) = &mut stdin {
        // A program stage that is dead already shows as such below.
        let _ = write_order(&order, stdin);
    }
    await_exec(stdin.as_ref());
    report(&Report::Started)?;
    let main = i32::try_from(program.id()).map_or(Pid::from_raw(0), Pid::from_raw);
    let ended = reap(main, &signals);
    if isolation == Isolation::Subreaper {
        kill_descendants();
    }
    drop(stdin);
    ended
}

/// Waits until the program stage has become the program or died: either closes the other end of its standard input.
fn await_exec(stdin: Option<&ChildStdin>) {
    if let Some(stdin) = stdin {
        let mut descriptors = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
        let _ = poll(&mut descriptors, PollTimeout::from(5_000u16));
    }
}

/// Mounts a `/proc` that shows the namespace. Without it (some containers forbid it) the outer one stays, which works
/// as well but shows other numbers.
fn own_proc() {
    let none: Option<&str> = None;
    // Only once nothing mounted here can reach the host any more; what the host mounts is still seen here.
    if mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).is_ok() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let _ = mount(Some("proc"), "/proc", Some("proc"), flags, none);
    }
}

/// Waits until the service is over: the program failed, or it and everything that it left have ended.
fn reap(main: Pid, signals: &SigSet) -> Result<(), KeepError> {
    let mut detached = false;
    loop {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == main => {
                    if code != 0 {
                        return report(&Report::Ended { code: Some(code), signal: None });
                    }
                    detached = true;
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                    return report(&Report::Ended { code: None, signal: Some(signal as i32) });
                }
                Ok(WaitStatus::StillAlive) => break,
                Err(nix::Error::ECHILD) => return report(&Report::Ended { code: Some(0), signal: None }),
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(KeepError::call("waitpid", error)),
            }
        }
        if detached {
            report(&Report::Detached)?;
            detached = false;
        }
        if signals.wait().map_err(|error| KeepError::call("sigwait", error))? == Signal::SIGTERM {
            return Ok(());
        }
    }
}

/// Kills everything that descends from this process, as often as something is found.
fn kill_descendants() {
    let own = nix::unistd::getpid().as_raw();
    for _ in 0..200 {
        let left = processes::descendants(own);
        if left.is_empty() {
            return;
        }
        for process in left {
            let _ = kill(Pid::from_raw(process.identity.pid), Signal::SIGKILL);
        }
        while !matches!(
            waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD)
        ) {}
        std::thread::sleep(Duration::from_millis(2));
    }
}
