//! One case: a network namespace, a tmpfs, victims, a worker with its guard, and who dies when.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use faultline_agent::fingerprint::{FingerprintScope, Section, take};
use faultline_agent::kernel::namespace;
use faultline_agent::units::TimeSpan;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outside;
use super::rows::Row;
use super::worker::{Task, VARIABLE};

/// A point in the life of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// One that is named in the code.
    CrashPoint(String),
    /// Any time while it is in place.
    Active,
}

impl Moment {
    /// Whether it lies in the undo.
    pub fn is_in_undo(&self) -> bool {
        matches!(self, Self::CrashPoint(name) if name.contains("undo") || name == "before-forget")
    }
}

/// Who dies at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// The worker; its guard undoes.
    Worker,
    /// The guard; its worker undoes.
    Guard,
    /// Both; a recovery undoes.
    Both,
    /// The worker while the fault is active, then the guard at that moment of its undo; a recovery undoes.
    WorkerThenGuard,
}

const PATIENCE: Duration = Duration::from_secs(20);

/// The case, set up. Whatever it started or mounted goes with it.
pub struct Stage<'a> {
    row: &'a Row,
    scratch: tempfile::TempDir,
    disk: PathBuf,
    state: PathBuf,
    victims: Vec<Child>,
}

impl<'a> Stage<'a> {
    /// Sets a case up, in the calling thread's new network namespace.
    pub fn set(row: &'a Row) -> Result<Self, String> {
        namespace::enter_private().map_err(|error| error.to_string())?;
        for arguments in [
            "link add near type veth peer name far",
            "addr add 192.0.2.1/24 dev near",
            "addr add 2001:db8::1/64 dev near nodad",
            "link set near up",
            "link set far up",
        ] {
            let status = Command::new("ip").args(arguments.split(' ')).status().map_err(|error| error.to_string())?;
            assert!(status.success(), "ip {arguments}");
        }
        let scratch = tempfile::Builder::new().prefix(&format!("faultline-{}-", std::process::id())).tempdir().unwrap();
        let (disk, state) = (scratch.path().join("disk"), scratch.path().join("state"));
        std::fs::create_dir(&disk).unwrap();
        mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::empty(), Some("size=16m,nr_inodes=2000"))
            .map_err(|error| format!("cannot mount a tmpfs: {error}"))?;
        let victims = (0..2).map(|_| Command::new("sleep").arg("1000").spawn().unwrap()).collect();
        Ok(Self { row, scratch, disk, state, victims })
    }

    /// The host as others see it, and as our own fingerprint does. Sections that other tests on this machine change are
    /// left to the others' view, which is confined to this case.
    fn look(&self) -> String {
        let sections = vec![Section::Links, Section::Qdiscs, Section::Nftables, Section::Xtables];
        let own = take(&FingerprintScope { sections, ..FingerprintScope::default() });
        let seen = outside::look(&self.disk, &self.victims.iter().map(Child::id).collect::<Vec<_>>());
        format!("{seen}\n{own}")
    }

    /// Lets the fault live, stops its worker for good, and waits for the guard; how long it took beyond the time that
    /// the fault was to last.
    pub fn hang(&mut self) -> Result<Duration, String> {
        let before = self.look();
        let mut worker = Worker::start_for(self, TimeSpan::from_secs(1), &Moment::Active, Killed::Worker);
        let guard: u32 = worker.hear("guard ")?.parse().map_err(|error| format!("{error}"))?;
        worker.hear("active")?;
        let due = Instant::now() + Duration::from_secs(1);
        if self.look() == before {
            return Err("the fault does nothing".into());
        }
        worker.signal(worker.pid(), Signal::SIGSTOP)?;
        let guard_pid = Pid::from_raw(i32::try_from(guard).unwrap());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            worker.signal(guard_pid, signal)?;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if worker.process.try_wait().unwrap().is_some() {
            return Err("the worker was killed before its time".into());
        }
        await_death(guard)?;
        let took = due.elapsed();
        worker.end();
        self.must_be_as(&before)?;
        Ok(took)
    }

    /// Lets the fault live until that moment, kills whom it says, and looks what is left.
    pub fn play(&mut self, moment: &Moment, killed: Killed) -> Result<(), String> {
        let before = self.look();
        let mut worker = Worker::start(self, moment, killed);
        let guard: u32 = worker.hear("guard ")?.parse().map_err(|error| format!("{error}"))?;
        let steps: usize = worker.hear("steps ")?.parse().map_err(|error| format!("{error}"))?;
        if steps != self.row.steps {
            return Err(format!("its plan has {steps} steps; correct the row, so that each is tested"));
        }
        let ended = worker.die(moment, killed, guard);
        worker.end();
        ended?;
        await_death(guard)?;
        if matches!(killed, Killed::Both | Killed::WorkerThenGuard) {
            self.recover()?;
        }
        self.must_be_as(&before)
    }

    fn recover(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_faultline-agent"))
            .args(["recover", "--state"])
            .arg(&self.state)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(format!("recover: {output:?}")) }
    }

    fn must_be_as(&self, before: &str) -> Result<(), String> {
        let after = self.look();
        if after != before {
            return Err(format!("the host is not as before.\nbefore:\n{before}\nafter:\n{after}"));
        }
        let records: Vec<_> = std::fs::read_dir(self.state.join("faults"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".json"))
            .collect();
        if records.is_empty() { Ok(()) } else { Err(format!("the journal still has {records:?}")) }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for victim in &mut self.victims {
            let _ = victim.kill();
            let _ = victim.wait();
        }
        if let Err(error) = umount2(&self.disk, MntFlags::MNT_DETACH) {
            println!("{}: cannot unmount: {error}", self.scratch.path().display());
        }
    }
}

struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Worker {
    fn start(stage: &Stage<'_>, moment: &Moment, killed: Killed) -> Self {
        Self::start_for(stage, TimeSpan::from_secs(60), moment, killed)
    }

    fn start_for(stage: &Stage<'_>, lasts: TimeSpan, moment: &Moment, killed: Killed) -> Self {
        let fault = stage.row.fault.replace("DISK", &stage.disk.display().to_string());
        let victims: Vec<i32> = stage.victims.iter().map(|victim| i32::try_from(victim.id()).unwrap()).collect();
        let task = Task {
            state: stage.state.clone(),
            fault: serde_json::from_str(&fault).unwrap(),
            victims: stage.row.on_victims.then_some(victims),
            lasts,
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["worker", "--exact", "--nocapture"]).env(VARIABLE, serde_json::to_string(&task).unwrap());
        if let Moment::CrashPoint(name) = moment {
            let role = if killed == Killed::WorkerThenGuard { "guard" } else { "worker" };
            command.env("FAULTLINE_CRASH_AT", format!("{name}:{role}"));
            if matches!(killed, Killed::Guard | Killed::Both) {
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
        Self { orders: process.stdin.take(), process, lines, said: Vec::new() }
    }

    /// Waits for a line that begins so, and answers its rest.
    fn hear(&mut self, what: &str) -> Result<String, String> {
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

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap())
    }

    /// Tells it to undo.
    fn undo(&mut self) {
        self.orders.take().unwrap().write_all(b"undo\n").unwrap();
    }

    fn die(&mut self, moment: &Moment, killed: Killed, guard: u32) -> Result<(), String> {
        let guard = Pid::from_raw(i32::try_from(guard).unwrap());
        if *moment == Moment::Active || killed == Killed::WorkerThenGuard {
            self.hear("active")?;
        } else if moment.is_in_undo() {
            self.hear("active")?;
            self.undo();
        }
        let stops = matches!(moment, Moment::CrashPoint(_)) && matches!(killed, Killed::Guard | Killed::Both);
        if stops {
            self.await_stop()?;
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

    fn signal(&self, pid: Pid, signal: Signal) -> Result<(), String> {
        let said = || self.lines.try_iter().chain(self.said.iter().cloned()).collect::<Vec<_>>().join("\n");
        kill(pid, signal).map_err(|error| format!("{signal} to {pid}: {error}; the worker said:\n{}", said()))
    }

    fn await_stop(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
            if stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('T')) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("the worker did not reach its crash point; it said:\n{}", self.said.join("\n")))
    }

    fn await_end(&mut self) -> Result<std::process::ExitStatus, String> {
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

    fn end(&mut self) {
        drop(self.orders.take());
        if self.await_end().is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the guard has done its work and ended. It is not our child, so its number is looked for.
fn await_death(guard: u32) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match std::fs::read_to_string(format!("/proc/{guard}/stat")) {
            Err(_) => return Ok(()),
            Ok(stat) if stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')) => return Ok(()),
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Err(format!("guard {guard} does not end"))
}
