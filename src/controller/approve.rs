//! Approving a run: each approval is of one person, bound to the hash of the plan, for a time.

use super::command::Command;
use super::runs::RunDetails;
use super::{Controller, ControllerError, suitable};
use crate::access::{Action, Principal};
use crate::store::runs::RunState;
use crate::store::{Approval, Refusal};
use crate::targets::fleet_plan::{self, Fleet, FleetPlan};

impl Controller {
    /// Approves the plan of a run. With the last approval that it needs, the run is queued. It may be asked again: whoever
    /// has approved this plan of the run already gets the run as it is.
    ///
    /// # Errors
    /// If `who` may not or has asked for the run himself, the plan has another hash, the fleet is not the one that was
    /// planned for any more, the run does not wait for approval, or by the store.
    pub async fn approve(&self, who: &Principal, id: &str, plan_hash: &str) -> Result<RunDetails, ControllerError> {
        let object = self.object_of_run(id).await?;
        let object_name = format!("run/{id}");
        let command = Command::new(Action::Approve, object).with("planHash", plan_hash);
        self.command(who, command, async {
            let run = self.store.run(id).await?;
            if run.plan_hash != plan_hash {
                return Err(ControllerError::PlanChanged { expected: plan_hash.into(), is: run.plan_hash });
            }
            let now = self.now().await?;
            if run.state != RunState::WaitingForApproval {
                // Sent again by one whose answer was lost, it is answered as it would have been.
                let given = self.store.approvals(&object_name, plan_hash, now).await?;
                let approved = run.state != RunState::Cancelled && given.iter().any(|one| one.approver == who.name);
                let wanted = RunState::Queued;
                return if approved {
                    Ok(())
                } else {
                    Err(Refusal::State { run: run.id, is: run.state, wanted }.into())
                };
            }
            self.still_holds(id).await?;
            let approval = Approval {
                object: object_name,
                plan_hash: plan_hash.to_owned(),
                approver: who.name.clone(),
                approved_at: now,
                expires_at: now + self.settings.approvals_last,
            };
            self.store.approve_run(id, &approval, now).await?;
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
