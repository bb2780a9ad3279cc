//! The thread that holds packets, and how others speak to it.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;

use super::sampler::Sampler;
use super::schedule::{Held, Schedule, connection_of};
use super::socket::{Packet, QueueSocket, Verdict};
use super::turn::{self, Share};

/// How many hold times are kept for the evidence.
const KEPT_TIMES: usize = 8192;
/// A packet that is due within this is let go now: no timer is finer.
const RESOLUTION: Duration = Duration::from_micros(10);
/// Batches taken from the kernel before those that are due are let go.
const BATCHES_A_TURN: usize = 4;

/// What the holding thread has done so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Statistics {
    /// Packets that were handed over.
    pub(super) received: u64,
    /// Packets that were held for their time and let go.
    pub(super) released: u64,
    /// Packets that were let go before their time, because another fault of the namespace was being undone.
    pub(super) early: u64,
    /// The newest hold times, in no order.
    pub(super) times: Vec<Duration>,
    /// Why the thread ended, if it did by itself.
    pub(super) failure: Option<String>,
}

/// How the holding thread and others speak to each other.
#[derive(Debug)]
pub(super) struct Control {
    wake: EventFd,
    wishes: Mutex<Wishes>,
    changed: Condvar,
    statistics: Mutex<Statistics>,
}

#[derive(Debug, Default)]
struct Wishes {
    /// How many ask to let everything pass for a while.
    pauses: u32,
    /// Whether everything passes now.
    passing: bool,
    /// Whether to let everything go and end.
    stop: bool,
}

impl Control {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            wake: EventFd::new()?,
            wishes: Mutex::default(),
            changed: Condvar::new(),
            statistics: Mutex::default(),
        })
    }

    /// Lets go of everything and lets packets pass until `resume`; waits until that is so.
    pub(super) fn pause(&self) {
        const LONG_ENOUGH: Duration = Duration::from_millis(50);
        let mut wishes = lock(&self.wishes);
        wishes.pauses += 1;
        let _ = self.wake.write(1);
        let passing = self.changed.wait_timeout_while(wishes, LONG_ENOUGH, |wishes| !wishes.passing && !wishes.stop);
        drop(passing.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends a pause.
    pub(super) fn resume(&self) {
        lock(&self.wishes).pauses -= 1;
        let _ = self.wake.write(1);
    }

    /// Lets go of everything and ends.
    pub(super) fn stop(&self) {
        lock(&self.wishes).stop = true;
        self.changed.notify_all();
        let _ = self.wake.write(1);
    }

    /// What was done so far.
    pub(super) fn statistics(&self) -> Statistics {
        lock(&self.statistics).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds packets until told to stop.
pub(super) fn run(socket: QueueSocket, sampler: Sampler, control: &Arc<Control>) {
    // Finer timers and an earlier turn on the processor; the fault works without, only less exactly.
    let _ = nix::sys::prctl::set_timerslack(1);
    let _ = rustix::process::setpriority_process(None, -10);
    turn::take_precedence(true);
    let schedule = Schedule::new(sampler.varies());
    let mut worker = Worker { socket, sampler, schedule, control: Arc::clone(control), share: Share::new() };
    let result = worker.hold_until_stopped();
    if let Err(error) = result {
        lock(&control.statistics).failure = Some(error.to_string());
    }
    control.stop();
}

struct Worker {
    socket: QueueSocket,
    sampler: Sampler,
    schedule: Schedule,
    control: Arc<Control>,
    share: Share,
}

impl Worker {
    fn hold_until_stopped(&mut self) -> io::Result<()> {
        loop {
            self.release_due()?;
            let (passing, stop) = {
                let mut wishes = lock(&self.control.wishes);
                if wishes.pauses == 0 {
                    wishes.passing = false;
                }
                (wishes.pauses > 0, wishes.stop)
            };
            if passing || stop {
                self.let_go()?;
            }
            if stop {
                return Ok(());
            }
            if passing {
                lock(&self.control.wishes).passing = true;
                self.control.changed.notify_all();
            }
            self.wait()?;
            for _ in 0..BATCHES_A_TURN {
                if !self.take()? {
                    break;
                }
            }
        }
    }

    /// Takes one batch of packets from the kernel, and tells whether more may wait.
    fn take(&mut self) -> io::Result<bool> {
        let Self { socket, sampler, schedule, .. } = self;
        let mut count = 0;
        let now = Instant::now();
        let even = schedule.is_even();
        let more = socket.receive(|Packet { id, headers }| {
            count += 1;
            schedule.hold(id, now, sampler.next(), if even { 0 } else { connection_of(headers) });
        })?;
        lock(&self.control.statistics).received += count;
        Ok(more)
    }

    fn release_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let by = now + RESOLUTION;
        let mut released: Vec<Held> = Vec::new();
        while let Some(held) = self.schedule.release(by) {
            released.push(held);
        }
        let Some(last) = released.last() else { return Ok(()) };
        if self.schedule.is_even() {
            self.socket.accept_through(last.id)?;
        } else {
            self.socket.decide(released.iter().map(|held| (held.id, Verdict::Accept)))?;
        }
        let mut statistics = lock(&self.control.statistics);
        for held in released {
            let time = now.saturating_duration_since(held.since);
            let place = usize::try_from(statistics.released).unwrap_or(0) % KEPT_TIMES;
            match statistics.times.get_mut(place) {
                Some(oldest) => *oldest = time,
                None => statistics.times.push(time),
            }
            statistics.released += 1;
        }
        Ok(())
    }

    /// Lets all packets go, those that come meanwhile included, in their order.
    fn let_go(&mut self) -> io::Result<()> {
        loop {
            let more = self.take()?;
            let mut early = 0;
            let mut released = Vec::new();
            while let Some(held) = self.schedule.release_early() {
                released.push((held.id, Verdict::Accept));
                early += 1;
            }
            self.socket.decide(released)?;
            lock(&self.control.statistics).early += early;
            if !more {
                return Ok(());
            }
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let begin = Instant::now();
        let mut watched = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.control.wake.as_fd(), PollFlags::POLLIN),
        ];
        let time = self.schedule.next_due().map(|due| due.saturating_duration_since(Instant::now()));
        match ppoll(&mut watched, time.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.share.waited(begin);
        if watched[1].any().unwrap_or(false) {
            self.control.wake.read()?;
        }
        Ok(())
    }
}
