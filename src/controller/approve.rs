//! Approving a run: each approval is of one person, bound to the hash of the plan, for a time.

use super::command::Command;
use super::runs::RunDetails;
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::store::{Approval, Refusal};

impl Controller {
    /// Approves the plan of a run. With the last approval that it needs, the run is queued.
    ///
    /// # Errors
    /// If `who` may not or has asked for the run himself, the plan has another hash, the run does not wait for approval,
    /// or by the store.
    pub async fn approve(&self, who: &Principal, id: &str, plan_hash: &str) -> Result<RunDetails, ControllerError> {
        let object = self.object_of_run(id).await?;
        let command = Command::new(Action::Approve, object).with("planHash", plan_hash);
        self.command(who, command, async {
            let run = self.store.run(id).await?;
            if run.plan_hash != plan_hash {
                return Err(ControllerError::PlanChanged { expected: plan_hash.into(), is: run.plan_hash });
            }
            if run.state != crate::store::runs::RunState::WaitingForApproval {
                let wanted = crate::store::runs::RunState::Queued;
                return Err(Refusal::State { run: run.id, is: run.state, wanted }.into());
            }
            let now = self.now().await?;
            let approval = Approval {
                object: format!("run/{id}"),
                plan_hash: plan_hash.to_owned(),
                approver: who.name.clone(),
                approved_at: now,
                expires_at: now + self.settings.approvals_last,
            };
            self.store.approve(&approval).await?;
            match self.store.queue_approved(id, now).await {
                Ok(_) => {}
                Err(error) if matches!(error.refusal(), Some(Refusal::NotApproved { .. })) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })
        .await?;
        self.run(who, id).await
    }
}
