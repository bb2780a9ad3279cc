//! Game days of the fleet: people ask for them, agree, decide and note by their tokens; [`carry`] carries them out.
//!
//! What may happen is decided by the machine of game days alone ([`crate::game_day::machine`]), from the entries in the
//! store. Whoever appends one has read all before it; of two at once one is refused, reads again, and decides anew. So it
//! does not matter which controller somebody asks, nor which one carries the game day out.

pub mod carry;
mod history;
mod plans;
mod read;
mod say;
mod submit;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use read::Known;
use read::Read;
pub use view::{
    GameDayApproval, GameDayDetails, GameDayJournal, GameDayQuestion, GameDayStep, GameDayView, GameDaysPage,
};

use super::command::Object;
use super::{Controller, ControllerError, journal};
use crate::access::{Action, Labels, Principal};
use crate::game_day::machine::{Entry, Event, State, step};
use crate::game_day::sheet::Format;
use crate::store::runs::NewRun;
use crate::store::{GameDay, GameDayCursor, GameDayEntry, GameDayPlan, Refusal};

/// So many entries are read at once, and sent in one answer.
const PAGE: u32 = 1_000;
/// How often somebody may be overtaken by others before he is told so.
const ATTEMPTS: u32 = 20;
/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(200);

/// What is kept together with an entry.
#[derive(Debug, Clone, Copy)]
enum With<'a> {
    Nothing,
    Run(&'a NewRun),
    Plans(&'a [GameDayPlan]),
}

impl Controller {
    /// Game days, the newest first.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn game_days(
        &self,
        who: &Principal,
        after: Option<&str>,
        limit: u32,
    ) -> Result<GameDaysPage, ControllerError> {
        self.admit(who, Action::See).await?;
        let after = match after {
            Some(id) => {
                let day = self.store.game_day(id).await?;
                Some(GameDayCursor { opened_at: day.opened_at, id: day.id })
            }
            None => None,
        };
        let (days, next) = self.store.game_days(after.as_ref(), limit).await?;
        let seen = days.into_iter().filter(|day| self.may_see(who, &object_by_labels(day)));
        Ok(GameDaysPage { game_days: seen.map(GameDayView::from).collect(), next: next.map(|cursor| cursor.id) })
    }

    /// One game day: its plan, what is asked, and how far it has come.
    ///
    /// # Errors
    /// If `who` may not, there is no such game day, or by the store.
    pub async fn game_day(&self, who: &Principal, id: &str) -> Result<GameDayDetails, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_game_day(id).await?).await?;
        self.game_day_details(id).await
    }

    async fn game_day_details(&self, id: &str) -> Result<GameDayDetails, ControllerError> {
        let read = self.read_game_day(id).await?;
        let (day, document) = (self.store.game_day(id).await?, self.store.game_day_document(id).await?);
        let plans = self.store.game_day_plans(id).await?;
        Ok(GameDayDetails::new(day, document, &plans, &read, self.now().await?))
    }

    /// The journal of a game day from this entry on, counted from 0. Where there is nothing yet, it is waited for so long.
    ///
    /// # Errors
    /// If `who` may not, there is no such game day, or by the store.
    pub async fn game_day_journal(
        &self,
        who: &Principal,
        id: &str,
        from: u64,
        wait: Duration,
    ) -> Result<GameDayJournal, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_game_day(id).await?).await?;
        let until = Instant::now() + wait.min(journal::LONGEST_WAIT);
        loop {
            // Whether it is over is read before its entries, so that they are then all there.
            let over = self.store.game_day(id).await?.ended_at.is_some();
            let entries = self.entries_of(id, from, PAGE).await?;
            if over || !entries.is_empty() || Instant::now() >= until || self.stopping.is_cancelled() {
                let next = from + entries.len() as u64;
                return Ok(GameDayJournal { over: over && entries.is_empty(), entries, next });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The run sheet of a game day, or the skeleton of its postmortem, as far as it has come.
    ///
    /// # Errors
    /// If `who` may not, there is no such game day, or by the store.
    pub async fn game_day_sheet(&self, who: &Principal, id: &str, format: Format) -> Result<String, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_game_day(id).await?).await?;
        Ok(self.read_game_day(id).await?.sheet().render(format)?)
    }

    /// A game day as what something is done to: its labels, every host that it meets with the labels that are bound to it,
    /// and who asked for it.
    async fn object_of_game_day(&self, id: &str) -> Result<Object, ControllerError> {
        let (day, plans) = (self.store.game_day(id).await?, self.store.game_day_plans(id).await?);
        let known: BTreeMap<String, Labels> =
            self.fleet_facts().await?.into_iter().map(|facts| (facts.name, facts.bound)).collect();
        let object = object_by_labels(&day).requested_by(day.requested_by);
        let hosts = plans.iter().flat_map(|plan| &plan.hosts);
        Ok(hosts.fold(object, |object, host| object.host(host, known.get(host).cloned())))
    }

    /// Puts what somebody says to the machine and keeps it; again if others were faster.
    async fn tell_game_day(
        &self,
        id: &str,
        with: With<'_>,
        say: impl Fn(&State) -> Result<Event, ControllerError> + Send + Sync,
    ) -> Result<(), ControllerError> {
        for attempt in 1.. {
            let read = self.read_game_day(id).await?;
            let entry = Entry { at: self.now().await?, event: say(&read.state)? };
            let (next, _) = step(Some(&read.state), entry.at, entry.event.clone())?;
            match self.append(id, read.entries.len() as u64, &entry, &next, with).await {
                Err(ControllerError::Store(error))
                    if attempt < ATTEMPTS && matches!(error.refusal(), Some(Refusal::Changed { .. })) => {}
                done => return done,
            }
        }
        Ok(())
    }

    async fn append(
        &self,
        id: &str,
        number: u64,
        entry: &Entry,
        next: &State,
        with: With<'_>,
    ) -> Result<(), ControllerError> {
        let (text, stage, over) = (text(entry)?, next.stage().word(), next.is_over());
        let kept = GameDayEntry { game_day: id, number, entry: &text, stage, over };
        let now = self.now().await?;
        match with {
            With::Nothing => self.store.append_to_game_day(&kept, None, now).await?,
            With::Run(run) => self.store.append_to_game_day(&kept, Some(run), now).await?,
            With::Plans(plans) => self.store.replan_game_day(&kept, plans, now).await?,
        };
        Ok(())
    }
}

/// What a scope decides by in a list.
fn object_by_labels(day: &GameDay) -> Object {
    Object::new(format!("game-day/{}", day.id)).experiment(day.labels.clone())
}

fn text(entry: &Entry) -> Result<String, ControllerError> {
    serde_json::to_string(entry).map_err(|error| ControllerError::Broken(error.to_string()))
}
