//! Whether this controller can do its work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Controller;

/// Whether this controller can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// All of it together.
    pub ready: bool,
    /// Whether the store answers.
    pub store: bool,
    /// Whether some controller schedules at the moment.
    pub leader: bool,
    /// Whether the process is about to end.
    pub stopping: bool,
}

impl Controller {
    /// Asks the store, and looks whether anybody leads.
    pub async fn readiness(&self) -> Readiness {
        let leader = async {
            let (now, lead) = (self.store.now().await?, self.store.leader().await?);
            Ok::<_, crate::store::StoreError>(!lead.controller.is_empty() && lead.until > now)
        };
        let leader = tokio::time::timeout(std::time::Duration::from_secs(5), leader).await;
        let (store, leader) = match leader {
            Ok(Ok(leader)) => (true, leader),
            Ok(Err(_)) | Err(_) => (false, false),
        };
        let stopping = self.stopping.is_cancelled();
        Readiness { ready: store && leader && !stopping, store, leader, stopping }
    }
}
