//! One run, from its claim to its verdict.

use std::sync::Arc;

use super::Dispatcher;
use super::keep::StoreKeeper;
use crate::document::load;
use crate::experiment::document::Experiment;
use crate::fleet::Agent;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::{Entry, Event};
use crate::run::record::Watcher;
use crate::run::{FleetRun, Outcome, RunRequest, execute_on_fleet};
use crate::store::StoreError;
use crate::store::runs::{Run, RunState};

/// What of a fleet's plan decides where a run acts.
#[derive(serde::Deserialize)]
struct Placed {
    injections: Vec<PlacedInjection>,
}

#[derive(serde::Deserialize)]
struct PlacedInjection {
    hosts: Vec<String>,
}

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
                Ok((request, agents)) => dispatcher.execute(&run, request, agents, orders).await,
                Err(why) => Err(why),
            };
            match outcome {
                Ok(outcome) => dispatcher.finish(&run, outcome.verdict, &outcome.because).await,
                Err(why) => {
                    tracing::error!(run = %run.id, why, "the run could not be driven to its end");
                    dispatcher.close_now(run, &why).await;
                }
            }
            dispatcher.running.end(&id);
        });
    }

    /// The request and the agents of a run, from the texts that were approved.
    async fn prepare(&self, run: &Run) -> Result<(RunRequest, Vec<Vec<Arc<dyn Agent>>>), String> {
        let told = |error: StoreError| format!("{error} (hint: {})", error.hint());
        let texts = self.store.run_document(&run.id).await.map_err(told)?;
        let experiment = experiment(&run.experiment, &texts.document)?;
        let plan: Placed =
            serde_json::from_str(&texts.plan).map_err(|error| format!("its plan cannot be read: {error}"))?;
        let agents = plan
            .injections
            .iter()
            .map(|injection| injection.hosts.iter().map(|host| self.hosts.agent(host)).collect())
            .collect();
        self.store.record_state(&run.id, run.epoch, RunState::Running).await.map_err(told)?;
        let request = RunRequest {
            experiment,
            file: run.experiment.clone(),
            text: texts.document,
            seed: run.seed,
            runs: self.folder.clone(),
        };
        Ok((request, agents))
    }

    async fn execute(
        &self,
        run: &Run,
        request: RunRequest,
        agents: Vec<Vec<Arc<dyn Agent>>>,
        orders: tokio::sync::mpsc::UnboundedReceiver<crate::experiment::machine::Stop>,
    ) -> Result<Outcome, String> {
        let (keeper, writing) = StoreKeeper::new(self.store.clone(), run, 0);
        let writing = tokio::spawn(writing);
        let fleet = FleetRun { run: run.id.clone(), agents, orders, keeper: Some(Box::new(keeper)) };
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

    /// Writes the verdict down, again and again until it is or this controller has lost the run.
    pub(super) async fn finish(&self, run: &Run, verdict: RunVerdict, because: &str) {
        for attempt in 1_u32.. {
            let finished = async {
                let now = self.store.now().await?;
                self.store.finish(&run.id, run.epoch, verdict.word(), because, now).await
            };
            match finished.await {
                Ok(finished) => return self.listener.over(&finished),
                Err(error) if error.refusal().is_some() || attempt == 20 => {
                    tracing::warn!(run = %run.id, verdict = verdict.word(), %error, "the verdict could not be recorded");
                    return;
                }
                Err(error) => {
                    tracing::warn!(run = %run.id, %error, "the verdict could not be recorded; trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                }
            }
        }
    }
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
