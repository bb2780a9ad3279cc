//! One run, from its claim to its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::keep::StoreKeeper;
use super::{Dispatcher, newcomers};
use crate::access::Action;
use crate::audit::Deed;
use crate::document::load;
use crate::experiment::document::Experiment;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::{Entry, Event};
use crate::run::left::{LeftFault, left_on_hosts};
use crate::run::record::Watcher;
use crate::run::{FleetGround, FleetRun, Outcome, RunRequest, execute_on_fleet};
use crate::slo::ledger::Spending;
use crate::store::runs::{Run, RunState};
use crate::store::{Leftover, Leftovers, StoreError};
use crate::targets::fleet_plan::{self, Drift, FleetPlan};

/// How long a run that was claimed waits for hosts of its plan that are not connected, beyond what it waited for them in
/// the queue ([`super::reach`]): one may just be about to dial again.
const GATHERING: Duration = Duration::from_secs(3);
/// How often it looks for them.
const LOOK: Duration = Duration::from_millis(250);

/// Tells the listener of everything but samples.
struct Told {
    run: Run,
    listener: Arc<dyn super::Listener>,
}

impl Watcher for Told {
    fn entry(&mut self, entry: &Entry) {
        if !matches!(entry.event, Event::Sample(_)) {
            self.listener.entry(&self.run, entry);
        }
    }

    fn tick(&mut self, _: f64) {}
}

impl Dispatcher {
    /// Drives a run that was just claimed.
    pub(super) fn drive(self: &Arc<Self>, run: Run) {
        let orders = self.running.begin(&run.id, run.epoch);
        let dispatcher = Arc::clone(self);
        self.tasks.spawn(async move {
            let id = run.id.clone();
            let outcome = match dispatcher.prepare(&run).await {
                Ok((request, ground)) => dispatcher.execute(&run, request, ground, orders).await,
                Err(why) => Err(why),
            };
            match outcome {
                Ok(outcome) => {
                    let left = leftovers(left_on_hosts(&outcome.entries));
                    dispatcher.keep_spending(&outcome.entries).await;
                    dispatcher.finish(&run, outcome.verdict, &outcome.because, left).await;
                }
                Err(why) => {
                    tracing::error!(run = %run.id, why, "the run could not be driven to its end");
                    dispatcher.close_now(run, &why).await;
                }
            }
            dispatcher.running.end(&id);
        });
    }

    /// The request and the ground of a run, from the texts that were approved and the fleet as it is now.
    async fn prepare(&self, run: &Run) -> Result<(RunRequest, FleetGround), String> {
        let told = |error: StoreError| format!("{error} (hint: {})", error.hint());
        let texts = self.store.run_document(&run.id).await.map_err(told)?;
        let experiment = experiment(&run.experiment, &texts.document)?;
        let plan: FleetPlan =
            serde_json::from_str(&texts.plan).map_err(|error| format!("its plan cannot be read: {error}"))?;
        if plan.hash().to_string() != run.plan_hash {
            return Err(format!("its plan in the store has another hash than the one approved, {}", run.plan_hash));
        }
        // From before the fleet is looked at, so that nobody who joins is missed.
        let events = self.hosts.events();
        let drift = self.drift(run, &plan, &experiment).await?;
        let refused = drift.refusal();
        if let Some(because) = &refused {
            self.audit_refusal(run, because, &drift).await;
        }
        let agents = |hosts: &BTreeSet<String>| hosts.iter().map(|host| self.hosts.agent(host)).collect();
        let ground = FleetGround {
            agents: plan.injections.iter().map(|injection| agents(drift.hosts_of(injection))).collect(),
            differences: drift.differences.iter().map(ToString::to_string).collect(),
            refused,
            newcomers: newcomers::watch(Arc::clone(&self.hosts), events, plan, experiment.clone()),
        };
        self.store.record_state(&run.id, run.epoch, RunState::Running).await.map_err(told)?;
        let request = RunRequest {
            experiment,
            file: run.experiment.clone(),
            text: texts.document,
            seed: run.seed,
            runs: self.folder.clone(),
            placebo: false,
        };
        Ok((request, ground))
    }

    /// What changed since the plan was made, once the hosts of the plan had time to connect.
    async fn drift(&self, run: &Run, plan: &FleetPlan, experiment: &Experiment) -> Result<Drift, String> {
        let until = Instant::now() + GATHERING;
        loop {
            let fleet = self.hosts.fleet(&run.id).await?;
            let drift = fleet_plan::drift(plan, &fleet.with(experiment)).map_err(|error| error.to_string())?;
            if !drift.may_pass() || Instant::now() >= until {
                return Ok(drift);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes to the audit log that a run was refused although it had been accepted, and why.
    async fn audit_refusal(&self, run: &Run, because: &str, drift: &Drift) {
        let details = serde_json::json!({ "planHash": run.plan_hash, "differences": drift.differences });
        let actor = format!("controller/{}", self.controller);
        let outcome = format!("refused: {because}");
        let deed = Deed::new(actor, Action::Run.to_string(), format!("run/{}", run.id), outcome, &details);
        let written = async { self.store.append_audit(&deed, self.store.now().await?).await };
        if let Err(error) = written.await {
            tracing::error!(run = %run.id, %error, "a refusal is missing in the audit log");
        }
    }

    async fn execute(
        &self,
        run: &Run,
        request: RunRequest,
        ground: FleetGround,
        orders: tokio::sync::mpsc::UnboundedReceiver<crate::experiment::machine::Stop>,
    ) -> Result<Outcome, String> {
        let (keeper, writing) = StoreKeeper::new(self.store.clone(), run, 0);
        let writing = tokio::spawn(writing);
        let fleet = FleetRun { run: run.id.clone(), ground, orders, keeper: Some(Box::new(keeper)) };
        let mut told = Told { run: run.clone(), listener: Arc::clone(&self.listener) };
        // A thread of its own, since the run waits for its journal; it brings its own runtime.
        let executed = tokio::task::spawn_blocking(move || execute_on_fleet(&request, fleet, &mut told)).await;
        let _ = writing.await;
        match executed {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(format!("{error} (hint: {})", error.hint())),
            Err(error) => Err(format!("a defect of Faultline: {error}")),
        }
    }

    /// Puts what a run spent of an error budget into the ledger of the fleet, before its verdict: who finishes it after a
    /// crash in between does so again, and it is kept once.
    pub(super) async fn keep_spending(&self, entries: &[Entry]) {
        let Some(spending) = Spending::of(entries) else { return };
        let text = serde_json::to_string(&spending).unwrap_or_default();
        if let Err(error) = self.store.keep_spending(&spending.run, spending.time, &text).await {
            tracing::error!(run = spending.run, %error, "what it spent of its error budget is missing in the ledger");
        }
    }

    /// Writes the verdict down, again and again until it is or this controller has lost the run.
    pub(super) async fn finish(&self, run: &Run, verdict: RunVerdict, because: &str, left: Leftovers) {
        for attempt in 1_u32.. {
            let finished = async {
                let now = self.store.now().await?;
                self.store.finish_leaving(&run.id, run.epoch, verdict.word(), because, &left, now).await
            };
            match finished.await {
                Ok(finished) => return self.listener.over(&finished),
                Err(error) if error.refusal().is_some() || attempt == 20 => {
                    tracing::warn!(run = %run.id, verdict = verdict.word(), %error, "the verdict could not be recorded");
                    return;
                }
                Err(error) => {
                    tracing::warn!(run = %run.id, %error, "the verdict could not be recorded; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }
}

/// What a run left, host by host.
pub(super) fn leftovers(faults: Vec<LeftFault>) -> Leftovers {
    let mut hosts: BTreeMap<String, Vec<Leftover>> = BTreeMap::new();
    for fault in faults {
        let Some(host) = fault.host else { return Leftovers::Unknown(fault.what) };
        let left = Leftover { fault: Some(fault.id.to_string()), what: fault.what };
        hosts.entry(host).or_default().push(left);
    }
    Leftovers::On(hosts.into_iter().collect())
}

/// The experiment of a run, from the document that was submitted.
pub(super) fn experiment(name: &str, text: &str) -> Result<Experiment, String> {
    let loaded = load::from_text(name, text, &[])
        .map_err(|error| format!("its document cannot be used: {}", error.render(false)))?;
    loaded
        .into_iter()
        .filter_map(|loaded| Some(loaded.experiment().ok()?.document))
        .find(|experiment| experiment.metadata.name == name)
        .ok_or_else(|| format!("its document has no experiment `{name}`"))
}
