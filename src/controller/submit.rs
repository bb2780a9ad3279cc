//! Asking for a run.

use jiff::Timestamp;
use serde::Serialize;

use super::command::{Command, Object};
use super::plan::Planned;
use super::runs::RunView;
use super::{Controller, ControllerError};
use crate::access::{Action, Principal, Role, Scope};
use crate::run::new_run_id;
use crate::store::runs::{NewRun, Origin, RequestKey};
use crate::store::{Refusal, StoreError};
use crate::targets::fleet_plan::Digest;

/// The most approvals that can be asked for.
const MOST_APPROVALS: u32 = 20;

/// What a run is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Submission {
    /// The text of the document.
    pub document: String,
    /// The seed of everything left to chance; the document's when absent, or else one that is drawn.
    pub seed: Option<u64>,
    /// How many people must approve the plan.
    pub approvals: u32,
    /// The hash that the plan must have.
    pub plan_hash: Option<String>,
    /// It does not start before this time.
    pub not_before: Option<Timestamp>,
    /// It is cancelled if it could not start before this time.
    pub deadline: Option<Timestamp>,
}

impl Submission {
    /// A digest of all that is asked for.
    fn digest(&self) -> Result<String, ControllerError> {
        let value = serde_json::to_value(self).map_err(|error| ControllerError::Broken(error.to_string()))?;
        Ok(Digest::of("faultline submission 1", &value).to_string())
    }
}

impl Controller {
    /// Takes a run: it is queued, or waits for approvals of its plan. Every host is asked before whether it can and may do
    /// its part.
    ///
    /// # Errors
    /// If `who` may not, the document is wrong or cannot be run by a controller, no hosts can be chosen or one refuses,
    /// the plan is another one than was expected, the fleet is halted, or by the store.
    pub async fn submit(&self, who: &Principal, submission: Submission) -> Result<RunView, ControllerError> {
        self.admit(who, Action::Run).await?;
        self.submit_for(who, submission, Origin::Api).await
    }

    /// The same for a request that may be sent again: whoever sends it with the same `key` gets the run that it made, as it
    /// is then. Of use where the answer was lost.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and if `who` gave the key to another request.
    pub async fn submit_once(
        &self,
        who: &Principal,
        key: &str,
        submission: Submission,
    ) -> Result<RunView, ControllerError> {
        self.admit(who, Action::Run).await?;
        let digest = submission.digest()?;
        let request = RequestKey { requested_by: &who.name, key, digest: &digest };
        if let Some(run) = self.asked_before(who, request).await? {
            return Ok(run);
        }
        let (run, command) = self.prepare(who, submission, Origin::Api).await?;
        let made = self.command(who, command, async {
            Ok(self.store.submit_once(&run, request, self.now().await?).await?.into())
        });
        match made.await {
            // The same request was faster on another connection.
            Err(ControllerError::Store(StoreError::Refused(Refusal::AskedBefore { run }))) => {
                let before = self.asked_before(who, request).await?;
                before.ok_or_else(|| ControllerError::Broken(format!("run {run} is gone")))
            }
            made => made,
        }
    }

    async fn asked_before(&self, who: &Principal, request: RequestKey<'_>) -> Result<Option<RunView>, ControllerError> {
        let Some(run) = self.store.run_of_request(request).await? else { return Ok(None) };
        // It is of that name, and may have another scope by now.
        self.authorise(who, Action::See, &self.object_of_run(&run.id).await?).await?;
        Ok(Some(run.into()))
    }

    /// The same for a run that a schedule or a game day asks for, on behalf of `who`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_for(
        &self,
        who: &Principal,
        submission: Submission,
        origin: Origin,
    ) -> Result<RunView, ControllerError> {
        let (run, command) = self.prepare(who, submission, origin).await?;
        self.command(who, command, async { Ok(self.store.submit(&run, self.now().await?).await?.into()) }).await
    }

    async fn prepare(
        &self,
        who: &Principal,
        submission: Submission,
        origin: Origin,
    ) -> Result<(NewRun, Command), ControllerError> {
        let (run, object) = self.prepare_run(&who.name, submission, origin).await?;
        let command = Command::new(Action::Run, object)
            .with("experiment", &run.experiment)
            .with("hosts", &run.hosts)
            .with("planHash", &run.plan_hash)
            .with("origin", &run.origin)
            .with("approvals", run.approvals_needed);
        Ok((run, command))
    }

    /// The run that would be submitted, planned and asked for at its hosts: for whoever makes runs in a transaction of
    /// his own, as a schedule does ([`crate::store::Store::claim_slot`]), on behalf of somebody whose scope it was when he
    /// gave the order.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), but for what the store decides; also if a host is outside of the scope, by the labels
    /// that are bound to it.
    pub async fn new_run(
        &self,
        scope: &Scope,
        requested_by: &str,
        submission: Submission,
        origin: Origin,
    ) -> Result<NewRun, ControllerError> {
        let (run, object) = self.prepare_run(requested_by, submission, origin).await?;
        let principal = Principal { name: requested_by.to_owned(), role: Role::Operator, scope: scope.clone() };
        self.authorise(&principal, Action::Run, &object).await?;
        Ok(run)
    }

    async fn prepare_run(
        &self,
        requested_by: &str,
        submission: Submission,
        origin: Origin,
    ) -> Result<(NewRun, Object), ControllerError> {
        let Submission { document, seed, approvals, plan_hash, not_before, deadline } = submission;
        if approvals > MOST_APPROVALS {
            let message = format!("{approvals} approvals are more than {MOST_APPROVALS}");
            return Err(ControllerError::request(message, "ask for as many as there are people to give them"));
        }
        if let (Some(begin), Some(end)) = (not_before, deadline)
            && end <= begin
        {
            return Err(ControllerError::request("`deadline` is not after `notBefore`", "the run could never start"));
        }
        self.not_halted().await?;
        let planned = self.make_plan(&document, seed).await?;
        let hash = planned.plan.hash().to_string();
        if let Some(expected) = plan_hash.filter(|expected| *expected != hash) {
            return Err(ControllerError::PlanChanged { expected, is: hash });
        }
        self.none_refuses(&planned).await?;
        let id = new_run_id();
        let object = planned.object(format!("run/{id}"));
        let hosts = planned.plan.hosts().into_iter().map(str::to_owned).collect();
        let plan = planned.json()?.to_string();
        let experiment = planned.loaded.document;
        let run = NewRun {
            id,
            experiment: experiment.metadata.name,
            labels: experiment.metadata.labels,
            document,
            seed: planned.plan.seed,
            plan,
            plan_hash: hash,
            hosts,
            shared_hosts: experiment.spec.shares_hosts,
            requested_by: requested_by.to_owned(),
            origin,
            approvals_needed: approvals.max(self.settings.least_approvals),
            not_before,
            deadline,
        };
        Ok((run, object))
    }

    /// Asks every host of a plan whether it can and may do its part.
    ///
    /// # Errors
    /// If one refuses.
    pub(super) async fn none_refuses(&self, planned: &Planned) -> Result<(), ControllerError> {
        let refused =
            self.ask_hosts(planned).await?.into_iter().find_map(|host| host.refused.clone().map(|why| (host, why)));
        let Some((host, reason)) = refused else { return Ok(()) };
        let injection = planned.plan.injections.iter().find(|injection| injection.number == host.injection);
        let fault = injection.map(|injection| injection.fault.clone()).unwrap_or_default();
        Err(ControllerError::NotPlanned { host: host.host, fault, reason })
    }
}
