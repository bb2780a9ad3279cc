//! What is due on a game day, and what is done with its runs.

use std::time::Duration;

use jiff::Timestamp;

use super::{Carrying, ControllerError, Due, Followed};
use crate::experiment::machine::Stop;
use crate::game_day::machine::{Entry, Event, ResolvedExperiment, Stage, step};
use crate::game_day::progress::Progress;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::Entry as RunEntry;
use crate::run::new_run_id;
use crate::store::runs::{NewRun, Origin, Run, RunState};
use crate::store::{GameDayPlan, Refusal};
use crate::targets::fleet_plan::FleetPlan;

/// How long hosts of a plan that are not connected are waited for, as a run that was claimed waits for them.
const GATHERING: Duration = Duration::from_secs(3);

impl Carrying {
    pub(super) async fn due(&mut self) -> Result<Option<Due>, ControllerError> {
        let now = self.controller.now().await?;
        let stage = self.read.state.stage().clone();
        if self.read.state.is_over() || stage == Stage::Drafted {
            return Ok(None);
        }
        if !matches!(stage, Stage::Stopping { .. })
            && let Some(halt) = self.controller.store.halted().await?
        {
            let reason = format!("{} (by {})", halt.reason, halt.by);
            return Ok(Some((now, Event::Halted { reason }, None)));
        }
        if let Stage::Running { experiment } | Stage::Stopping { experiment, .. } = stage
            && let Some(due) = self.due_of_run(experiment, now).await?
        {
            return Ok(Some(due));
        }
        if let Ok((at, reading)) = self.readings.try_recv() {
            return Ok(Some((at, Event::Alerts(reading), None)));
        }
        let (next, _) = step(Some(&self.read.state), now, Event::Tick)?;
        Ok(next.is_news_after(&self.read.state, &Event::Tick).then_some((now, Event::Tick, None)))
    }

    /// What is due of the experiment that runs or is being ended.
    async fn due_of_run(&mut self, experiment: usize, now: Timestamp) -> Result<Option<Due>, ControllerError> {
        let stops = match self.read.state.stage() {
            Stage::Stopping { because, .. } => Some(because.because.clone()),
            _ => None,
        };
        let ended = |verdict, because| Some((now, Event::Ended { experiment, verdict, because }, None));
        let Some((_, id)) = self.read.state.experiments()[experiment].queued.clone() else {
            if let Some(because) = stops {
                return Ok(ended(RunVerdict::Refused, format!("its run was never asked for: {because}")));
            }
            let plans = self.controller.store.game_day_plans(&self.id).await?;
            let (run, plan) = match self.new_run(experiment, &plans) {
                Ok(made) => made,
                Err(because) => return Ok(ended(RunVerdict::Refused, because)),
            };
            let drift = match self.controller.drift_of(&self.id, plan).await {
                Ok(drift) => drift,
                Err(ControllerError::Store(error)) => return Err(error.into()),
                // It could not be run either.
                Err(error) => return Ok(ended(RunVerdict::Refused, error.to_string())),
            };
            return Ok(match drift.refusal() {
                None => Some((now, Event::Queued { experiment, run: run.id.clone() }, Some(run))),
                Some(_) if drift.may_pass() && self.was_due_just_now(experiment, now) => None,
                Some(because) => Some((now, Event::Drifted { experiment, because }, None)),
            });
        };
        // Where it stands is read before its entries, so that these are then all there.
        let run = self.controller.store.run(&id).await?;
        if let Some(because) = stops {
            self.stop(&run, &because, now).await?;
        }
        let known = self.known(experiment);
        let followed = self.follow_run(experiment, &id, now).await?;
        if let Some((at, event)) = followed.events.get(known) {
            return Ok(Some((*at, event.clone(), None)));
        }
        let because = run.because.clone().unwrap_or_default();
        Ok(match run.state {
            RunState::Cancelled => ended(RunVerdict::Refused, because),
            RunState::Finished => ended(verdict(&run), because),
            _ => None,
        })
    }

    /// How many events of a run the journal has.
    fn known(&self, number: usize) -> usize {
        let of_run = |entry: &&std::sync::Arc<Entry>| matches!(&entry.event, Event::Started { experiment, .. } | Event::Progress { experiment, .. } if *experiment == number);
        self.read.entries.iter().filter(of_run).count()
    }

    /// The run of an experiment with all entries that were kept of it.
    async fn follow_run(&mut self, experiment: usize, run: &str, now: Timestamp) -> Result<&Followed, ControllerError> {
        let mut followed = match self.followed.take() {
            Some(followed) if followed.experiment == experiment => followed,
            _ => Followed { experiment, progress: Progress::new(experiment), read: 0, events: Vec::new() },
        };
        for text in self.controller.store.entries(run, followed.read).await? {
            let entry: RunEntry = serde_json::from_str(&text)
                .map_err(|error| ControllerError::Broken(format!("an entry of run {run} cannot be read: {error}")))?;
            followed.read += 1;
            followed.events.extend(followed.progress.take(&entry, now));
        }
        Ok(self.followed.insert(followed))
    }

    /// Whether a host of an experiment may be about to connect, as all are when a controller was just started.
    fn was_due_just_now(&self, experiment: usize, now: Timestamp) -> bool {
        self.read.state.experiments()[experiment].asked.is_some_and(|asked| now < asked + GATHERING)
    }

    /// The run of the plan that was approved, and that plan; or why there is none.
    fn new_run<'a>(&self, number: usize, plans: &'a [GameDayPlan]) -> Result<(NewRun, &'a GameDayPlan), String> {
        let (opening, plan) = (self.read.state.opening(), plans.get(number));
        let ResolvedExperiment { name, experiment, seed, .. } = &opening.experiments[number];
        let hash = self.read.state.plan_of(number);
        let plan = plan.ok_or("its plan is not there any more")?;
        let fleet: FleetPlan =
            serde_json::from_str(&plan.plan).map_err(|error| format!("its plan cannot be read: {error}"))?;
        if fleet.hash().to_string() != hash.as_str() {
            return Err("its plan is not the one that was approved".into());
        }
        let run = NewRun {
            id: new_run_id(),
            experiment: experiment.metadata.name.clone(),
            labels: experiment.metadata.labels.clone(),
            document: plan.document.clone(),
            seed: *seed,
            plan: plan.plan.clone(),
            plan_hash: hash.to_string(),
            hosts: plan.hosts.clone(),
            shared_hosts: experiment.spec.shares_hosts,
            requested_by: self.read.state.requested().map(|(by, _)| by.clone()).unwrap_or_default(),
            origin: Origin::GameDay { name: opening.game_day.metadata.name.clone(), step: name.clone() },
            // The plan was approved with the game day.
            approvals_needed: 0,
            not_before: None,
            deadline: self.read.state.window().map(|(_, until)| until),
        };
        Ok((run, plan))
    }

    /// Has a run end; asked again until it is asked for.
    async fn stop(&self, run: &Run, because: &str, now: Timestamp) -> Result<(), ControllerError> {
        if run.state.is_over() || run.stop_requested.is_some() {
            return Ok(());
        }
        let because = format!("the game day was ended: {because}");
        let asked = match self.controller.store.cancel(&run.id, &because, now).await {
            Err(error) if matches!(error.refusal(), Some(Refusal::State { is, .. }) if is.is_owned()) => {
                let asked = self.controller.store.request_stop(&run.id, &because).await;
                // Driven elsewhere, its controller learns it with the next renewal of its lease.
                self.controller.running.stop(&run.id, Stop::Halted(because));
                asked
            }
            cancelled => cancelled,
        };
        match asked {
            // It has ended by itself meanwhile.
            Err(error) if matches!(error.refusal(), Some(Refusal::State { .. })) => Ok(()),
            asked => Ok(asked.map(drop)?),
        }
    }
}

/// The verdict of a finished run. One that is not understood is not taken for a good one.
fn verdict(run: &Run) -> RunVerdict {
    let word = run.verdict.clone().map(serde_json::Value::String);
    word.and_then(|word| serde_json::from_value(word).ok()).unwrap_or(RunVerdict::CleanupUnverified)
}
