//! Carrying a game day out: what its journal says is due is done, one event after the other.
//!
//! Nothing is remembered but what is in the store: what is due follows from the journal, the game day's runs and the
//! time alone. So whoever begins anew, after a restart or for a controller that is gone, goes on from there.
//!
//! - An experiment's run is made in the transaction that keeps [`Event::Queued`]. It is an ordinary run of exactly the
//!   plan that was approved; whoever claims it drives it.
//! - What happens in the run is read from the entries that its driver keeps in the store, each told once: those that the
//!   game day's journal has already are counted.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Controller, ControllerError, PAGE, Read};
use crate::experiment::machine::Stop;
use crate::game_day::alerts::{Reading, Sampler};
use crate::game_day::machine::{Command, Entry, Event, ResolvedExperiment, Stage, State, step};
use crate::game_day::progress::Progress;
use crate::hypothesis::verdict::RunVerdict;
use crate::run::journal::Entry as RunEntry;
use crate::run::new_run_id;
use crate::store::runs::{NewRun, Origin, Run, RunState};
use crate::store::{GameDayPlan, Refusal};
use crate::targets::fleet_plan::FleetPlan;

/// Who hears what happens on a game day: an entry, where it led, and what is to be done then.
pub type Heard<'a> = &'a (dyn Fn(&Entry, &State, &[Command]) + Send + Sync);

/// A game day that this controller carries out.
pub struct Carrying {
    controller: Arc<Controller>,
    id: String,
    read: Read,
    plans: Vec<GameDayPlan>,
    sampler: Option<Sampler>,
    readings: UnboundedReceiver<(Timestamp, Reading)>,
    /// The experiment for which alerts are asked for.
    watched: Option<usize>,
    followed: Option<Followed>,
}

impl std::fmt::Debug for Carrying {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Carrying").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The run of an experiment, as far as its entries were read.
struct Followed {
    experiment: usize,
    progress: Progress,
    /// How many entries of its journal were read.
    read: u64,
    /// What they mean to the game day.
    events: Vec<(Timestamp, Event)>,
}

/// What is due: an event, when it happened, and the run that is made with it.
type Due = (Timestamp, Event, Option<NewRun>);

impl Carrying {
    /// Reads a game day from its beginning. Must be called on a runtime of tokio.
    ///
    /// # Errors
    /// If there is none, or by the store.
    pub async fn begin(controller: Arc<Controller>, id: &str, heard: Heard<'_>) -> Result<Self, ControllerError> {
        let entries = controller.read_game_day(id).await?.entries.clone();
        let plans = controller.store.game_day_plans(id).await?;
        let mut read: Option<Read> = None;
        for entry in entries {
            read = Some(follow(read, entry, heard)?);
        }
        let read = read.ok_or_else(|| Refusal::Unknown { kind: "game day", name: id.to_owned() })?;
        let (told, readings) = unbounded_channel();
        let sampler = match &read.state.spec().alertmanager {
            Some(alertmanager) => {
                let tell = move |at, reading| told.send((at, reading)).is_ok();
                let broken = |why| ControllerError::Broken(format!("alerts cannot be read: {why}"));
                let reach = controller.settings.signal_reach.clone();
                Some(Sampler::start(alertmanager, reach, tell).map_err(broken)?)
            }
            None => None,
        };
        let id = id.to_owned();
        Ok(Self { controller, id, read, plans, sampler, readings, watched: None, followed: None })
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.read.state
    }

    /// Does all that is due now. Answers whether the game day goes on.
    ///
    /// # Errors
    /// What stood in the way, above all the store: the next round goes on from there.
    pub async fn round(&mut self, heard: Heard<'_>) -> Result<bool, ControllerError> {
        self.catch_up(heard).await?;
        loop {
            self.watch();
            let Some((at, event, run)) = self.due().await? else { break };
            let entry = Entry { at, event };
            let (next, _) = step(Some(&self.read.state), at, entry.event.clone())?;
            let number = self.read.entries.len() as u64;
            match self.controller.append(&self.id, number, &entry, &next, run.as_ref()).await {
                Ok(()) => {}
                // Somebody said something meanwhile, which may change what is due.
                Err(ControllerError::Store(error)) if matches!(error.refusal(), Some(Refusal::Changed { .. })) => {}
                Err(error) => return Err(error),
            }
            self.catch_up(heard).await?;
        }
        Ok(!self.read.state.is_over())
    }

    /// Reads what was kept since, by whomever.
    async fn catch_up(&mut self, heard: Heard<'_>) -> Result<(), ControllerError> {
        loop {
            let new = self.controller.entries_of(&self.id, self.read.entries.len() as u64, PAGE).await?;
            if new.is_empty() {
                return Ok(());
            }
            for entry in new {
                let read = Read { entries: std::mem::take(&mut self.read.entries), state: self.read.state.clone() };
                self.read = follow(Some(read), Arc::new(entry), heard)?;
            }
        }
    }

    /// Has alerts asked for exactly while they are watched.
    fn watch(&mut self) {
        let watches = self.read.state.watches();
        let Some(sampler) = &self.sampler else { return };
        if watches != self.watched {
            self.watched = watches;
            match watches {
                Some(_) => sampler.begin(),
                None => sampler.watch(false),
            }
        }
        if watches.is_none() {
            // A reading that was asked for before the watch ended comes too late.
            while self.readings.try_recv().is_ok() {}
        }
    }

    async fn due(&mut self) -> Result<Option<Due>, ControllerError> {
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
            return Ok(match self.new_run(experiment) {
                Ok(run) => Some((now, Event::Queued { experiment, run: run.id.clone() }, Some(run))),
                Err(because) => ended(RunVerdict::Refused, because),
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
        let of_run = |entry: &&Arc<Entry>| matches!(&entry.event, Event::Started { experiment, .. } | Event::Progress { experiment, .. } if *experiment == number);
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

    /// The run of the plan that was approved, or why there is none.
    fn new_run(&self, number: usize) -> Result<NewRun, String> {
        let (opening, plan) = (self.read.state.opening(), self.plans.get(number));
        let ResolvedExperiment { name, experiment, seed, hash } = &opening.experiments[number];
        let plan = plan.ok_or("its plan is not there any more")?;
        let fleet: FleetPlan =
            serde_json::from_str(&plan.plan).map_err(|error| format!("its plan cannot be read: {error}"))?;
        if fleet.hash().to_string() != hash.as_str() {
            return Err("its plan is not the one that was approved".into());
        }
        Ok(NewRun {
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
        })
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

/// The next entry, heard.
fn follow(read: Option<Read>, entry: Arc<Entry>, heard: Heard<'_>) -> Result<Read, ControllerError> {
    let state = read.as_ref().map(|read| &read.state);
    let (state, commands) = step(state, entry.at, entry.event.clone())?;
    heard(&entry, &state, &commands);
    let mut entries = read.map(|read| read.entries).unwrap_or_default();
    entries.push(entry);
    Ok(Read { entries, state })
}

/// The verdict of a finished run. One that is not understood is not taken for a good one.
fn verdict(run: &Run) -> RunVerdict {
    let word = run.verdict.clone().map(serde_json::Value::String);
    word.and_then(|word| serde_json::from_value(word).ok()).unwrap_or(RunVerdict::CleanupUnverified)
}
