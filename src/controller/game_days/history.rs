//! Forgetting old game days. What was learned on them is kept: before one is forgotten, its run sheet and its postmortem
//! are written into the controller's own folder, unless whoever runs the controller says that they are not wanted.

use std::fs;
use std::time::Duration;

use super::{Controller, ControllerError, Read};
use crate::game_day::sheet::SheetError;
use crate::hypothesis::verdict::RunVerdict;

/// A controller that was not seen for so long does not forget its game days itself any more.
const GONE: Duration = Duration::from_secs(24 * 3600);
/// The folder of the sheets of game days that were forgotten, in the controller's own.
const PAPERS: &str = "game-days";

impl Controller {
    /// Forgets the game days that are over and more than are to be kept, each with its journal, its plans and its document,
    /// and says which. Never one of which something was left behind: what is known of that must not be lost.
    ///
    /// # Errors
    /// The store's. What was forgotten before stays forgotten.
    pub async fn forget_old_game_days(&self) -> Result<Vec<String>, ControllerError> {
        let gone_before = self.now().await? - GONE;
        let mut forgotten = Vec::new();
        for id in self.store.game_days_to_forget(self.settings.keep_game_days, &self.id, gone_before).await? {
            let read = match self.read_game_day(&id).await {
                Ok(read) => read,
                Err(ControllerError::Store(error)) if error.refusal().is_none() => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(game_day = id, %error, "an old game day cannot be read, so it stays");
                    continue;
                }
            };
            if !read.is_clean() {
                continue;
            }
            // The sheets first: a crash in between leaves a game day that is found here again.
            if self.settings.keep_postmortems
                && let Err(error) = self.write_papers(&id, &read)
            {
                tracing::warn!(game_day = id, %error, "the postmortem of an old game day cannot be kept, so it stays");
                continue;
            }
            if self.store.forget_game_day(&id, read.entries.len() as u64).await? {
                tracing::info!(game_day = id, "an old game day is forgotten");
                self.days.forget(&id);
                forgotten.push(id);
            }
        }
        Ok(forgotten)
    }

    fn write_papers(&self, id: &str, read: &Read) -> Result<(), SheetError> {
        let folder = self.data.join(PAPERS).join(id);
        fs::create_dir_all(&folder).map_err(|source| SheetError::File { path: folder.clone(), source })?;
        read.sheet().write_into(&folder)
    }
}

impl Read {
    /// Whether everything that was done on it is known to be undone.
    fn is_clean(&self) -> bool {
        let unclean = |verdict: &RunVerdict| *verdict == RunVerdict::CleanupUnverified;
        !self
            .state
            .experiments()
            .iter()
            .any(|course| course.ended.as_ref().is_some_and(|(_, verdict, _)| unclean(verdict)))
    }
}
