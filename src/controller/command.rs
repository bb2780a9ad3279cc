//! How everything here is authorised and written to the audit log.

use std::future::Future;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Controller, ControllerError};
use crate::access::{self, Action, Denied, Labels, Principal, Role, Scope};
use crate::audit::Deed;

/// What something is done to.
#[derive(Debug, Clone, Default)]
pub(super) struct Object {
    /// Its name in the audit log.
    name: String,
    /// The labels of the experiment or the schedule that it is, or is about.
    experiment: Option<Labels>,
    /// Every host that it touches, with the labels that are bound to it, if they are known. What a host says of itself
    /// decides nothing here: it could put itself into a scope, or out of one.
    hosts: Vec<(String, Option<Labels>)>,
    requested_by: Option<String>,
    /// The role and the scope of the token that it is.
    token: Option<(Role, Scope)>,
}

impl Object {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// What concerns the whole fleet.
    pub(super) fn fleet(name: impl Into<String>) -> Self {
        Self::new(name)
    }

    pub(super) fn experiment(self, labels: Labels) -> Self {
        Self { experiment: Some(labels), ..self }
    }

    pub(super) fn host(mut self, name: &str, labels: Option<Labels>) -> Self {
        self.hosts.push((name.to_owned(), labels));
        self
    }

    pub(super) fn requested_by(self, name: String) -> Self {
        Self { requested_by: Some(name), ..self }
    }

    pub(super) fn token(self, role: Role, scope: Scope) -> Self {
        Self { token: Some((role, scope)), ..self }
    }

    fn as_access(&self) -> access::Object<'_> {
        access::Object {
            experiment: self.experiment.as_ref(),
            hosts: self.hosts.iter().map(|(name, labels)| (name.as_str(), labels.as_ref())).collect(),
            requested_by: self.requested_by.as_deref(),
            token: self.token.as_ref().map(|(role, scope)| (*role, scope)),
        }
    }
}

/// Who a principal is in the audit log.
fn actor(who: &Principal) -> String {
    format!("token/{}", who.name)
}

/// Something that changes what there is.
#[derive(Debug, Clone)]
pub(super) struct Command {
    action: Action,
    object: Object,
    details: Map<String, Value>,
}

impl Command {
    pub(super) fn new(action: Action, object: Object) -> Self {
        Self { action, object, details: Map::new() }
    }

    /// With something that the audit log keeps too. Never a secret.
    pub(super) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.details.insert(name.into(), value);
        self
    }
}

/// The outcome of what was allowed and is about to be done.
pub(super) const ASKED: &str = "asked";

impl Controller {
    /// Whether the role of `who` is one for such a thing at all. A refusal is written to the audit log.
    ///
    /// # Errors
    /// If not.
    pub async fn admit(&self, who: &Principal, action: Action) -> Result<(), ControllerError> {
        let needed = action.rule().role;
        if who.role >= needed {
            return Ok(());
        }
        self.refuse(who, action, "any", Denied::Role { action, needed, has: who.role }.into()).await
    }

    /// Whether `who` may do this to that. A refusal is written to the audit log.
    pub(super) async fn authorise(
        &self,
        who: &Principal,
        action: Action,
        object: &Object,
    ) -> Result<(), ControllerError> {
        match access::allow(who, action, &object.as_access()) {
            Ok(()) => Ok(()),
            Err(denied) => self.refuse(who, action, &object.name, denied.into()).await,
        }
    }

    /// Whether something is shown to `who` in a list.
    pub(super) fn may_see(&self, who: &Principal, object: &Object) -> bool {
        access::allow(who, Action::See, &object.as_access()).is_ok()
    }

    async fn refuse(
        &self,
        who: &Principal,
        action: Action,
        object: &str,
        error: ControllerError,
    ) -> Result<(), ControllerError> {
        let deed = Deed::new(actor(who), action.to_string(), object, error.outcome(), &Value::Object(Map::new()));
        self.keep(&deed).await?;
        Err(error)
    }

    /// Authorises a command, writes it to the audit log, does it, and writes what came of it. What cannot be written
    /// before is not done.
    pub(super) async fn command<T>(
        &self,
        who: &Principal,
        command: Command,
        work: impl Future<Output = Result<T, ControllerError>>,
    ) -> Result<T, ControllerError> {
        self.authorise(who, command.action, &command.object).await?;
        let Command { action, object, details } = command;
        let details = Value::Object(details);
        let deed = |outcome: &str| Deed::new(actor(who), action.to_string(), object.name.as_str(), outcome, &details);
        self.keep(&deed(ASKED)).await?;
        let done = work.await;
        let outcome = match &done {
            Ok(_) => "done".to_owned(),
            Err(error) => error.outcome(),
        };
        // It is done, or is not: that its outcome cannot be written changes nothing of that, and `asked` stands there.
        if let Err(error) = self.keep(&deed(&outcome)).await {
            tracing::error!(%error, %action, object = object.name, outcome, "an outcome is missing in the audit log");
        }
        done
    }

    async fn keep(&self, deed: &Deed) -> Result<(), ControllerError> {
        self.store.append_audit(deed, self.now().await?).await?;
        Ok(())
    }
}
