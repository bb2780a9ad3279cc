//! `faultline keep-service`: the processes between a run and a program that it started. They see to it that nothing of
//! the program is left when it is stopped, and also when the run dies by SIGKILL.
//!
//! ```text
//! run ── outer ── init ── program        init is process 1 of a process namespace of its own
//! ```
//!
//! Outer and init ask the kernel to kill them when their parent dies (`PR_SET_PDEATHSIG`), and with its process 1 a
//! process namespace dies whole, forked daemons included (pid_namespaces(7)). Each stage is this same binary; what it
//! is to do comes by its standard input, so that nobody who looks for the program's command line finds its keepers.
//! An open standard input also says that the parent lives.
//!
//! Where process namespaces are not permitted, init is a subreaper instead: every orphan becomes its child
//! (prctl(2), `PR_SET_CHILD_SUBREAPER`), and it kills them all before it ends. Only a SIGKILL sent to init itself could
//! then leave something behind.

mod init;
mod outer;
mod program;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::this_program;

/// Which of the processes this one is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// The run's child: opens the namespace.
    Outer,
    /// Process 1 of the namespace: starts the program and buries its orphans.
    Init,
    /// Becomes the program, once user and session are set.
    Program,
}

/// What is to be kept, as told to each stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) run: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
    pub(super) user: Option<User>,
    /// Found out by the outer stage.
    pub(super) isolation: Option<Isolation>,
}

/// The user whose rights the program gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// What holds the program's processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Isolation {
    /// A process namespace.
    Namespace,
    /// A process namespace within a user namespace, which needs no privilege.
    UserNamespace,
    /// Only that orphans come back to init.
    Subreaper,
}

/// What a stage tells the run, one JSON object a line on standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// How the program is held together, and why not better.
    Isolated { how: Isolation, because: Option<String> },
    /// The process number of init as the run sees it.
    Init { pid: i32 },
    /// The program has been started.
    Started,
    /// The program ended well but left processes that go on, as a daemon does.
    Detached,
    /// The program ended.
    Ended { code: Option<i32>, signal: Option<i32> },
}

/// Why a stage could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The order was not understood: this is not for people to call.
    #[error("this command is for Faultline's own use: {0}")]
    Order(String),
    /// A system call failed.
    #[error("{call} failed: {source}")]
    Call {
        /// Which, and on what.
        call: String,
        /// The reason.
        source: io::Error,
    },
}

impl KeepError {
    fn call(call: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Call { call: call.into(), source: source.into() }
    }
}

/// Does the part of one stage. The program's stage does not return when all goes well.
///
/// # Errors
/// If the kernel refuses what the stage cannot go on without; the text ends up in the service's output.
pub fn keep(stage: Stage) -> Result<(), KeepError> {
    match stage {
        Stage::Outer => outer::keep(),
        Stage::Init => init::keep(),
        Stage::Program => program::become_it(),
    }
}

/// Reads the order, the only line that ever comes by standard input.
fn read_order() -> Result<Order, KeepError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| KeepError::call("reading the order", error))?;
    serde_json::from_str(&line).map_err(|error| KeepError::Order(error.to_string()))
}

pub(super) fn write_order(order: &Order, mut to: impl Write) -> Result<(), KeepError> {
    let line = serde_json::to_string(order).map_err(|error| KeepError::Order(error.to_string()))?;
    to.write_all(line.as_bytes())
        .and_then(|()| to.write_all(b"\n"))
        .map_err(|error| KeepError::call("handing on the order", error))
}

fn report(report: &Report) -> Result<(), KeepError> {
    let mut line = serde_json::to_string(report).map_err(|error| KeepError::Order(error.to_string()))?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|error| KeepError::call("reporting", error))
}

/// Has the kernel send `signal` when the parent dies, and finds out whether it is dead already: only then is the other
/// end of standard input closed.
fn die_with_parent(signal: Signal) -> Result<(), KeepError> {
    prctl::set_pdeathsig(signal).map_err(|error| KeepError::call("prctl(PR_SET_PDEATHSIG)", error))?;
    let stdin = io::stdin();
    let mut descriptors = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    poll(&mut descriptors, PollTimeout::ZERO).map_err(|error| KeepError::call("poll(stdin)", error))?;
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    if descriptors[0].revents().is_some_and(|events| events.intersects(gone)) {
        return Err(KeepError::Order("the process that asked for it is gone".into()));
    }
    Ok(())
}

/// What `faultline` as a program means: this very binary.
pub(super) fn program_path(name: &str) -> PathBuf {
    if name == "faultline" { this_program() } else { name.into() }
}
