//! Ends processes by a signal, watches them end, and does further rounds.

use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::Signal;

use super::process_descriptor::{ProcessDescriptor, open_all};
use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::facts::{Protection, processes};
use crate::identity::ProcessIdentity;
use crate::plan::step::{Describe, KillAgain, ProcessKill};
use crate::plan::{Bite, Evidence, Measurement, Step};

impl Room for ProcessKill {
    fn apply(&self, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let signal = Signal::from_named_raw(self.signal.number()).ok_or_else(|| {
            KernelError::new(self.describe(), "pidfd_send_signal", Error::from(ErrorKind::InvalidInput))
        })?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let stop = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|error| KernelError::new(self.describe(), "eventfd", Error::from(error)))?;
        let stopped = stop.try_clone().map_err(|error| KernelError::new(self.describe(), "dup", error))?;
        let mut executioner = Executioner {
            step: self.clone(),
            signal,
            amend,
            stopped,
            tally: Arc::clone(&tally),
            condemned: Vec::new(),
        };
        if executioner.strike()? == 0 {
            return Err(KernelError::new(self.describe(), "pidfd_open", Error::from(rustix::io::Errno::SRCH)).hint(
                "all of them ended by themselves after the plan was made; make a new plan, or look why they do not stay up",
            ));
        }
        let thread = std::thread::Builder::new()
            .name("process-kill".into())
            .spawn(move || executioner.run())
            .map_err(|error| KernelError::new(self.describe(), "clone", error))?;
        Ok(Some(Box::new(Killing { stop, thread: Some(thread), tally })))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        // The rounds ended with their thread; of the dead nothing can be taken back.
        Ok(Reverted::Absent)
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        Ok(false)
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let living = open_all(&self.processes)?.iter().filter(|process| !process.has_ended()).count();
        let asked = self.processes.len();
        let bite =
            if living == 0 { Bite::Yes } else { Bite::NotYet(format!("{living} of {asked} processes still live")) };
        Ok(Evidence::new(bite, vec![ended(asked, asked - living)]))
    }
}

/// What happened so far.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    escalated: usize,
    rounds: u32,
    /// From the signal to the end, of each that ended.
    ended_after: Vec<Duration>,
    /// When each that still lives got its signal, and its name.
    waiting: Vec<(ProcessIdentity, Instant, String)>,
    /// Why no further rounds are done, or why the last one met nobody.
    trouble: Option<String>,
    grace: Duration,
}

/// The thread that watches those who got their signal and does further rounds.
struct Executioner {
    step: ProcessKill,
    signal: Signal,
    amend: Arc<Amend<'static>>,
    stopped: OwnedFd,
    tally: Arc<Mutex<Tally>>,
    condemned: Vec<Condemned>,
}

struct Condemned {
    process: ProcessDescriptor,
    since: Instant,
    escalated: bool,
}

impl Executioner {
    /// Sends the signal to this round's processes; tells how many got it.
    fn strike(&mut self) -> Result<usize, KernelError> {
        let processes = open_all(&self.step.processes)?;
        let mut struck = 0;
        for process in processes {
            let name = process.name();
            let since = Instant::now();
            // A dead one that its parent has not taken notice of gets signals too, and would pass for killed by us.
            if process.has_ended() || !process.signal(self.signal)? {
                continue;
            }
            struck += 1;
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.waiting.push((process.identity(), since, name));
            drop(tally);
            self.condemned.push(Condemned { process, since, escalated: self.signal == Signal::KILL });
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.sent += struck;
        tally.rounds += 1;
        tally.grace = self.step.grace.map(Duration::from).unwrap_or_default();
        Ok(struck)
    }

    fn run(mut self) {
        let mut next_round = self.step.again.as_ref().map(|again| Instant::now() + again.every.duration());
        while next_round.is_some() || !self.condemned.is_empty() {
            if self.wait(next_round) {
                return;
            }
            self.count_the_dead();
            self.escalate();
            if next_round.is_some_and(|due| due <= Instant::now())
                && let Some(again) = self.step.again.clone()
            {
                let outcome = self.another_round(&again);
                let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.trouble = outcome.err();
                // Counted from when this one was due, so that rounds do not drift.
                next_round = next_round.map(|due| (due + again.every.duration()).max(Instant::now()));
            }
        }
    }

    /// Sleeps until something is to be done; true if it is to stop.
    fn wait(&self, next_round: Option<Instant>) -> bool {
        let grace = self.step.grace.map(Duration::from);
        let escalation =
            self.condemned.iter().filter(|one| !one.escalated).filter_map(|one| Some(one.since + grace?)).min();
        let due = next_round.into_iter().chain(escalation).min();
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut waited = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        waited.extend(self.condemned.iter().map(|one| PollFd::from_borrowed_fd(one.process.as_fd(), PollFlags::IN)));
        // An interrupted wait is repeated by the caller's loop.
        let _ = poll(&mut waited, timeout.as_ref());
        waited[0].revents().contains(PollFlags::IN)
    }

    fn count_the_dead(&mut self) {
        let now = Instant::now();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        self.condemned.retain(|one| {
            let ended = one.process.has_ended();
            if ended {
                tally.ended_after.push(now - one.since);
                tally.waiting.retain(|(identity, ..)| *identity != one.process.identity());
            }
            !ended
        });
    }

    fn escalate(&mut self) {
        let Some(grace) = self.step.grace.map(Duration::from) else { return };
        for one in self.condemned.iter_mut().filter(|one| !one.escalated && one.since.elapsed() >= grace) {
            one.escalated = true;
            if let Ok(true) = one.process.signal(Signal::KILL) {
                self.tally.lock().unwrap_or_else(PoisonError::into_inner).escalated += 1;
            }
        }
    }

    /// Chooses again, writes the choice to the journal, and strikes. An error says in words why nobody was met.
    fn another_round(&mut self, again: &KillAgain) -> Result<(), String> {
        let matcher = again.selection.matcher().map_err(|error| error.to_string())?;
        let all = processes().map_err(|error| error.to_string())?;
        let own = i32::try_from(std::process::id()).ok().and_then(|pid| crate::facts::identity_of(pid).ok());
        let spared: Vec<_> = again.spared.iter().copied().chain(own).collect();
        let protection = Protection::of(&all, &spared);
        let candidates: Vec<_> = all
            .iter()
            .filter(|process| process.state != 'Z' && protection.reason(process.identity).is_none())
            .filter(|process| self.condemned.iter().all(|one| one.process.identity() != process.identity))
            .filter(|process| matcher.matches(process))
            .map(|process| process.identity)
            .collect();
        let round = again.round + 1;
        let chosen = again.selection.pick.choose(candidates, again.seed.wrapping_add(round.into()));
        if chosen.is_empty() {
            return Err(format!("in round {round} no process matched"));
        }
        self.step.processes = chosen;
        self.step.again = Some(KillAgain { round, ..again.clone() });
        (self.amend)(&Step::ProcessKill(self.step.clone()))
            .map_err(|error| format!("round {round} was not done, since the journal could not be written: {error}"))?;
        self.strike().map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// A kill that goes on; dropping it ends its rounds and what was still to be escalated.
#[derive(Debug)]
struct Killing {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
    tally: Arc<Mutex<Tally>>,
}

impl Hold for Killing {
    fn evidence(&self) -> Evidence {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).evidence()
    }
}

impl Drop for Killing {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Tally {
    fn evidence(&self) -> Evidence {
        // One that got its signal a moment ago is about to end; one that outlives its grace is not.
        let patience = self.grace + Duration::from_secs(1);
        let late: Vec<_> = self.waiting.iter().filter(|(_, since, _)| since.elapsed() > patience).collect();
        let bite = match (late.first(), self.ended_after.is_empty()) {
            (Some((_, since, name)), _) => Bite::NotYet(format!(
                "{} of {} processes still live, {name} {:.1} s after its signal",
                self.waiting.len(),
                self.sent,
                since.elapsed().as_secs_f64()
            )),
            (None, true) => Bite::NotYet("no process has ended yet".into()),
            (None, false) => Bite::Yes,
        };
        let mut measurements = vec![ended(self.sent, self.ended_after.len())];
        let mut times = self.ended_after.clone();
        times.sort_unstable();
        let by = format!("from the signal to the end of {} processes, by their descriptors", times.len());
        let at = [("median time to end", times.get(times.len() / 2)), ("longest time to end", times.last())];
        measurements.extend(at.into_iter().filter_map(|(name, time)| {
            let measured = time?.as_secs_f64() * 1e3;
            Some(Measurement { name: name.into(), asked: None, measured, unit: "ms".into(), by: by.clone() })
        }));
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
        let mut count = |name: &str, measured: usize, by: &str| {
            let (name, by) = (name.to_owned(), by.to_owned());
            measurements.push(Measurement { name, asked: None, measured: measured as f64, unit: String::new(), by });
        };
        if self.escalated > 0 {
            count("killed after grace", self.escalated, "signals sent");
        }
        if self.rounds > 1 || self.trouble.is_some() {
            count("rounds", self.rounds as usize, self.trouble.as_deref().unwrap_or("rounds done"));
        }
        Evidence::new(bite, measurements)
    }
}

fn ended(asked: usize, measured: usize) -> Measurement {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
    let (asked, measured) = (asked as f64, measured as f64);
    Measurement {
        name: "processes ended".into(),
        asked: Some(asked),
        measured,
        unit: "processes".into(),
        by: "process descriptors".into(),
    }
}

#[cfg(test)]
mod tests;
