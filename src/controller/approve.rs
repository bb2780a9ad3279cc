//! Approving a run: each approval is of one person, bound to the hash of the plan, for a time.

use super::command::Command;
use super::runs::RunDetails;
use super::{Controller, ControllerError, suitable};
use crate::access::{Action, Principal};
use crate::store::{Approval, Refusal};
use crate::targets::fleet_plan::{self, Fleet, FleetPlan};

impl Controller {
    /// Approves the plan of a run. With the last approval that it needs, the run is queued.
    ///
    /// # Errors
    /// If `who` may not or has asked for the run himself, the plan has another hash, the fleet is not the one that was
    /// planned for any more, the run does not wait for approval, or by the store.
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
            self.still_holds(id).await?;
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

    /// Whether the plan of a run that waits could be carried out on the fleet as it is now.
    async fn still_holds(&self, id: &str) -> Result<(), ControllerError> {
        let texts = self.store.run_document(id).await?;
        let loaded = suitable::experiment(&texts.document, &self.settings)?;
        let plan: FleetPlan = serde_json::from_str(&texts.plan)
            .map_err(|error| ControllerError::Broken(format!("the plan of run {id} cannot be read: {error}")))?;
        // Hosts that other runs have now are waited for in the queue.
        let fleet = Fleet { held: Vec::new(), ..self.fleet_now(id).await? };
        match fleet_plan::drift(&plan, &fleet.with(&loaded.document))?.refusal() {
            Some(because) => Err(ControllerError::Drifted { because }),
            None => Ok(()),
        }
    }
}
