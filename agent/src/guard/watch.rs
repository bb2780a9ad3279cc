use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::spawn::wait_readable;
use super::{Order, READY, RESCAN};
use crate::crash_point;
use crate::engine::{Undone, undo_recorded};
use crate::identity::{FaultId, ProcessIdentity, boot_id};
use crate::journal::{FaultState, Found, Journal, Record};
use crate::kernel::Kernel;
use crate::lease::{BootTime, GRACE, LEASE, OVERDUE};
use crate::state::StateFolder;

/// How long a worker that is alive may hold a fault that is overdue, as when it removes a million files.
const LONGEST_UNDO: Duration = Duration::from_secs(60);

/// Why a guard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The worker closed the pipe or died.
    WorkerGone,
    /// The worker hung beyond its lease or a deadline and was killed.
    WorkerKilled,
    /// It could not watch.
    CannotWatch,
}

/// What a guard did in its life.
#[derive(Debug)]
pub struct GuardReport {
    /// Why it ended.
    pub ending: Ending,
    /// The faults that it undid, or could not.
    pub undone: Vec<(FaultId, Undone)>,
    /// What else went wrong.
    pub problems: Vec<String>,
}

impl GuardReport {
    /// Whether nothing of what it had to undo is left.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.undone.iter().all(|(_, undone)| undone.verified)
    }

    /// What a person at the worker's terminal should read; nothing when the guard had nothing to do.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.ending == Ending::WorkerKilled {
            lines.push("the worker hung beyond its lease or a deadline and was killed".to_owned());
        }
        for (id, undone) in &self.undone {
            let milliseconds = undone.took.as_secs_f64() * 1e3;
            if undone.verified {
                lines.push(format!("undid fault {id} in {milliseconds:.1} ms"));
            }
            for step in undone.steps.iter().filter(|step| !step.outcome.is_clean()) {
                lines.push(format!("fault {id}: {}: {}", step.step, step.outcome));
            }
        }
        lines.extend(self.problems.iter().cloned());
        lines
    }
}

struct Due {
    id: FaultId,
    deadline: BootTime,
}

struct Watch<'a> {
    kernel: &'a dyn Kernel,
    journal: Journal,
    own: ProcessIdentity,
    boot_id: String,
    worker: OwnedFd,
    timer: OwnedFd,
    due: Vec<Due>,
    last_word: BootTime,
    alarm: Option<BootTime>,
    report: GuardReport,
}

/// Watches a worker until it is gone, and undoes what it left.
pub fn guard(order: &Order, kernel: &dyn Kernel) -> GuardReport {
    #[cfg(debug_assertions)]
    crate::crash::this_is_the_guard();
    let failed = |error: io::Error| GuardReport {
        ending: Ending::CannotWatch,
        undone: Vec::new(),
        problems: vec![format!("the guard cannot watch: {error}")],
    };
    match Watch::begin(order, kernel) {
        Ok(watch) => watch.run(),
        Err(error) => failed(error),
    }
}

impl<'a> Watch<'a> {
    fn begin(order: &Order, kernel: &'a dyn Kernel) -> io::Result<Self> {
        detach()?;
        let pid = Pid::from_raw(order.worker.pid).ok_or(io::ErrorKind::InvalidInput)?;
        let worker = pidfd_open(pid, PidfdFlags::empty())?;
        if !order.worker.is_alive() {
            return Err(io::Error::other("the worker ended before its guard began"));
        }
        let state = StateFolder::resolve(Some(&order.state)).map_err(io::Error::other)?;
        let watch = Self {
            kernel,
            journal: Journal::of(&state),
            own: ProcessIdentity::own()?,
            boot_id: boot_id()?,
            worker,
            timer: timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?,
            due: Vec::new(),
            last_word: BootTime::now(),
            alarm: None,
            report: GuardReport { ending: Ending::WorkerGone, undone: Vec::new(), problems: Vec::new() },
        };
        let mut answer = io::stdout();
        answer.write_all(&[READY])?;
        answer.flush()?;
        rustix::stdio::dup2_stdout(File::open("/dev/null")?)?;
        shrink();
        Ok(watch)
    }

    fn run(mut self) -> GuardReport {
        loop {
            match self.wait() {
                Ok(None) => {}
                Ok(Some(ending)) => {
                    self.report.ending = ending;
                    break;
                }
                // A guard that cannot watch takes the worker for gone: undoing too early is the safe side.
                Err(error) => {
                    self.report.ending = Ending::CannotWatch;
                    self.report.problems.push(format!("the guard cannot watch any more: {error}"));
                    break;
                }
            }
        }
        undo_kept_by(self.own, &self.journal, self.kernel, &self.boot_id, &mut self.report);
        self.report
    }

    fn wait(&mut self) -> io::Result<Option<Ending>> {
        let stdin = rustix::stdio::stdin();
        let (word, death, time) = {
            let mut sources = [
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::new(&self.worker, PollFlags::IN),
                PollFd::new(&self.timer, PollFlags::IN),
            ];
            match poll(&mut sources, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [word, death, time] = sources.map(|source| !source.revents().is_empty());
            (word, death, time)
        };
        if death {
            return Ok(Some(Ending::WorkerGone));
        }
        if word {
            let mut words = [0; 64];
            let count = rustix::io::read(stdin, &mut words)?;
            if count == 0 {
                return Ok(Some(Ending::WorkerGone));
            }
            self.last_word = BootTime::now();
            let is_news = words[..count].contains(&RESCAN);
            if is_news {
                self.scan();
            }
            self.arm(None)?;
            if is_news {
                shrink();
            }
        }
        if time {
            rustix::io::read(&self.timer, &mut [0; 8])?;
            return self.look_at_the_clock();
        }
        Ok(None)
    }

    fn scan(&mut self) {
        self.due = kept_by(self.own, &self.journal, &self.boot_id, &mut self.report)
            .iter()
            .filter(|record| record.state != FaultState::Stuck)
            .map(|record| Due { id: record.id().clone(), deadline: record.deadline })
            .collect();
    }

    /// Sets the timer to the first moment at which something must be looked at; without an active fault there is none.
    fn arm(&self, again: Option<BootTime>) -> io::Result<()> {
        let lease = self.last_word.after(LEASE);
        let first = self.due.iter().map(|due| due.deadline.after(OVERDUE).min(lease)).min();
        let at = again.or(first).map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, BootTime::timespec);
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }

    fn look_at_the_clock(&mut self) -> io::Result<Option<Ending>> {
        self.scan();
        let now = BootTime::now();
        let lease_is_out = now >= self.last_word.after(LEASE);
        let late: Vec<usize> = (0..self.due.len())
            .filter(|index| lease_is_out || now >= self.due[*index].deadline.after(OVERDUE))
            .collect();
        if late.is_empty() {
            self.alarm = None;
            self.arm(None)?;
            return Ok(None);
        }
        // Counted from when it was noticed: after a suspend every deadline is long past, and the worker needs a moment.
        let patience_is_over = now >= self.alarm.get_or_insert(now).after(GRACE);
        let mut later = false;
        for index in late {
            match self.patience(index, lease_is_out, patience_is_over) {
                Patience::NotNeeded => {}
                Patience::Wait => later = true,
                Patience::Over => {
                    self.kill_worker();
                    return Ok(Some(Ending::WorkerKilled));
                }
            }
        }
        self.scan();
        if !later {
            self.alarm = None;
        }
        self.arm(later.then(|| now.after(Duration::from_millis(500))))?;
        Ok(None)
    }

    /// Whether a fault that is late can be left to the worker for a little longer. If not, the worker is killed before
    /// anything is undone: what it holds open goes with it, and no thread of it can act again behind the undo.
    fn patience(&mut self, index: usize, lease_is_out: bool, is_over: bool) -> Patience {
        let due = &self.due[index];
        let (id, long_overdue) = (due.id.clone(), BootTime::now() >= due.deadline.after(OVERDUE + LONGEST_UNDO));
        match self.journal.lock(&id, Duration::ZERO) {
            Ok(Some(_lock)) => match self.journal.read(&id) {
                Ok(None) => Patience::NotNeeded,
                _ if is_over => Patience::Over,
                _ => Patience::Wait,
            },
            // The worker is at it: one that hangs inside is killed, one that has much to remove is let be.
            Ok(None) if is_over && (lease_is_out || long_overdue) => Patience::Over,
            Ok(None) => Patience::Wait,
            Err(error) => {
                self.report.problems.push(error.to_string());
                if is_over { Patience::Over } else { Patience::Wait }
            }
        }
    }

    fn kill_worker(&mut self) {
        crash_point!("before-kill");
        if let Err(error) = pidfd_send_signal(&self.worker, Signal::KILL) {
            self.report.problems.push(format!("the worker hangs and cannot be killed: {error}"));
        }
        if !wait_readable(&self.worker, Duration::from_secs(5)).unwrap_or(false) {
            self.report.problems.push("the worker hangs and does not die; what hangs on it may remain".into());
        }
    }
}

/// Undoes every fault that names this guard as its keeper.
pub(crate) fn undo_kept_by(
    guard: ProcessIdentity,
    journal: &Journal,
    kernel: &dyn Kernel,
    boot_id: &str,
    report: &mut GuardReport,
) {
    for record in kept_by(guard, journal, boot_id, report) {
        let id = record.id();
        match undo_one(id, journal, kernel, boot_id) {
            Ok(undone) => report.undone.extend(undone.map(|undone| (id.clone(), undone))),
            Err(problem) => report.problems.push(problem),
        }
    }
}

fn kept_by(guard: ProcessIdentity, journal: &Journal, boot_id: &str, report: &mut GuardReport) -> Vec<Record> {
    let found = journal.read_all().unwrap_or_else(|error| {
        report.problems.push(error.to_string());
        Vec::new()
    });
    let records = found.into_iter().filter_map(|found| match found {
        Found::Record(record) if record.guard == Some(guard) && record.boot_id == boot_id => Some(*record),
        _ => None,
    });
    records.collect()
}

fn undo_one(id: &FaultId, journal: &Journal, kernel: &dyn Kernel, boot_id: &str) -> Result<Option<Undone>, String> {
    let lock = journal.lock(id, Duration::from_secs(5)).map_err(|error| error.to_string())?;
    // Whoever has the lock now that the worker is dead (a `recover` that was called meanwhile) undoes it.
    let lock = lock.ok_or_else(|| format!("fault {id} is held by another process"))?;
    match journal.read(id).map_err(|error| error.to_string())? {
        Some(Found::Record(record)) => {
            let (undone, journaled) = undo_recorded(journal, kernel, *record, &mut Vec::new(), lock, boot_id);
            journaled.map_err(|error| error.to_string())?;
            Ok(Some(undone))
        }
        Some(Found::Unreadable { path, reason, .. }) => Err(format!("{}: {reason}", path.display())),
        None => {
            lock.remove();
            Ok(None)
        }
    }
}

enum Patience {
    NotNeeded,
    Wait,
    Over,
}

/// Gives back what the last piece of work needed, before what may be hours of sleep. It is about size alone, so a
/// kernel that refuses is no reason not to watch.
fn shrink() {
    let _ = crate::kernel::idle_memory::release_program_text();
}

/// Cuts what ties this process to the worker's terminal, and what it inherited by accident.
fn detach() -> io::Result<()> {
    // A blocked signal of a process with one thread is never delivered: Ctrl-C, a closed terminal and a polite kill
    // leave the guard at its work, which ends by itself.
    nix::sys::signal::SigSet::all().thread_block()?;
    // It fails only if this process leads a session already.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"faultline-guard");
    // Needs a privilege; without it the guard is as likely to be killed for memory as any other process.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let mut inherited = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
            && number > 2
        {
            inherited.push(number);
        }
    }
    for number in inherited {
        // One of them was the listing itself and is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}
