//! Reading the journal of a game day: what was read before is remembered, so that a read costs what is new.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Controller, ControllerError, PAGE};
use crate::game_day::machine::{Entry, State, step};
use crate::game_day::sheet::Sheet;
use crate::store::Refusal;

/// So many game days are remembered, those that were read last.
const MOST: usize = 32;

/// The entries of a game day, and where they lead.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// All of them; shared, since those who read it at different times have most of them in common.
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) state: State,
}

impl Read {
    /// The run sheet, as far as it has come.
    pub(super) fn sheet(&self) -> Sheet {
        Sheet::of(&self.state, self.entries.iter().map(AsRef::as_ref))
    }
}

/// Game days as they were read last, the one that was used last at the end.
#[derive(Debug, Default)]
pub(in crate::controller) struct Known(Mutex<VecDeque<(String, Arc<Read>)>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, VecDeque<(String, Arc<Read>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Option<Arc<Read>> {
        self.all().iter().find(|(known, _)| known == id).map(|(_, read)| Arc::clone(read))
    }

    fn keep(&self, id: &str, read: &Arc<Read>) {
        let mut all = self.all();
        all.retain(|(known, _)| known != id);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((id.to_owned(), Arc::clone(read)));
    }

    pub(super) fn forget(&self, id: &str) {
        self.all().retain(|(known, _)| known != id);
    }
}

impl Controller {
    pub(super) async fn entries_of(&self, id: &str, from: u64, limit: u32) -> Result<Vec<Entry>, ControllerError> {
        let texts = self.store.game_day_entries(id, from, limit).await?;
        let read = |text: &String| {
            serde_json::from_str(text).map_err(|error| {
                ControllerError::Broken(format!("the journal of game day {id} cannot be read: {error}"))
            })
        };
        texts.iter().map(read).collect()
    }

    /// The journal of a game day as it is now.
    pub(super) async fn read_game_day(&self, id: &str) -> Result<Arc<Read>, ControllerError> {
        let read = match self.days.get(id) {
            Some(known) => self.go_on(id, known).await?,
            None => None,
        };
        let read = match read {
            Some(read) => read,
            None => self.read_on(id, None, Vec::new()).await?,
        };
        self.days.keep(id, &read);
        Ok(read)
    }

    /// What was read before, with what came since; none if the journal is not the one that was read.
    async fn go_on(&self, id: &str, known: Arc<Read>) -> Result<Option<Arc<Read>>, ControllerError> {
        // From the last that is known on: where that is not there, the game day was forgotten.
        let mut page = self.entries_of(id, known.entries.len() as u64 - 1, PAGE).await?;
        if page.first() != known.entries.last().map(AsRef::as_ref) {
            self.days.forget(id);
            return Ok(None);
        }
        page.remove(0);
        if page.is_empty() {
            return Ok(Some(known));
        }
        self.read_on(id, Some(Arc::unwrap_or_clone(known)), page).await.map(Some)
    }

    /// What was read before with this page, and all that comes after it.
    async fn read_on(
        &self,
        id: &str,
        mut read: Option<Read>,
        mut page: Vec<Entry>,
    ) -> Result<Arc<Read>, ControllerError> {
        loop {
            for entry in page {
                let number = read.as_ref().map_or(0, |read| read.entries.len());
                let state = read.as_ref().map(|read| &read.state);
                let (state, _) = step(state, entry.at, entry.event.clone()).map_err(|illegal| {
                    let message = format!("entry {number} of the journal of game day {id} makes no sense: {illegal}");
                    ControllerError::Broken(message)
                })?;
                let mut entries = read.map(|read| read.entries).unwrap_or_default();
                entries.push(Arc::new(entry));
                read = Some(Read { entries, state });
            }
            let known = read.as_ref().map_or(0, |read| read.entries.len());
            page = self.entries_of(id, known as u64, PAGE).await?;
            if page.is_empty() {
                let unknown = || Refusal::Unknown { kind: "game day", name: id.to_owned() };
                return Ok(Arc::new(read.ok_or_else(unknown)?));
            }
        }
    }
}
