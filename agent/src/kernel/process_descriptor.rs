//! A process held by a descriptor of its own, so that no signal ever meets a successor with the same number.

use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::KernelError;
use crate::identity::ProcessIdentity;

/// One process, held by its pidfd (`pidfd_open(2)`).
#[derive(Debug)]
pub(super) struct ProcessDescriptor {
    identity: ProcessIdentity,
    descriptor: OwnedFd,
}

/// Whether the threads of a process stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    /// All of them are stopped, by job control or by a tracer.
    Stopped,
    /// At least one is not.
    Running,
    /// It has ended, whether or not its parent took notice.
    Ended,
}

impl ProcessDescriptor {
    /// Opens the process; nothing if it has ended, or if its number belongs to another one by now.
    pub(super) fn open(identity: ProcessIdentity) -> Result<Option<Self>, KernelError> {
        let refuse = |source: Error| KernelError::new(format!("process {identity}"), "pidfd_open", source);
        let pid = Pid::from_raw(identity.pid).ok_or_else(|| refuse(ErrorKind::InvalidInput.into()))?;
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => {
                return Err(refuse(error.into()).hint(
                    "process descriptors need Linux 5.3 and a seccomp filter that allows pidfd_open; run `faultline doctor`",
                ));
            }
        };
        // Compared after the descriptor is held: from here on the number cannot change hands unnoticed.
        match crate::facts::identity_of(identity.pid) {
            Ok(found) if found == identity => Ok(Some(Self { identity, descriptor })),
            _ => Ok(None),
        }
    }

    pub(super) fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// Sends a signal; false if the process has ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<bool, KernelError> {
        match pidfd_send_signal(&self.descriptor, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => {
                let object = format!("process {}", self.identity);
                let failure = KernelError::new(object, "pidfd_send_signal", Error::from(error));
                Err(if error == Errno::PERM {
                    failure.hint("it belongs to another user: run as root, or choose processes of your own")
                } else {
                    failure
                })
            }
        }
    }

    /// Whether it has ended, without waiting.
    pub(super) fn has_ended(&self) -> bool {
        let mut waited = [PollFd::new(&self.descriptor, PollFlags::IN)];
        matches!(poll(&mut waited, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
    }

    /// Whether its threads stand still. The first thread may have ended before the others, so each is asked.
    pub(super) fn motion(&self) -> Motion {
        if self.has_ended() {
            return Motion::Ended;
        }
        let threads = Process::new(self.identity.pid).and_then(|process| process.tasks());
        let Ok(threads) = threads else { return Motion::Ended };
        let mut living = threads
            .flatten()
            .filter_map(|thread| thread.stat().ok())
            .map(|stat| stat.state)
            .filter(is_living)
            .peekable();
        if living.peek().is_none() {
            return Motion::Ended;
        }
        if living.all(|state| matches!(state, 'T' | 't')) { Motion::Stopped } else { Motion::Running }
    }

    /// Waits until it stands so, or has ended, or the time is over; tells how it stands then.
    pub(super) fn wait_for(&self, wanted: Motion, at_most: Duration) -> Motion {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            let motion = self.motion();
            if motion == wanted || motion == Motion::Ended || begun.elapsed() > at_most {
                return motion;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Its short name, for messages.
    pub(super) fn name(&self) -> String {
        let stat = Process::new(self.identity.pid).and_then(|process| process.stat());
        match stat {
            Ok(stat) if stat.starttime == self.identity.start_time => format!("{} ({})", stat.comm, self.identity),
            _ => format!("process {}", self.identity),
        }
    }
}

impl AsFd for ProcessDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn is_living(state: &char) -> bool {
    !matches!(state, 'Z' | 'X')
}

/// Opens all of a list that still live.
pub(super) fn open_all(identities: &[ProcessIdentity]) -> Result<Vec<ProcessDescriptor>, KernelError> {
    identities.iter().filter_map(|identity| ProcessDescriptor::open(*identity).transpose()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A program of a test's own, ended and reaped with the test.
    #[derive(Debug)]
    pub(crate) struct Victim(pub(crate) Child);

    impl Victim {
        /// One that sleeps.
        pub(crate) fn sleeper() -> Self {
            let child = Command::new("sleep").arg("1000").spawn().unwrap();
            // A program that was started a moment ago may still bear the name of who started it.
            let begun = Instant::now();
            let name = format!("/proc/{}/comm", child.id());
            while std::fs::read(&name).unwrap() != b"sleep\n" && begun.elapsed() < Duration::from_secs(5) {
                std::thread::yield_now();
            }
            Self(child)
        }

        /// One that runs a line of shell; it must not end by itself. Returns once the line has printed something.
        pub(crate) fn shell(line: &str) -> Self {
            let mut command = Command::new("sh");
            command.args(["-c", line]).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut first = [0];
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
            Self(child)
        }

        pub(crate) fn identity(&self) -> ProcessIdentity {
            crate::facts::identity_of(self.0.id().try_into().unwrap()).unwrap()
        }
    }

    impl Drop for Victim {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn does_not_open_a_successor_with_the_same_number() {
        let victim = Victim::sleeper();
        let identity = victim.identity();
        assert!(ProcessDescriptor::open(identity).unwrap().is_some());
        let earlier = ProcessIdentity { start_time: identity.start_time - 1, ..identity };
        assert!(ProcessDescriptor::open(earlier).unwrap().is_none());
    }

    #[test]
    fn sees_stops_and_the_end() {
        let mut victim = Victim::sleeper();
        let descriptor = ProcessDescriptor::open(victim.identity()).unwrap().unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(descriptor.motion(), Motion::Running);
        assert!(descriptor.signal(Signal::STOP).unwrap());
        assert_eq!(descriptor.wait_for(Motion::Stopped, second), Motion::Stopped);
        assert!(descriptor.signal(Signal::CONT).unwrap());
        assert_eq!(descriptor.wait_for(Motion::Running, second), Motion::Running);
        assert!(descriptor.signal(Signal::KILL).unwrap());
        assert_eq!(descriptor.wait_for(Motion::Ended, second), Motion::Ended);
        victim.0.wait().unwrap();
        assert!(!descriptor.signal(Signal::KILL).unwrap(), "nobody is there any more");
        assert!(ProcessDescriptor::open(descriptor.identity()).unwrap().is_none());
    }
}
