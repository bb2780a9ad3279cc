//! The controllers that share the store.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::store::ALIVE;

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerView {
    /// Its id.
    pub id: String,
    /// The URL of its API, as it tells others.
    pub url: String,
    /// Its version.
    pub version: String,
    /// When its process started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// Whether it was heard of recently enough.
    pub alive: bool,
}

/// All controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllersList {
    /// The last seen first.
    pub controllers: Vec<ControllerView>,
}

impl Controller {
    /// The controllers of the store, this one too: each answers every call.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn controllers(&self, who: &Principal) -> Result<ControllersList, ControllerError> {
        self.admit(who, Action::See).await?;
        let since = self.now().await? - ALIVE;
        let view = |controller: crate::store::Controller| ControllerView {
            alive: controller.seen_at > since,
            id: controller.id,
            url: controller.address,
            version: controller.version,
            started_at: controller.started_at,
            seen_at: controller.seen_at,
        };
        Ok(ControllersList { controllers: self.store.controllers().await?.into_iter().map(view).collect() })
    }
}
