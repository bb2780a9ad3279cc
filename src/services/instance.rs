//! One start of a service: its keeper, what the keeper reports, and how it is taken down.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use faultline_agent::identity::ProcessIdentity;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::keeper::{Isolation, Order, Report, write_order};
use super::processes;
use crate::signals::command::signal_name;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to bury what was killed.
const BURIAL: Duration = Duration::from_secs(5);

/// The thread that starts keepers. The kernel kills a keeper when the thread that started it ends, and threads of the
/// async runtime may end at any time; this one ends with the last of its handles.
#[derive(Debug, Clone)]
pub(super) struct Spawner(mpsc::Sender<(Command, oneshot::Sender<io::Result<Child>>)>);

impl Spawner {
    pub(super) fn new() -> io::Result<Self> {
        let (orders, taken) = mpsc::channel::<(Command, oneshot::Sender<io::Result<Child>>)>();
        std::thread::Builder::new().name("services".into()).spawn(move || {
            while let Ok((mut command, answer)) = taken.recv() {
                if let Err(Ok(mut unwanted)) = answer.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        })?;
        Ok(Self(orders))
    }

    async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts services is gone");
        self.0.send((command, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// A running service.
#[derive(Debug)]
pub(super) struct Instance {
    keeper: Option<Child>,
    /// Open as long as the service is wanted.
    _stdin: Option<ChildStdin>,
    reports: Lines<BufReader<pipe::Receiver>>,
    init: Option<i32>,
    main: Option<ProcessIdentity>,
    weakly_held: Option<String>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

impl Instance {
    /// Starts the keeper (`program` is this binary) and hands it the order; what it writes besides reports goes to `output`.
    pub(super) async fn launch(spawner: &Spawner, program: &Path, order: &Order, output: File) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(["keep-service", "outer"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output);
        // Ctrl-C at the terminal is for the run, which then takes its services down in order.
        command.process_group(0);
        let mut keeper = spawner.spawn(command).await?;
        let mut stdin = keeper.stdin.take();
        let stdout = keeper.stdout.take().ok_or_else(|| io::Error::other("the keeper has no standard output"))?;
        let reports = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?).lines();
        if let Some(stdin) = &mut stdin {
            write_order(order, stdin).map_err(io::Error::other)?;
        }
        Ok(Self { keeper: Some(keeper), _stdin: stdin, reports, init: None, main: None, weakly_held: None })
    }

    /// Waits until the program runs; the error says how it ended instead.
    pub(super) async fn started(&mut self) -> Result<(), String> {
        while self.main.is_none() {
            self.next_report().await?;
        }
        Ok(())
    }

    /// Waits until it is over and says how.
    pub(super) async fn ended(&mut self) -> String {
        loop {
            if let Err(how) = self.next_report().await {
                return how;
            }
        }
    }

    /// Takes in one report. The error says how the service ended.
    async fn next_report(&mut self) -> Result<(), String> {
        let line = self.reports.next_line().await.ok().flatten();
        match line.as_deref().map(serde_json::from_str::<Report>) {
            Some(Ok(Report::Isolated { how, because })) => {
                let because = because.unwrap_or_default();
                self.weakly_held = (how == Isolation::Subreaper).then_some(because);
                Ok(())
            }
            Some(Ok(Report::Init { pid })) => {
                self.init = Some(pid);
                Ok(())
            }
            // Of the one that ended at once nothing may be left to be found; that report follows.
            Some(Ok(Report::Started | Report::Detached)) => {
                self.main = self.everything().first().copied().filter(|main| !processes::is_ending(main.pid));
                Ok(())
            }
            Some(Ok(Report::Ended { code: Some(code), .. })) => Err(format!("exited with code {code}")),
            Some(Ok(Report::Ended { signal, .. })) => {
                Err(format!("was ended by {}", signal.map_or_else(|| "a signal".into(), signal_name)))
            }
            Some(Err(error)) => Err(format!("was ended: its keeper said what it should not ({error})")),
            None => Err("was ended together with its keeper".into()),
        }
    }

    /// Why nothing stronger than a subreaper holds its processes, where that is so.
    pub(super) fn weakly_held(&self) -> Option<&str> {
        self.weakly_held.as_deref()
    }

    /// The program and all that descends from it, the program first.
    pub(super) fn handle(&self) -> Handle {
        Handle {
            keeper: self.keeper.as_ref().and_then(|keeper| i32::try_from(keeper.id()).ok()),
            init: self.init,
            main: self.main,
        }
    }

    fn everything(&self) -> Vec<ProcessIdentity> {
        self.handle().processes()
    }

    /// Ends it: SIGTERM to the program, then SIGKILL to all that is left after a while.
    pub(super) async fn take_down(mut self) -> TakenDown {
        let mut known = self.everything();
        let mut killed = false;
        let asked = known.first().is_some_and(|main| terminate(*main));
        if !asked || tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            killed = asked;
            known.extend(self.everything());
        }
        if let Some(mut keeper) = self.keeper.take() {
            if killed || !asked {
                let _ = keeper.kill();
            }
            // A keeper ends only after everything in its namespace.
            let _ = tokio::task::spawn_blocking(move || keeper.wait()).await;
        }
        let deadline = tokio::time::Instant::now() + BURIAL;
        loop {
            let left: Vec<_> = known.iter().copied().filter(ProcessIdentity::is_alive).collect();
            if left.is_empty() || tokio::time::Instant::now() > deadline {
                return TakenDown { killed, left };
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the keeper of a service that ended by itself.
    pub(super) async fn bury(mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let _ = tokio::task::spawn_blocking(move || keeper.wait()).await;
        }
    }
}

/// How a service was taken down.
#[derive(Debug, Default)]
pub(super) struct TakenDown {
    /// It did not end within its grace.
    pub(super) killed: bool,
    /// What is there all the same.
    pub(super) left: Vec<ProcessIdentity>,
}

/// The numbers by which a running service is found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Handle {
    keeper: Option<i32>,
    init: Option<i32>,
    main: Option<ProcessIdentity>,
}

impl Handle {
    /// The program and all that descends from it, the program first.
    pub(super) fn processes(&self) -> Vec<ProcessIdentity> {
        let Some(init) = self.init else { return Vec::new() };
        let mut found: Vec<_> = processes::descendants(init).into_iter().map(|process| process.identity).collect();
        found.sort_by_key(|identity| Some(*identity) != self.main);
        found
    }

    /// The processes between the run and the program.
    pub(super) fn keepers(&self) -> Vec<ProcessIdentity> {
        let pids = self.keeper.into_iter().chain(self.init);
        pids.filter_map(|pid| processes::read(pid).ok()).map(|process| process.identity).collect()
    }
}

/// Sends SIGTERM to exactly this process; whether it was there.
fn terminate(process: ProcessIdentity) -> bool {
    let Some(pid) = Pid::from_raw(process.pid) else { return false };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    process.is_alive() && pidfd_send_signal(&descriptor, Signal::TERM).is_ok()
}
