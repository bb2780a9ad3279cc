//! From a document to a run that samples its baseline: agent, services, plans, signals, in this order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use faultline_agent::identity::NetworkNamespace;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faults::{FaultRun, Ground, plan};
use super::{Drive, Happening, Reply};
use crate::experiment::document::Inject;
use crate::experiment::machine::{Event, FaultNumber, Method, State, Stop};
use crate::fleet::Agent;
use crate::fleet::local::LocalAgent;
use crate::hypothesis::Judge;
use crate::run::RunRequest;
use crate::run::folder::RunFolder;
use crate::run::journal::Started;
use crate::run::record::Record;
use crate::run::stop::StopSignals;
use crate::services::{ServiceContext, Services, scratch, this_program};
use crate::signals::{self, SignalContext};
use crate::targets::seed_of_fault;

pub(super) fn started(request: &RunRequest, run: &str) -> Started {
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
    }
}

/// Everything that can be made ready before anything is started.
pub(super) fn prepare<'a, 'w>(
    request: &'a RunRequest,
    run: &str,
    namespace: NetworkNamespace,
    record: &'a mut Record<'w>,
    replies: UnboundedSender<Reply>,
) -> Result<Drive<'a, 'w>, String> {
    let spec = &request.experiment.spec;
    let judge = Judge::new(spec).map_err(|error| error.to_string())?;
    let agent: Arc<dyn Agent> = Arc::new(LocalAgent::open(&request.state, run)?);
    let faults = spec
        .injections()
        .enumerate()
        .map(|(number, inject)| fault_run(request, agent.as_ref(), FaultNumber(number), inject))
        .collect();
    let (samples_in, samples) = unbounded_channel();
    let (_, service_events) = unbounded_channel();
    Ok(Drive {
        request,
        run: run.to_owned(),
        record,
        machine: State::new(Method::of(spec)),
        judge,
        agent,
        shared_ground: Arc::new(Mutex::new(Ground {
            run: run.to_owned(),
            namespace: namespace.clone(),
            services: BTreeMap::new(),
        })),
        namespace,
        services: None,
        faults,
        timers: BTreeMap::new(),
        undone_at: None,
        next_measurement: Instant::now(),
        replies,
        sources: TaskTracker::new(),
        sources_stop: CancellationToken::new(),
        samples_in,
        samples,
        service_events,
    })
}

fn fault_run(request: &RunRequest, agent: &dyn Agent, number: FaultNumber, inject: &Inject) -> FaultRun {
    FaultRun {
        id: agent.new_id(),
        fault: inject.fault.clone(),
        target_name: request.experiment.spec.target_name(inject).to_owned(),
        target: request.experiment.spec.target(inject).cloned(),
        lasts: inject.lasts,
        seed: seed_of_fault(request.seed, number.0),
        plan: None,
        measuring: false,
    }
}

impl Drive<'_, '_> {
    /// Starts the services, plans every fault, starts the signals, and begins the baseline; or ends the run and says why.
    pub(super) async fn start(&mut self, stops: &mut StopSignals, folder: &RunFolder) {
        if let Some(why) = self.agent.must_stop() {
            return self.stop(match why {
                crate::fleet::MustStop::Halted(halt) => {
                    Stop::Halted(format!("this host was halted: {} (hint: {})", halt.reason, halt.hint()))
                }
                crate::fleet::MustStop::GuardLost => Stop::Broken("the guard could not be started".into()),
            });
        }
        let started = tokio::select! {
            biased;
            name = stops.next() => Err(Stop::Interrupted(format!("interrupted by {name}"))),
            started = self.start_services(folder) => started.map_err(Stop::Broken),
        };
        self.take_service_events();
        if let Err(stop) = started {
            return self.stop(stop);
        }
        match self.plan_everything() {
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
    fn plan_everything(&mut self) -> Result<(), Stop> {
        let ground = self.ground();
        for number in (0..self.faults.len()).map(FaultNumber) {
            match plan(self.agent.as_ref(), &self.faults[number.0], &ground) {
                Ok(plan) => {
                    let allowed = self.agent.permits(&plan, self.faults[number.0].lasts);
                    self.planned(number, plan);
                    allowed.map_err(Stop::Broken)?;
                }
                Err(error) if error.is_unsupported() => {
                    let fault = self.id(number);
                    self.note(Happening::InjectionFailed { fault, reason: error.told() });
                    return Err(Stop::Impossible(error.told()));
                }
                Err(error) => return Err(Stop::Broken(error.told())),
            }
        }
        Ok(())
    }

    fn start_signals(&mut self) -> Result<(), String> {
        self.refresh_ground();
        let context = SignalContext { epoch: self.record.epoch(), subjects: self.subjects()? };
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
