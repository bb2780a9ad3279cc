//! The worker of a case as the test sees it: a process that is told what to inject, and brought to its moment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outside;
use super::rows::Row;
use super::task::{TEST, Task, VARIABLE};
use super::{Killed, Moment};

const PATIENCE: Duration = Duration::from_secs(20);

/// What befalls a process at a crash point.
#[derive(Debug, Clone, Copy)]
pub struct Crash<'a> {
    /// Its name.
    pub point: &'a str,
    /// `worker` or `guard`.
    pub role: &'static str,
    /// Whether it is stopped there, rather than killed.
    pub stops: bool,
}

/// A worker, killed with its case.
pub struct Worker {
    process: Child,
    guard: Pid,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Worker {
    /// Starts one in the calling thread's namespace.
    pub fn start(task: &Task, crash: Option<Crash<'_>>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--nocapture"]).env(VARIABLE, serde_json::to_string(task).unwrap());
        if let Some(Crash { point, role, stops }) = crash {
            command.env("FAULTLINE_CRASH_AT", format!("{point}:{role}"));
            if stops {
                command.env("FAULTLINE_CRASH_BY", "stop");
            }
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        for stream in [
            Box::new(process.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>,
            Box::new(process.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { orders: process.stdin.take(), process, guard: Pid::from_raw(0), lines, said: Vec::new() }
    }

    /// Hears who its guard is, and whether its plan has as many steps as the row says.
    pub fn introduce(&mut self, row: &Row) -> Result<Pid, String> {
        self.guard = Pid::from_raw(self.hear("guard ")?.parse().map_err(|error| format!("{error}"))?);
        let steps: usize = self.hear("steps ")?.parse().map_err(|error| format!("{error}"))?;
        if steps == row.steps {
            Ok(self.guard)
        } else {
            Err(format!("its plan has {steps} steps; correct the row, so that each is tested"))
        }
    }

    /// Waits for a line that begins so, and answers its rest.
    pub fn hear(&mut self, what: &str) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix('@').and_then(|line| line.strip_prefix(what)) {
                        return Ok(rest.to_owned());
                    }
                    self.said.push(line);
                }
                Err(error) => {
                    return Err(format!("no `{what}` of the worker ({error}); it said:\n{}", self.said.join("\n")));
                }
            }
        }
    }

    /// Its process number.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap())
    }

    /// Tells it to undo.
    fn undo(&mut self) {
        self.orders.take().unwrap().write_all(b"undo\n").unwrap();
    }

    /// Waits until it stands still at that moment, or until its fault is in place.
    pub fn reach(&mut self, moment: &Moment) -> Result<(), String> {
        if moment.is_in_undo() || *moment == Moment::Active {
            self.hear("active")?;
        }
        if *moment == Moment::Active {
            return Ok(());
        }
        if moment.is_in_undo() {
            self.undo();
        }
        self.await_stop()
    }

    /// Dies, or loses its guard, at that moment.
    pub fn die(&mut self, moment: &Moment, killed: Killed) -> Result<(), String> {
        let guard = self.guard;
        let stops = matches!(moment, Moment::CrashPoint(_)) && matches!(killed, Killed::Guard | Killed::Both);
        if stops {
            self.reach(moment)?;
        } else if *moment == Moment::Active || killed == Killed::WorkerThenGuard {
            self.hear("active")?;
        } else if moment.is_in_undo() {
            self.hear("active")?;
            self.undo();
        }
        match killed {
            Killed::Worker if *moment == Moment::Active => self.signal(self.pid(), Signal::SIGKILL)?,
            Killed::Worker => {}
            Killed::WorkerThenGuard => self.signal(self.pid(), Signal::SIGKILL)?,
            Killed::Guard => {
                self.signal(guard, Signal::SIGKILL)?;
                if stops {
                    self.signal(self.pid(), Signal::SIGCONT)?;
                }
                return self.hear("undone").map(|_| ());
            }
            Killed::Both => {
                self.signal(guard, Signal::SIGKILL)?;
                self.signal(self.pid(), Signal::SIGKILL)?;
            }
        }
        let status = self.await_end()?;
        match std::os::unix::process::ExitStatusExt::signal(&status) {
            Some(9) => Ok(()),
            _ => Err(format!(
                "the worker ended by {status} and not by SIGKILL: was the crash point reached? It said:\n{}",
                self.said.join("\n")
            )),
        }
    }

    /// Sends a signal to it or to its guard.
    pub fn signal(&self, pid: Pid, signal: Signal) -> Result<(), String> {
        let said = || self.lines.try_iter().chain(self.said.iter().cloned()).collect::<Vec<_>>().join("\n");
        kill(pid, signal).map_err(|error| format!("{signal} to {pid}: {error}; the worker said:\n{}", said()))
    }

    fn await_stop(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if outside::state(self.process.id()) == Some('T') {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("the worker did not reach its crash point; it said:\n{}", self.said.join("\n")))
    }

    fn await_end(&mut self) -> Result<ExitStatus, String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Ok(status);
            }
            while let Ok(line) = self.lines.try_recv() {
                self.said.push(line);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("the worker does not end; it said:\n{}", self.said.join("\n")))
    }

    /// Waits for its end, or ends it.
    pub fn end(&mut self) {
        drop(self.orders.take());
        if self.await_end().is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Whether it is no more.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits until its guard has done its work and ended. It is not our child, so its number is looked for.
    pub fn await_death_of_guard(&self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match outside::state(u32::try_from(self.guard.as_raw()).unwrap()) {
                None | Some('Z') => return Ok(()),
                Some(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(format!("guard {} does not end", self.guard))
    }

    /// Ends it and its guard, so that neither undoes anything.
    pub fn cut_off(&mut self) -> Result<(), String> {
        self.signal(self.guard, Signal::SIGKILL)?;
        self.signal(self.pid(), Signal::SIGKILL)?;
        self.await_end()?;
        self.await_death_of_guard()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
