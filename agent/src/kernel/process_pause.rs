//! Stops processes by `SIGSTOP`, sees each of their threads stand still, and continues exactly those.

use std::io::{Error, ErrorKind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process_descriptor::{Motion, ProcessDescriptor, open_all};
use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::facts::{Protection, processes};
use crate::identity::ProcessIdentity;
use crate::plan::step::{Beat, Describe, ProcessPause};
use crate::plan::{Bite, Evidence, Measurement, Step};

/// How long a process may take to stand still; one in an uninterruptible wait takes until that ends.
const TO_STAND_STILL: Duration = Duration::from_millis(500);

impl Room for ProcessPause {
    fn apply(&self, amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let mut ours = open_all(&self.processes)?;
        // Whoever was stopped after the plan was made was stopped by somebody else, and is not ours to continue.
        ours.retain(|process| process.motion() == Motion::Running);
        let mut step = self.clone();
        if ours.len() != step.processes.len() {
            step.processes = ours.iter().map(ProcessDescriptor::identity).collect();
            write_down(&amend, &step)?;
        }
        if ours.is_empty() {
            return Err(KernelError::new(self.describe(), "pidfd_open", Error::from(rustix::io::Errno::SRCH))
                .hint("all of them ended or were stopped by somebody else after the plan was made; make a new plan"));
        }
        for process in &ours {
            process.signal(Signal::STOP)?;
        }
        if step.descendants {
            stop_newcomers(&mut step, &mut ours, &amend)?;
        }
        for process in &ours {
            process.wait_for(Motion::Stopped, TO_STAND_STILL);
        }
        let since = Instant::now();
        let ours = Arc::new(ours);
        let rhythm = match step.beat {
            Some(beat) => Some(Rhythm::start(beat, Arc::clone(&ours), since)?),
            None => None,
        };
        Ok(Some(Box::new(Paused { ours, rhythm })))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        let ours = open_all(&self.processes)?;
        let living: Vec<_> = ours.iter().filter(|process| process.motion() != Motion::Ended).collect();
        let stopped: Vec<_> = living.iter().filter(|process| process.motion() == Motion::Stopped).collect();
        for process in &stopped {
            process.signal(Signal::CONT)?;
        }
        for process in &stopped {
            if process.wait_for(Motion::Running, TO_STAND_STILL) == Motion::Stopped {
                let failure = Error::new(ErrorKind::TimedOut, "it is still stopped");
                return Err(KernelError::new(process.name(), "pidfd_send_signal(SIGCONT)", failure)
                    .hint("a debugger may hold it: look at TracerPid in /proc/PID/status"));
            }
        }
        Ok(match (stopped.len(), living.len()) {
            (0, _) => Reverted::Absent,
            (all, living) if all == living || self.beat.is_some() => Reverted::Undone,
            (_, _) => {
                let running =
                    living.iter().filter(|one| !stopped.iter().any(|other| other.identity() == one.identity()));
                let names: Vec<_> = running.map(|process| process.name()).collect();
                Reverted::Superseded(format!("somebody else had continued {} before", names.join(", ")))
            }
        })
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        Ok(open_all(&self.processes)?.iter().any(|process| process.motion() == Motion::Stopped))
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        Ok(standing(&open_all(&self.processes)?, self.processes.len()))
    }
}

fn write_down(amend: &Arc<Amend<'static>>, step: &ProcessPause) -> Result<(), KernelError> {
    amend(&Step::ProcessPause(step.clone())).map_err(|error| {
        KernelError::new("the journal", "write", error)
            .hint("nothing that is not written down is stopped; free some space")
    })
}

/// Stops the children that were started while their parents were not stopped yet, and theirs, until there is none:
/// from then on nobody is left who could start another.
fn stop_newcomers(
    step: &mut ProcessPause,
    ours: &mut Vec<ProcessDescriptor>,
    amend: &Arc<Amend<'static>>,
) -> Result<(), KernelError> {
    loop {
        for process in ours.iter() {
            process.wait_for(Motion::Stopped, TO_STAND_STILL);
        }
        let all = processes().map_err(|error| KernelError::new("/proc", "readdir", error.source))?;
        let own = i32::try_from(std::process::id()).ok().and_then(|pid| crate::facts::identity_of(pid).ok());
        let spared: Vec<ProcessIdentity> = step.spared.iter().copied().chain(own).collect();
        let protection = Protection::of(&all, &spared);
        let newcomers: Vec<ProcessIdentity> = all
            .iter()
            .filter(|process| ours.iter().any(|parent| parent.identity().pid == process.parent))
            .filter(|process| !ours.iter().any(|one| one.identity() == process.identity))
            .filter(|process| {
                !matches!(process.state, 'T' | 't' | 'Z') && protection.reason(process.identity).is_none()
            })
            .map(|process| process.identity)
            .collect();
        let opened = open_all(&newcomers)?;
        if opened.is_empty() {
            return Ok(());
        }
        step.processes.extend(opened.iter().map(ProcessDescriptor::identity));
        write_down(amend, step)?;
        for process in opened {
            process.signal(Signal::STOP)?;
            ours.push(process);
        }
    }
}

/// Whether all that live stand still.
fn standing(ours: &[ProcessDescriptor], asked: usize) -> Evidence {
    let living: Vec<_> = ours.iter().filter(|process| process.motion() != Motion::Ended).collect();
    let running: Vec<_> = living.iter().filter(|process| process.motion() == Motion::Running).collect();
    let bite = match (living.len(), running.first()) {
        (0, _) => Bite::No("all of the processes have ended".into()),
        (_, None) => Bite::Yes,
        (_, Some(one)) => {
            Bite::No(format!("{} is not stopped: somebody continued it, or it waits for a device", one.name()))
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 processes")]
    let (asked, measured) = (asked as f64, (living.len() - running.len()) as f64);
    let measurement = Measurement {
        name: "processes stopped".into(),
        asked: Some(asked),
        measured,
        unit: "processes".into(),
        by: "state T of every thread in /proc".into(),
    };
    Evidence::new(bite, vec![measurement])
}

/// The processes that stand still.
#[derive(Debug)]
struct Paused {
    ours: Arc<Vec<ProcessDescriptor>>,
    rhythm: Option<Rhythm>,
}

impl Hold for Paused {
    fn evidence(&self) -> Evidence {
        match &self.rhythm {
            None => standing(&self.ours, self.ours.len()),
            Some(rhythm) => rhythm.beats.lock().unwrap_or_else(PoisonError::into_inner).evidence(rhythm.beat),
        }
    }
}

/// The thread that stops and continues in turn; dropping it ends that, in whichever half it is.
#[derive(Debug)]
struct Rhythm {
    beat: Beat,
    beats: Arc<Mutex<Beats>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the rhythm did so far.
#[derive(Debug, Default)]
struct Beats {
    begun: u32,
    stopped: Duration,
    whole: Duration,
    missed: Option<String>,
    last: Option<Evidence>,
}

impl Rhythm {
    fn start(beat: Beat, ours: Arc<Vec<ProcessDescriptor>>, since: Instant) -> Result<Self, KernelError> {
        let beats =
            Arc::new(Mutex::new(Beats { begun: 1, last: Some(standing(&ours, ours.len())), ..Beats::default() }));
        let (stop, stopped) = channel();
        let counted = Arc::clone(&beats);
        let thread = std::thread::Builder::new()
            .name("process-pause".into())
            .spawn(move || run(beat, &ours, since, &stopped, &counted))
            .map_err(|error| KernelError::new("the thread that pauses in turn", "clone", error))?;
        Ok(Self { beat, beats, stop: Some(stop), thread: Some(thread) })
    }
}

fn run(beat: Beat, ours: &[ProcessDescriptor], begun: Instant, stopped: &Receiver<()>, beats: &Mutex<Beats>) {
    let wait_until = |moment: Instant| {
        let left = moment.saturating_duration_since(Instant::now());
        stopped.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
    };
    let mut due = begun;
    let mut since = begun;
    let mut stood = Duration::ZERO;
    while wait_until(since + beat.pause.duration()) {
        let evidence = standing(ours, ours.len());
        for process in ours {
            let _ = process.signal(Signal::CONT);
        }
        {
            let mut beats = beats.lock().unwrap_or_else(PoisonError::into_inner);
            if let Bite::No(why) = &evidence.bite {
                beats.missed = Some(why.clone());
            }
            beats.last = Some(evidence);
        }
        stood += since.elapsed();
        due += beat.every.duration();
        if !wait_until(due) {
            return;
        }
        for process in ours {
            let _ = process.signal(Signal::STOP);
        }
        for process in ours {
            process.wait_for(Motion::Stopped, TO_STAND_STILL);
        }
        since = Instant::now();
        let mut beats = beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.begun += 1;
        // Told for whole rounds only, so that the share does not swing with the moment at which it is asked.
        (beats.stopped, beats.whole) = (stood, since - begun);
    }
}

impl Beats {
    fn evidence(&self, beat: Beat) -> Evidence {
        let mut whole =
            self.last.clone().unwrap_or(Evidence::new(Bite::NotYet("no pause has been seen".into()), Vec::new()));
        if let Some(why) = &self.missed {
            whole.bite = Bite::No(why.clone());
        }
        let share = |part: Duration, of: Duration| part.as_secs_f64() / of.as_secs_f64() * 100.0;
        if self.begun > 1 {
            whole.measurements.push(Measurement {
                name: "time stopped".into(),
                asked: Some(share(beat.pause.duration(), beat.every.duration())),
                measured: share(self.stopped, self.whole),
                unit: "%".into(),
                by: format!("clock, over {} pauses", self.begun - 1),
            });
        }
        whole
    }
}

impl Drop for Rhythm {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
