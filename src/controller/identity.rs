//! Who asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Controller;
use crate::access::Principal;

/// Who a token says that its bearer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The name under which everything is written to the audit log.
    pub actor: String,
    /// The role.
    pub role: String,
    /// The labels to which the token is limited: `team=payments,env=staging|test`, or `*` for the whole fleet.
    pub scope: String,
    /// The controller that answers.
    pub controller: String,
    /// Its version.
    pub version: String,
}

impl Controller {
    /// Who `who` is.
    pub fn identity(&self, who: &Principal) -> Identity {
        Identity {
            actor: format!("token/{}", who.name),
            role: who.role.to_string(),
            scope: who.scope.to_string(),
            controller: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}
