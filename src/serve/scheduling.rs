//! Fires schedules: one of all controllers leads, decides by the pure rule, and claims each slot in one transaction.
//!
//! - What was decided of a slot is in the store; the next decision is made from there, whoever leads then.
//! - What cannot be planned does not run: the slot is missed, with the reason.
//! - A leader that stands still loses its lease; its claims are refused by the slot's own key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::controller::schedules::Scheduled;
use crate::controller::submit::Submission;
use crate::controller::{Controller, ControllerError};
use crate::notify::Notifier;
use crate::schedule::document::Concurrency;
use crate::schedule::{Decision, LastRun, Rule, State, decide};
use crate::store::runs::{Origin, Run, RunFilter, RunState};
use crate::store::{Definition, DefinitionKind, Occasion, SlotClaim, SlotOutcome, Store};
use crate::targets::seed_on_host;

/// For how long the lead is held without renewing it.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed, and schedules are looked at.
const LOOK: Duration = Duration::from_secs(1);
const RENEW: Duration = Duration::from_secs(3);
/// How many slots of one rule are decided before the others have their turn.
const AT_ONCE: usize = 100;
/// So many slots back the last run of a rule is looked for.
const FAR_BACK: u32 = 1_000;
/// So many runs of one schedule under way are counted; more there never are.
const MOST_RUNS: u32 = 1_000;

/// Leads when nobody else does, and fires what is due, until the stop.
pub(super) async fn fire(
    controller: Arc<Controller>,
    telling: Telling,
    notifier: Notifier<Store>,
    stop: CancellationToken,
) {
    let mut lead: Option<(i64, Instant)> = None;
    let mut delivering: Option<Delivering> = None;
    let mut read = Read::default();
    loop {
        let before = lead.map(|(epoch, _)| epoch);
        lead = hold(&controller, lead).await;
        if lead.map(|(epoch, _)| epoch) != before {
            // Who led meanwhile may have decided what is waited for here.
            read.waiting.clear();
        }
        match (&lead, &delivering) {
            (Some(_), None) => delivering = Some(Delivering::begin(&notifier)),
            (None, Some(_)) => delivering = None,
            _ => {}
        }
        if lead.is_some()
            && let Err(error) = round(&controller, &telling, &mut read).await
        {
            tracing::warn!(%error, "the schedules could not be looked at");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    drop(delivering);
    if let Some((epoch, _)) = lead {
        let _ = controller.store().resign(controller.id(), epoch).await;
    }
}

/// The delivery of notifications, for as long as this controller leads.
struct Delivering(CancellationToken);

impl Delivering {
    fn begin(notifier: &Notifier<Store>) -> Self {
        let (stop, notifier) = (CancellationToken::new(), notifier.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { notifier.deliver(stopped).await });
        Self(stop)
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The lead, if it is this controller's now: its epoch, and when it was last renewed.
async fn hold(controller: &Controller, lead: Option<(i64, Instant)>) -> Option<(i64, Instant)> {
    let (store, begun) = (controller.store(), Instant::now());
    match lead {
        Some((_, renewed)) if renewed.elapsed() < RENEW => lead,
        Some((epoch, renewed)) => {
            let again = async { store.renew_lead(controller.id(), epoch, LEASE, store.now().await?).await };
            match again.await {
                Ok(_) => Some((epoch, begun)),
                // Still held for certain, by this host's own clock.
                Err(error) if error.refusal().is_none() && renewed.elapsed() < LEASE / 2 => Some((epoch, renewed)),
                Err(error) => {
                    tracing::warn!(%error, "this controller does not lead any more");
                    None
                }
            }
        }
        None => {
            let taken = async { store.try_lead(controller.id(), LEASE, store.now().await?).await };
            let epoch = taken.await.ok().flatten()?;
            tracing::info!(epoch, "this controller leads: it fires the schedules");
            Some((epoch, begun))
        }
    }
}

/// What is known of the schedules since they were read.
#[derive(Default)]
struct Read {
    /// By name and version; nothing of one that is not understood.
    schedules: BTreeMap<(String, i64), Option<Arc<Scheduled>>>,
    /// When a rule is to be asked again, as of the last change of its schedule.
    waiting: BTreeMap<String, (Timestamp, Timestamp)>,
}

async fn round(controller: &Controller, telling: &Telling, read: &mut Read) -> Result<(), ControllerError> {
    let definitions = controller.store().definitions(DefinitionKind::Schedule).await?;
    let Read { schedules, waiting } = read;
    schedules.retain(|(name, version), _| {
        definitions.iter().any(|definition| definition.name == *name && definition.version == *version)
    });
    let rules: BTreeSet<&str> =
        schedules.values().flatten().flat_map(|schedule| &schedule.rules).map(|rule| rule.id.as_str()).collect();
    waiting.retain(|rule, _| rules.contains(rule.as_str()));
    let now = controller.now().await?;
    let halted = controller.store().halted().await?.is_some();
    for definition in definitions {
        let key = (definition.name.clone(), definition.version);
        let scheduled = schedules.entry(key).or_insert_with(|| match Scheduled::read(&definition.document) {
            Ok(scheduled) => Some(Arc::new(scheduled)),
            Err(error) => {
                tracing::error!(schedule = definition.name, %error, "a schedule is not understood and does not fire");
                None
            }
        });
        let Some(scheduled) = scheduled.clone() else { continue };
        for rule in &scheduled.rules {
            if waiting.get(&rule.id).is_some_and(|(changed, until)| *changed == definition.changed_at && now < *until) {
                continue;
            }
            let due = Due { controller, telling, definition: &definition, scheduled: &scheduled, rule, halted };
            match due.settle().await {
                Ok(Some(until)) => _ = waiting.insert(rule.id.clone(), (definition.changed_at, until)),
                Ok(None) => _ = waiting.remove(&rule.id),
                Err(error) => {
                    tracing::warn!(schedule = definition.name, rule = rule.id, %error, "it could not be decided");
                }
            }
        }
    }
    Ok(())
}

/// One rule of a schedule, to be brought up to now.
struct Due<'a> {
    controller: &'a Controller,
    telling: &'a Telling,
    definition: &'a Definition,
    scheduled: &'a Scheduled,
    rule: &'a Rule,
    halted: bool,
}

impl Due<'_> {
    /// Until when it waits then, if that is for the time alone.
    async fn settle(&self) -> Result<Option<Timestamp>, ControllerError> {
        for _ in 0..AT_ONCE {
            let (state, running) = self.state().await?;
            let now = self.controller.now().await?;
            match decide(self.rule, &state, now) {
                Decision::Wait { until } => return Ok(Some(until)),
                Decision::Missed { first, last, count } => {
                    let because = format!("{count} slots since {} were missed", first.start);
                    self.missed(last.start, &because).await?;
                }
                Decision::Skip { slot, why, .. } => self.missed(slot.start, &why.to_string()).await?,
                Decision::Fire { replace: true, .. } if !running.is_empty() => {
                    let because = format!("schedule {} replaces it with its next run", self.definition.name);
                    for run in running {
                        // One that is only queued has no controller that could be asked.
                        if self.controller.store().request_stop(&run.id, &because).await.is_err() {
                            let _ = self.controller.store().cancel(&run.id, &because, now).await;
                        }
                    }
                    return Ok(None);
                }
                Decision::Fire { slot, .. } => self.fire(slot.start).await?,
            }
        }
        Ok(None)
    }

    /// Where the rule stands, from what the store knows.
    async fn state(&self) -> Result<(State, Vec<Run>), ControllerError> {
        let store = self.controller.store();
        // Only what is by chance asks when the last run was.
        let far = if self.rule.group.is_some() { FAR_BACK } else { 1 };
        let slots = store.slots(&self.rule.id, None, far).await?;
        let fired = slots.iter().find(|slot| slot.outcome == SlotOutcome::Fired);
        let last_run = match fired {
            Some(slot) => LastRun::At(slot.recorded_at),
            None if slots.len() < far as usize => LastRun::Never,
            None => LastRun::Unknown,
        };
        let states = vec![
            RunState::Queued,
            RunState::WaitingForApproval,
            RunState::Claimed,
            RunState::Running,
            RunState::Closing,
        ];
        let filter = RunFilter { states, schedule: Some(self.definition.name.clone()), ..RunFilter::default() };
        let running = store.runs(&filter, None, MOST_RUNS).await?.0;
        // What was due before it was made, changed or resumed is nobody's.
        let settled =
            slots.first().map_or(self.definition.changed_at, |slot| slot.slot.max(self.definition.changed_at));
        let suspended = self.definition.suspended || self.halted;
        Ok((State { settled, last_run, running: running.len(), suspended }, running))
    }

    async fn missed(&self, slot: Timestamp, because: &str) -> Result<(), ControllerError> {
        tracing::info!(rule = self.rule.id, %slot, because, "a schedule does not fire");
        let store = self.controller.store();
        if store.record_missed(&self.rule.id, slot, because, self.controller.now().await?).await? {
            self.telling.missed(&self.rule.id, slot, because);
        }
        Ok(())
    }

    async fn fire(&self, slot: Timestamp) -> Result<(), ControllerError> {
        let name = &self.definition.name;
        let spec = &self.scheduled.schedule.spec;
        // The hosts differ from slot to slot, and are the same on whatever controller decides.
        let seed = seed_on_host(spec.seed.unwrap_or(0), &format!("{}@{slot}", self.rule.id));
        let submission = Submission {
            document: self.scheduled.document(self.rule.group.as_deref())?,
            seed: Some(seed),
            ..Submission::default()
        };
        let origin = Origin::Schedule { name: name.clone(), slot };
        // One that cannot be read is nobody's: nothing is fired for it.
        let scope = match self.definition.scope.parse() {
            Ok(scope) => scope,
            Err(error) => return self.missed(slot, &format!("it cannot run: {error}")).await,
        };
        let by = format!("schedule/{name}");
        let run = match self.controller.new_run(&scope, &by, submission, origin).await {
            Ok(run) => run,
            Err(error) => return self.missed(slot, &format!("it cannot run: {error}")).await,
        };
        let alone = spec.concurrency == Concurrency::Forbid;
        let store = self.controller.store();
        let now = self.controller.now().await?;
        let occasion = Occasion { schedule: name, version: self.definition.version, rule: &self.rule.id, slot };
        let claim = store.claim_slot(&occasion, alone, &run, now).await?;
        match claim {
            SlotClaim::Fired(run) => {
                tracing::info!(schedule = name, run = run.id, %slot, "a schedule fires");
                Ok(())
            }
            SlotClaim::Taken | SlotClaim::Stale => Ok(()),
            SlotClaim::Overlaps(other) => self.missed(slot, &format!("run {other} has not ended")).await,
        }
    }
}
