use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Order, READY, RESCAN};
use crate::identity::ProcessIdentity;

/// How long a guard may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to start this program again as a guard: its `main` must call [`enter_if_asked`](super::enter_if_asked) first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before those of the guard: nothing but the word `guard`.
    pub arguments: Vec<OsString>,
}

impl GuardCommand {
    /// The program that runs now, even if its file has been replaced since.
    pub fn own() -> Self {
        Self { program: "/proc/self/exe".into(), arguments: vec![super::order::WORD.into()] }
    }
}

/// There is no guard, so nothing may be injected.
#[derive(Debug, thiserror::Error)]
#[error("the guard cannot be started as {program}: {source}", program = program.display())]
pub struct GuardError {
    /// The program.
    pub program: PathBuf,
    /// The reason.
    pub source: io::Error,
}

/// A guard that watches this process. Dropping it lets it undo what is left in the journal, and end.
#[derive(Debug)]
pub(crate) struct GuardHandle {
    pub(crate) identity: ProcessIdentity,
    words: Option<PipeWriter>,
    pidfd: OwnedFd,
    child: Mutex<Child>,
}

impl GuardHandle {
    /// Starts a guard and waits until it watches.
    pub(crate) fn spawn(command: &GuardCommand, worker: ProcessIdentity, state: &Path) -> Result<Self, GuardError> {
        let fail = |source| GuardError { program: command.program.clone(), source };
        let order = Order { worker, state: state.to_owned() };
        let (reader, words) = io::pipe().map_err(fail)?;
        let (ready, writer) = io::pipe().map_err(fail)?;
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .args(order.arguments())
            .current_dir("/")
            .stdin(Stdio::from(reader))
            .stdout(Stdio::from(writer))
            .spawn()
            .map_err(fail)?;
        Self::greet(&mut child, ready.into(), words)
            .map_err(|source| {
                let _ = child.kill();
                let _ = child.wait();
                fail(source)
            })
            .map(|(identity, pidfd, words)| Self { identity, words: Some(words), pidfd, child: Mutex::new(child) })
    }

    fn greet(
        child: &mut Child,
        ready: OwnedFd,
        words: PipeWriter,
    ) -> io::Result<(ProcessIdentity, OwnedFd, PipeWriter)> {
        let pid = Pid::from_child(child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        if !wait_readable(&ready, PATIENCE)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it was not ready within {PATIENCE:?}")));
        }
        let mut answer = [0; 1];
        match File::from(ready).read(&mut answer)? {
            1 if answer == [READY] => {}
            _ => return Err(io::Error::other("it ended, or is another program, before it was ready")),
        }
        rustix::io::ioctl_fionbio(&words, true)?;
        Ok((ProcessIdentity::of(pid.as_raw_nonzero().get())?, pidfd, words))
    }

    /// Sends a word. A full pipe is no harm: the guard has words to read.
    fn say(&self, word: u8) {
        if let Some(mut words) = self.words.as_ref() {
            // A guard that is gone is noticed by `is_lost`, which every caller asks.
            let _ = words.write(&[word]);
        }
    }

    /// Tells the guard that the journal changed.
    pub(crate) fn rescan(&self) {
        self.say(RESCAN);
    }

    /// Tells the guard that this process is alive.
    pub(crate) fn alive(&self) {
        self.say(super::ALIVE);
    }

    /// Whether the guard has died.
    pub(crate) fn is_lost(&self) -> bool {
        !matches!(wait_readable(&self.pidfd, Duration::ZERO), Ok(false))
    }
}

impl Drop for GuardHandle {
    fn drop(&mut self) {
        drop(self.words.take());
        // It ends at once unless something is left to undo; then it must not be hurried.
        let ended = wait_readable(&self.pidfd, Duration::from_secs(5)).unwrap_or(true);
        if let (true, Ok(mut child)) = (ended, self.child.lock()) {
            let _ = child.wait();
        }
    }
}

/// Whether a descriptor has something to read (a pidfd: that the process is dead) within that time.
pub(super) fn wait_readable(descriptor: &impl AsFd, patience: Duration) -> io::Result<bool> {
    let until = std::time::Instant::now() + patience;
    loop {
        let mut descriptors = [PollFd::new(descriptor, PollFlags::IN)];
        let left = until.saturating_duration_since(std::time::Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
