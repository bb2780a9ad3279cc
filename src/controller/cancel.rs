//! Ending a run, whether or not it has begun.

use super::command::Command;
use super::runs::RunView;
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::experiment::machine::Stop;
use crate::store::Refusal;

impl Controller {
    /// Cancels a run that waits, or has one that is under way undo everything and end. The answer is the run as it is
    /// then: `cancelled`, or with a stop requested. It may be asked again: for the same reason, it is answered again.
    ///
    /// # Errors
    /// If `who` may not, there is no such run, it is over already, or by the store.
    pub async fn cancel(&self, who: &Principal, id: &str, reason: &str) -> Result<RunView, ControllerError> {
        let object = self.object_of_run(id).await?;
        let command = Command::new(Action::Abort, object).with("reason", reason);
        self.command(who, command, async {
            let because = format!("cancelled by {}: {reason}", who.name);
            match self.store.cancel(id, &because, self.now().await?).await {
                Ok(run) => Ok(run.into()),
                Err(error) => match error.refusal() {
                    Some(Refusal::State { is, .. }) if is.is_owned() => {
                        let run = self.store.request_stop(id, &because).await?;
                        // Driven elsewhere, its controller learns it with the next renewal of its lease.
                        self.running.stop(id, Stop::Interrupted(because));
                        Ok(run.into())
                    }
                    Some(Refusal::State { is, .. }) if is.is_over() => {
                        // Sent again by one whose answer was lost, it is answered as it would have been.
                        let run = self.store.run(id).await?;
                        let was = [&run.because, &run.stop_requested];
                        if was.contains(&&Some(because)) { Ok(run.into()) } else { Err(error.into()) }
                    }
                    _ => Err(error.into()),
                },
            }
        })
        .await
    }
}
