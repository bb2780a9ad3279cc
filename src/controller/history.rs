//! Forgetting old runs of schedules, as `history` in their documents says.

use std::fs;
use std::io;
use std::time::Duration;

use super::schedules::Scheduled;
use super::{Controller, ControllerError};
use crate::run::folder::RunFolder;
use crate::store::DefinitionKind;
use crate::store::runs::Keep;

/// A controller that was not seen for so long does not forget its runs itself any more.
const GONE: Duration = Duration::from_secs(24 * 3600);

impl Controller {
    /// Forgets the runs of schedules that are over and more than are to be kept, with their folders, and says which.
    /// Runs of a schedule that was removed stay.
    ///
    /// # Errors
    /// The store's. What was forgotten before stays forgotten.
    pub async fn forget_old_runs(&self) -> Result<Vec<String>, ControllerError> {
        let gone_before = self.now().await? - GONE;
        let mut forgotten = Vec::new();
        for definition in self.store.definitions(DefinitionKind::Schedule).await? {
            // What is not understood says nothing of what may be forgotten.
            let Ok(scheduled) = Scheduled::read(&definition.document) else { continue };
            let keep = Keep { schedule: definition.name, newest: scheduled.schedule.spec.history.keep };
            for run in self.store.runs_to_forget(&keep, &self.id, gone_before).await? {
                // The folder first: a crash in between leaves a run that is found here again, and no folder without one.
                if let Err(error) = self.remove_folder(&run) {
                    tracing::warn!(run, %error, "the folder of an old run cannot be removed, so the run stays");
                    continue;
                }
                if self.store.forget_run(&run).await? {
                    tracing::info!(run, schedule = keep.schedule, "an old run is forgotten");
                    forgotten.push(run);
                }
            }
        }
        Ok(forgotten)
    }

    /// Of a run that was driven elsewhere there is none.
    fn remove_folder(&self, run: &str) -> io::Result<()> {
        match RunFolder::existing(&self.runs_folder(), run) {
            Some(folder) => fs::remove_dir_all(folder.path()),
            None => Ok(()),
        }
    }
}
