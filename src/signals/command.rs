//! Running a command of the user's own: no shell, a bound on its time, nothing of it left afterwards.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::services::this_program;

/// How much of an output is kept.
const KEEP: usize = 64 * 1024;

/// What a command did.
#[derive(Debug)]
pub(crate) enum CommandEnd {
    /// It ended by itself.
    Exited { status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8> },
    /// It took too long and was killed with its process group.
    TimedOut,
    /// It could not be started.
    NotStarted(io::Error),
}

/// Kills the process group however this future ends: by timeout, or by being dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs a command to its end or for at most `timeout`.
pub(crate) async fn run(
    argv: &[String],
    environment: &BTreeMap<String, String>,
    directory: Option<&Path>,
    timeout: Duration,
) -> CommandEnd {
    let Some((program, arguments)) = argv.split_first() else {
        return CommandEnd::NotStarted(io::Error::new(io::ErrorKind::InvalidInput, "no program is named"));
    };
    let program = if program == "faultline" { this_program() } else { program.into() };
    let mut command = Command::new(program);
    command.args(arguments).envs(environment).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return CommandEnd::NotStarted(error),
    };
    // The group bears its leader's number. It is killed before the leader is reaped or right after, when the number
    // can hardly be somebody else's: a new group gets it only once nobody is left in the old one.
    let mut group = Group(child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(timeout, async {
        let reading = async { tokio::join!(keep(out, &mut stdout), keep(err, &mut stderr)) };
        tokio::pin!(reading);
        tokio::select! {
            // Whoever keeps its output open in the background does not delay the end of the command itself.
            status = child.wait() => {
                let _ = tokio::time::timeout(Duration::from_millis(20), &mut reading).await;
                status
            }
            _ = &mut reading => child.wait().await,
        }
    })
    .await;
    match ended {
        Ok(Ok(status)) => {
            drop(group);
            CommandEnd::Exited { status, stdout, stderr }
        }
        Ok(Err(error)) => CommandEnd::NotStarted(error),
        Err(_) => {
            if let Some(pid) = group.0.take() {
                let _ = killpg(pid, Signal::SIGKILL);
            }
            let _ = child.wait().await;
            CommandEnd::TimedOut
        }
    }
}

/// Reads a stream to its end, since a full pipe would stop the command, and keeps the beginning.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    while kept.len() < KEEP {
        if !matches!(stream.read_buf(kept).await, Ok(1..)) {
            return;
        }
    }
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// How a process ended, in words: `exited with code 1`, `was ended by SIGKILL`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(number)) => format!("was ended by {}", signal_name(number)),
        (None, None) => status.to_string(),
    }
}

/// The name of a signal, or its number where it has none.
pub(crate) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}
