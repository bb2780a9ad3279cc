//! Carrying a game day out: what its journal says is due is done, one event after the other.
//!
//! Nothing is remembered but what is in the store: what is due follows from the journal, the game day's runs and the
//! time alone. So whoever begins anew, after a restart or for a controller that is gone, goes on from there.
//!
//! - An experiment's run is made in the transaction that keeps [`Event::Queued`]. It is an ordinary run of exactly the
//!   plan that was approved; whoever claims it drives it.
//! - What happens in the run is read from the entries that its driver keeps in the store, each told once: those that the
//!   game day's journal has already are counted.

mod due;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Controller, ControllerError, PAGE, Read, With};
use crate::game_day::alerts::{Reading, Sampler};
use crate::game_day::machine::{Command, Entry, Event, State, step};
use crate::game_day::progress::Progress;
use crate::store::Refusal;
use crate::store::runs::NewRun;

/// Who hears what happens on a game day: an entry, where it led, and what is to be done then.
pub type Heard<'a> = &'a (dyn Fn(&Entry, &State, &[Command]) + Send + Sync);

/// A game day that this controller carries out.
pub struct Carrying {
    controller: Arc<Controller>,
    id: String,
    read: Read,
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
        Ok(Self { controller, id, read, sampler, readings, watched: None, followed: None })
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
            let with = run.as_ref().map_or(With::Nothing, With::Run);
            match self.controller.append(&self.id, number, &entry, &next, with).await {
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
