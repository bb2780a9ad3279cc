//! From a document to a run that samples its baseline: agent, services, plans, signals, in this order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use faultline_agent::target::Ground;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faults::FaultRun;
use super::{Drive, Happening, Reply};
use crate::experiment::machine::{Event, FaultNumber, Method, State, Stop};
use crate::fleet::local::LocalAgent;
use crate::fleet::{Agent, FaultRequest};
use crate::hypothesis::Judge;
use crate::run::folder::RunFolder;
use crate::run::journal::Started;
use crate::run::record::Record;
use crate::run::stop::StopOrders;
use crate::run::{Placement, RunRequest};
use crate::services::{ServiceContext, Services, scratch, this_program};
use crate::signals::{self, LostHosts, SignalContext};
use crate::targets::{on_host, on_this_host, seed_of_fault, seed_on_host};

/// Why a run on a fleet starts no services.
const NO_SERVICES: &str = "`services` are started on the host of the run, and a run on a fleet has none (hint: let the \
                           signals and faults meet what runs on the fleet already, or use `faultline run` on one host)";

pub(super) fn started(request: &RunRequest, run: &str, placement: &Placement) -> Started {
    let host = match nix::sys::utsname::uname() {
        Ok(name) => format!(
            "{} ({} {}, {})",
            name.nodename().to_string_lossy(),
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy(),
            name.machine().to_string_lossy()
        ),
        Err(_) => "unknown host".into(),
    };
    Started {
        run: run.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host,
        time: jiff::Timestamp::now().to_string(),
        seed: request.seed,
        experiment: request.experiment.clone(),
        file: request.file.clone(),
        placebo: request.placebo,
        hosts: match placement {
            Placement::Here(..) => Vec::new(),
            Placement::Fleet(ground) => {
                let names = |agents: &Vec<Arc<dyn Agent>>| agents.iter().map(|agent| agent.host().to_owned()).collect();
                ground.agents.iter().map(names).collect()
            }
        },
    }
}

/// Everything that can be made ready before anything is started.
pub(super) fn prepare<'a, 'w>(
    request: &'a RunRequest,
    run: &str,
    placement: Placement,
    record: &'a mut Record<'w>,
    replies: UnboundedSender<Reply>,
) -> Result<Drive<'a, 'w>, String> {
    let spec = &request.experiment.spec;
    let judge = Judge::new(spec).map_err(|error| error.to_string())?;
    let (_, nobody) = unbounded_channel();
    let (home, agents, newcomers) = match placement {
        Placement::Here(state, namespace) => {
            let ground = Ground { run: run.to_owned(), namespace, ..Ground::default() };
            let home = Arc::new(LocalAgent::open(&state, ground)?);
            let everywhere: Arc<dyn Agent> = home.clone();
            (Some(home), spec.injections().map(|_| vec![everywhere.clone()]).collect(), nobody)
        }
        Placement::Fleet(ground) => (None, ground.agents, ground.newcomers),
    };
    let (samples_in, samples) = unbounded_channel();
    let (_, service_events) = unbounded_channel();
    Ok(Drive {
        request,
        run: run.to_owned(),
        record,
        machine: State::new(Method::spread(spec, &agents.iter().map(Vec::len).collect::<Vec<_>>())),
        judge,
        faults: faults(request, run, &agents, home.is_some())?,
        agents: every_host_once(agents),
        home,
        services: None,
        in_fault: None,
        lost: LostHosts::default(),
        newcomers,
        timers: BTreeMap::new(),
        undone_at: None,
        next_measurement: Instant::now(),
        guardrails_seen: Instant::now(),
        guardrails_due: None,
        replies,
        sources: TaskTracker::new(),
        sources_stop: CancellationToken::new(),
        samples_in,
        samples,
        service_events,
    })
}

/// One fault for each injection on each of its hosts, in the order of the document.
fn faults(
    request: &RunRequest,
    run: &str,
    agents: &[Vec<Arc<dyn Agent>>],
    here: bool,
) -> Result<Vec<FaultRun>, String> {
    let spec = &request.experiment.spec;
    let mut faults = Vec::new();
    for (number, (inject, agents)) in spec.injections().zip(agents).enumerate() {
        let target = spec.target(inject);
        let target = target
            .map(|target| if here { on_this_host(spec.target_name(inject), target) } else { Ok(on_host(target)) });
        let target = target.transpose().map_err(|error| format!("{error} (hint: {})", error.hint()))?;
        for agent in agents {
            let host = (!here).then(|| agent.host().to_owned());
            let seed = seed_of_fault(request.seed, number);
            faults.push(FaultRun {
                request: FaultRequest {
                    target: target.clone(),
                    placebo: request.placebo,
                    seed: host.as_deref().map_or(seed, |host| seed_on_host(seed, host)),
                    ..spec.fault_request(inject, run, agent.new_id())
                },
                agent: Arc::clone(agent),
                host,
                plan: None,
                measuring: false,
                changes: 0,
                told_alone: false,
            });
        }
    }
    Ok(faults)
}

fn every_host_once(agents: Vec<Vec<Arc<dyn Agent>>>) -> Vec<Arc<dyn Agent>> {
    let by_name: BTreeMap<String, Arc<dyn Agent>> =
        agents.into_iter().flatten().map(|agent| (agent.host().to_owned(), agent)).collect();
    by_name.into_values().collect()
}

impl Drive<'_, '_> {
    /// Starts the services, plans every fault, starts the signals, and begins the baseline; or ends the run and says why.
    pub(super) async fn start(&mut self, stops: &mut StopOrders, folder: &RunFolder) {
        if let Some(stop) = self.agents_stop().or_else(|| self.out_of_reach()) {
            return self.stop(stop);
        }
        let started = tokio::select! {
            biased;
            stop = stops.next() => Err(stop),
            started = self.start_services(folder) => started.map_err(Stop::Broken),
        };
        self.take_service_events();
        if let Err(stop) = started {
            return self.stop(stop);
        }
        let afforded = tokio::select! {
            biased;
            stop = stops.next() => Err(stop),
            afforded = self.check_budget() => afforded.map_err(Stop::Broken),
        };
        if let Err(stop) = afforded {
            return self.stop(stop);
        }
        let planned = tokio::select! {
            biased;
            stop = stops.next() => Err(stop),
            planned = self.plan_everything() => planned,
        };
        match planned {
            Ok(()) => {}
            Err(Stop::Impossible(reason)) => return self.event(Event::Stopped(Stop::Impossible(reason))),
            Err(stop) => return self.stop(stop),
        }
        if let Err(reason) = self.start_signals() {
            return self.stop(Stop::Broken(reason));
        }
        // Reading, checking and planning are over; what they ran is not needed in memory any more.
        let _ = faultline_agent::kernel::idle_memory::release_program_text();
        self.event(Event::Started);
    }

    async fn start_services(&mut self, folder: &RunFolder) -> Result<(), String> {
        if self.home.is_none() {
            let none = self.request.experiment.spec.services.is_empty();
            return if none { Ok(()) } else { Err(NO_SERVICES.into()) };
        }
        let (events, received) = unbounded_channel();
        self.service_events = received;
        let run = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        scratch::sweep();
        let scratch =
            scratch::create(&run).map_err(|error| format!("cannot make the run's scratch folder: {error}"))?;
        let output = folder.path().join("services");
        let context = ServiceContext { run, output, scratch, program: this_program(), events };
        // Held by the run before the first one starts, so that its end takes down whatever there is by then.
        let services = self.services.insert(Services::new(context));
        let started = services.start(&self.request.experiment.spec.services).await;
        started.map_err(|error| format!("{error} (hint: {})", error.hint()))
    }

    /// Plans every fault as things are now, so that what cannot be done is known before anything is touched. Each is
    /// planned again at its moment, since processes come and go.
    async fn plan_everything(&mut self) -> Result<(), Stop> {
        self.refresh_services();
        let asked: Vec<_> =
            self.faults.iter().map(|fault| tokio::spawn(fault.agent.plan(fault.request.clone()))).collect();
        for (number, answer) in asked.into_iter().enumerate() {
            let answer = answer.await.map_err(|error| Stop::Broken(format!("a defect of Faultline: {error}")))?;
            match answer {
                Ok(planned) => {
                    self.planned(FaultNumber(number), planned.plan);
                    if let Some(refused) = planned.refused {
                        return Err(Stop::Broken(self.faults[number].of_host(refused)));
                    }
                }
                Err(error) => {
                    let reason = self.faults[number].of_host(error.reason);
                    if !error.unsupported {
                        return Err(Stop::Broken(reason));
                    }
                    let fault = self.id(FaultNumber(number));
                    self.note(Happening::InjectionFailed { fault, reason: reason.clone() });
                    return Err(Stop::Impossible(reason));
                }
            }
        }
        Ok(())
    }

    fn start_signals(&mut self) -> Result<(), String> {
        self.refresh_services();
        let mut context = SignalContext::new(self.record.epoch());
        match &self.home {
            Some(home) => context.subjects = self.subjects(home)?,
            None => context.fleet = Some(self.fleet_subjects()),
        }
        let mut sources = Vec::new();
        for (name, signal) in &self.request.experiment.spec.signals {
            let source = signals::build(name, signal, &context).map_err(|error| error.to_string())?;
            sources.push(source);
        }
        for source in sources {
            self.sources.spawn(source.run(self.samples_in.clone(), self.sources_stop.clone()));
        }
        Ok(())
    }
}
