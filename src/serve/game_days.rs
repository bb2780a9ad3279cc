//! Carries out the game days of the fleet: each by one controller, by lease, from its journal in the store.
//!
//! - A controller that is restarted goes on with its game days at once, another one when the lease is over.
//! - What happens in the journal is decided there ([`crate::controller::game_days`]): a controller that was frozen and
//!   wakes up cannot do anything twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::controller::game_days::carry::Carrying;
use crate::controller::{Controller, ControllerError};
use crate::game_day::machine::{Command, Entry, Event, State};

/// For how long a game day is carried out without renewing that.
const LEASE: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
/// How often it is looked what is due.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked for game days that nobody carries out.
const SEEK: Duration = Duration::from_secs(1);
/// For how long after its end a game day is told of that nobody may have carried out, and among how many of the newest.
const LATE: Duration = Duration::from_secs(60);
const NEWEST: u32 = 50;

/// Carries out every game day that no other controller does, until the stop.
pub(super) async fn carry(controller: Arc<Controller>, telling: Telling, stop: CancellationToken) {
    let mut carried: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    let mut told = BTreeSet::new();
    loop {
        carried.retain(|_, task| !task.is_finished());
        match controller.store().open_game_days().await {
            Ok(days) => {
                for day in days.into_iter().filter(|day| !carried.contains_key(&day.id)).collect::<Vec<_>>() {
                    if matches!(take(&controller, &day.id).await, Ok(true)) {
                        let (controller, telling) = (Arc::clone(&controller), telling.clone());
                        let one = Day { controller, telling, id: day.id.clone() };
                        carried.insert(day.id, tokio::spawn(one.carry(stop.clone())));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "game days could not be looked for"),
        }
        if let Err(error) = tell_of_those_over(&controller, &telling, &mut told).await {
            tracing::warn!(%error, "game days that are over could not be told of");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SEEK) => {}
        }
    }
    for task in carried.into_values() {
        let _ = task.await;
    }
}

/// Tells of game days that were over before anybody carried them out, as one is that is answered by no at once. Of those
/// that somebody did, the same is told again, which the outbox knows.
async fn tell_of_those_over(
    controller: &Arc<Controller>,
    telling: &Telling,
    told: &mut BTreeSet<String>,
) -> Result<(), ControllerError> {
    let since = controller.now().await? - LATE;
    let newest = controller.store().game_days(None, NEWEST).await?.0.into_iter();
    let over: Vec<String> =
        newest.filter(|day| day.ended_at.is_some_and(|ended| ended > since)).map(|day| day.id).collect();
    told.retain(|id| over.contains(id));
    for id in over.into_iter().filter(|id| !told.contains(id)).collect::<Vec<_>>() {
        let tell = |entry: &Entry, state: &State, commands: &[Command]| telling.game_day(entry, state, commands);
        Carrying::begin(Arc::clone(controller), &id, &tell).await?;
        told.insert(id);
    }
    Ok(())
}

async fn take(controller: &Controller, id: &str) -> Result<bool, ControllerError> {
    Ok(controller.store().carry_game_day(id, controller.id(), LEASE, controller.now().await?).await?)
}

/// One game day.
struct Day {
    controller: Arc<Controller>,
    telling: Telling,
    id: String,
}

impl Day {
    /// Carries it out until it is over, another controller has it, or the stop.
    async fn carry(self, stop: CancellationToken) {
        let mut carrying: Option<Carrying> = None;
        let mut renewed = Instant::now();
        while !stop.is_cancelled() {
            if renewed.elapsed() > RENEW {
                match take(&self.controller, &self.id).await {
                    Ok(true) => renewed = Instant::now(),
                    Ok(false) => return,
                    Err(error) => {
                        tracing::warn!(game_day = self.id, %error, "the lease of a game day could not be renewed");
                    }
                }
            }
            // Nobody else is asked for what another controller may be doing by now.
            if renewed.elapsed() < LEASE {
                match self.round(&mut carrying).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        tracing::warn!(game_day = self.id, %error, "a game day could not go on; it is read again");
                        carrying = None;
                        tokio::time::sleep(SEEK).await;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn round(&self, carrying: &mut Option<Carrying>) -> Result<bool, ControllerError> {
        let carried = match carrying.take() {
            Some(carried) => carried,
            None => {
                let again = |entry: &Entry, state: &State, commands: &[Command]| self.tell(entry, state, commands);
                Carrying::begin(Arc::clone(&self.controller), &self.id, &again).await?
            }
        };
        carrying.insert(carried).round(&|entry, state, commands| self.hear(entry, state, commands)).await
    }

    /// The outbox knows each of these by its id and time, so that after a restart they are told once.
    fn tell(&self, entry: &Entry, state: &State, commands: &[Command]) {
        self.telling.game_day(entry, state, commands);
    }

    /// What has happened just now is in the log too.
    fn hear(&self, entry: &Entry, state: &State, commands: &[Command]) {
        self.tell(entry, state, commands);
        log(entry, state, commands);
    }
}

/// What people and runs did, for whoever reads the controller's log.
fn log(entry: &Entry, state: &State, commands: &[Command]) {
    let (game_day, stage) = (state.opening().id.as_str(), state.stage().word());
    match &entry.event {
        Event::Requested { by } => tracing::info!(game_day, by, "a game day is asked for"),
        Event::Queued { run, .. } => tracing::info!(game_day, run, "a game day asks for a run"),
        Event::Ended { verdict, because, .. } => {
            tracing::info!(game_day, verdict = verdict.word(), because, "a run of a game day is over");
        }
        Event::Aborted { by, reason } => tracing::warn!(game_day, by, reason, "a game day is ended early"),
        Event::Halted { reason } => tracing::warn!(game_day, reason, "a game day is ended by a halt"),
        _ => {}
    }
    if commands.contains(&Command::Finish) {
        tracing::info!(game_day, stage, "a game day is over");
    }
}
