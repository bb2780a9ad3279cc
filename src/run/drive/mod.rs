//! Carries out what the state machine commands, and tells it what happened.
//!
//! One loop owns everything: the machine, the judge, the timers and the record. What takes time (injecting, undoing,
//! measuring) runs on threads of its own and answers by a [`Reply`]; no answer is needed to go on undoing the rest.

mod budget;
mod faults;
mod finish;
mod hosts;
mod look;
mod prepare;
mod subjects;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use faultline_agent::plan::Evidence;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::folder::RunFolder;
use super::journal::{Event as Happening, RunState};
use super::record::Record;
use super::stop::StopOrders;
use super::{Newcomer, Placement, RunRequest};
use crate::experiment::machine::{Command, Event, FaultNumber, Illegal, State, Stop, Timer, step};
use crate::fleet::local::LocalAgent;
use crate::fleet::{Agent, Injected, NotInjected, Undone};
use crate::hypothesis::Judge;
use crate::hypothesis::verdict::RunVerdict;
use crate::services::{ServiceEvent, Services};
use crate::signals::LostHosts;
use crate::signals::sample::Sample;
use crate::targets::hosts::HostsInFault;
use faults::FaultRun;

/// How often the run looks at its guardrails, its agent and the clock.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
/// How soon guardrails are looked at again when samples have come in: a breach is seen at the sample that makes it one, and
/// a thousand samples a second cost fifty looks.
const GUARDRAILS: std::time::Duration = std::time::Duration::from_millis(20);
/// How many samples are taken in before anything else is looked at.
const SAMPLES_AT_ONCE: usize = 512;

/// The answer of something that was started in the background.
pub(super) enum Reply {
    /// A fault is in place.
    Injected { fault: FaultNumber, injected: Box<Injected> },
    /// It is not.
    NotInjected { fault: FaultNumber, why: NotInjected },
    /// What a fault does.
    Measured { fault: FaultNumber, evidence: Result<Evidence, String> },
    /// A fault was undone, after a last measurement.
    Undone { fault: FaultNumber, evidence: Option<Evidence>, undone: Undone },
}

/// A run under way.
pub(super) struct Drive<'a, 'w> {
    request: &'a RunRequest,
    run: String,
    record: &'a mut Record<'w>,
    machine: State,
    judge: Judge,
    /// Every host's agent, once.
    agents: Vec<Arc<dyn Agent>>,
    /// The agent of this host, if the run acts here.
    home: Option<Arc<LocalAgent>>,
    services: Option<Services>,
    faults: Vec<FaultRun>,
    /// On a fleet, its hosts from the first injection on.
    in_fault: Option<HostsInFault>,
    lost: LostHosts,
    /// Hosts that could be had and are not of the plan, as they join.
    newcomers: UnboundedReceiver<Newcomer>,
    timers: BTreeMap<Timer, Instant>,
    undone_at: Option<f64>,
    next_measurement: Instant,
    guardrails_seen: Instant,
    /// When they are looked at beside the regular looks, since samples have come in.
    guardrails_due: Option<Instant>,
    replies: UnboundedSender<Reply>,
    sources: TaskTracker,
    sources_stop: CancellationToken,
    samples_in: UnboundedSender<Sample>,
    samples: UnboundedReceiver<Sample>,
    service_events: UnboundedReceiver<ServiceEvent>,
}

/// Runs the experiment, from its services' start to its verdict.
pub(super) async fn drive(
    request: &RunRequest,
    run: &str,
    folder: &RunFolder,
    placement: Placement,
    record: &mut Record<'_>,
    stops: StopOrders,
) -> (RunVerdict, String) {
    record.write(Happening::Started(Box::new(prepare::started(request, run, &placement))));
    if let Placement::Fleet(ground) = &placement {
        if !ground.differences.is_empty() {
            record.write(Happening::Drifted { differences: ground.differences.clone() });
        }
        if let Some(because) = &ground.refused {
            return finish::refuse(record, because.clone());
        }
    }
    let (replies, answers) = unbounded_channel();
    match prepare::prepare(request, run, placement, record, replies) {
        Ok(drive) => drive.carry_out(stops, answers, folder).await,
        Err(refusal) => finish::refuse(record, refusal),
    }
}

impl Drive<'_, '_> {
    async fn carry_out(
        mut self,
        mut stops: StopOrders,
        mut answers: UnboundedReceiver<Reply>,
        folder: &RunFolder,
    ) -> (RunVerdict, String) {
        self.start(&mut stops, folder).await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.machine.is_over() {
            let deadline = self.timers.values().min().copied();
            tokio::select! {
                biased;
                stop = stops.next() => self.stop(stop),
                Some(reply) = answers.recv() => self.reply(reply),
                () = until(deadline) => self.run_timers(),
                _ = look.tick() => self.look(),
                () = until(self.guardrails_due) => self.guardrails(),
                Some(event) = self.service_events.recv() => self.service_changed(event),
                Some(sample) = self.samples.recv() => self.take_samples(sample),
            }
        }
        self.finish().await
    }

    /// Tells the machine what happened, and does what it commands.
    fn event(&mut self, event: Event) {
        if let Err(illegal) = self.advance(event) {
            tracing::error!(%illegal, "the run is ended, since its state is no longer understood");
            // A stop is legal in every state but the last, in which nothing is left to do.
            let _ = self.advance(Event::Stopped(Stop::Broken(format!("a defect of Faultline: {illegal}"))));
        }
    }

    fn advance(&mut self, event: Event) -> Result<(), Illegal> {
        let before = self.machine.run_state();
        let (state, commands) = step(self.machine.clone(), event)?;
        self.machine = state;
        if self.machine.run_state() != before {
            self.enter(self.machine.run_state());
        }
        for command in commands {
            self.command(command);
        }
        Ok(())
    }

    /// Writes down what happened. The judge follows the very entries of the journal, so that judging the journal again
    /// comes to the same verdicts.
    fn note(&mut self, happening: Happening) {
        let entry = self.record.write(happening);
        self.judge.follow(entry);
    }

    fn enter(&mut self, state: RunState) {
        if matches!(state, RunState::Recovering | RunState::Judged) {
            self.undone_at.get_or_insert(self.record.now());
        }
        if state == RunState::Injecting {
            self.begin_watching_hosts();
        }
        let because = self.machine.ending().map(|ending| ending.reason().to_owned());
        self.note(Happening::State { state, because });
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Start(timer, lasts) => {
                self.timers.insert(timer, Instant::now() + lasts);
            }
            Command::JudgeBaseline => {
                let steadiness = self.judge_baseline();
                self.event(Event::Baseline(steadiness));
            }
            Command::Inject(fault) => self.inject(fault),
            Command::Undo(fault) => self.undo(fault),
            // The loop itself looks for recovery while the state says so, and judges when it is over.
            Command::AwaitRecovery | Command::Judge => {}
        }
    }

    fn run_timers(&mut self) {
        let now = Instant::now();
        let due: Vec<Timer> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            if !self.machine.is_over() {
                self.event(Event::Elapsed(timer));
            }
        }
    }

    fn take_samples(&mut self, first: Sample) {
        self.take_sample(first);
        for _ in 1..SAMPLES_AT_ONCE {
            match self.samples.try_recv() {
                Ok(sample) => self.take_sample(sample),
                Err(_) => break,
            }
        }
        self.guardrails_due.get_or_insert(self.guardrails_seen + GUARDRAILS);
    }

    fn take_sample(&mut self, sample: Sample) {
        self.note(Happening::Sample(sample));
    }

    fn service_changed(&mut self, event: ServiceEvent) {
        self.note(Happening::Service { name: event.name, change: event.change });
    }

    fn take_service_events(&mut self) {
        while let Ok(event) = self.service_events.try_recv() {
            self.service_changed(event);
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
