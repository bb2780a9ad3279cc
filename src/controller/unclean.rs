//! Hosts on which a run may have left something: who they are, and how they are trusted again.
//!
//! No run is put on such a host. It is trusted again when a person has acknowledged it, or when its own agent has shown that
//! nothing is left ([`Controller::look_at_unclean`]).

use std::collections::BTreeMap;
use std::time::Duration;

use faultline_agent::node::MustStop;
use faultline_agent::session::limits::HEARTBEAT_IDLE;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::command::{Command, Object};
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::audit::Deed;
use crate::store::{Refusal, UncleanHost};
use crate::targets::hosts::{HostFacts, HostHealth};

/// How long a host may take to say of one fault that it is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many leftovers are told of in a sentence.
const TOLD: usize = 2;

/// What one run may have left on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UncleanView {
    /// The run.
    pub run: String,
    /// What it may have left, one line each.
    pub left: Vec<String>,
    /// When it finished.
    pub since: Timestamp,
}

impl From<UncleanHost> for UncleanView {
    fn from(unclean: UncleanHost) -> Self {
        let UncleanHost { run, left, since, .. } = unclean;
        Self { run, left: left.into_iter().map(|left| left.what).collect(), since }
    }
}

/// What was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledged {
    /// The agent.
    pub agent: String,
    /// What runs may have left there, and what keeps no other run away any more; empty if there was nothing.
    pub acknowledged: Vec<UncleanView>,
}

/// Since when a controller has known of each host and run.
#[derive(Debug, Default)]
pub struct Known(pub(super) BTreeMap<(String, String), Instant>);

impl Controller {
    /// What runs may have left, host by host.
    pub(super) async fn unclean(&self) -> Result<BTreeMap<String, Vec<UncleanView>>, ControllerError> {
        let mut hosts: BTreeMap<String, Vec<UncleanView>> = BTreeMap::new();
        for unclean in self.store.unclean_hosts().await? {
            hosts.entry(unclean.host.clone()).or_default().push(unclean.into());
        }
        Ok(hosts)
    }

    /// Marks hosts on which something may be left, so that they are not chosen.
    pub(super) async fn mark_unclean(&self, facts: &mut BTreeMap<String, HostFacts>) -> Result<(), ControllerError> {
        for (host, unclean) in self.unclean().await? {
            if let Some(facts) = facts.get_mut(&host) {
                let runs: Vec<&str> = unclean.iter().map(|unclean| unclean.run.as_str()).collect();
                let all: Vec<&str> = unclean.iter().flat_map(|unclean| &unclean.left).map(String::as_str).collect();
                let more = if all.len() > TOLD { format!("; and {} more", all.len() - TOLD) } else { String::new() };
                let left = format!("{}{more}", all.iter().take(TOLD).copied().collect::<Vec<_>>().join("; "));
                facts.health = HostHealth::Unclean { run: runs.join(", "), left };
            }
        }
        Ok(())
    }

    /// Takes a host back into the fleet on which something may be left, since somebody has seen to it.
    ///
    /// # Errors
    /// If `who` may not, there is no such host, or by the store.
    pub async fn acknowledge_agent(
        &self,
        who: &Principal,
        name: &str,
        reason: &str,
    ) -> Result<Acknowledged, ControllerError> {
        let labels = self.bound_labels(name).await?;
        let left = self.unclean().await?.remove(name).unwrap_or_default();
        if labels.is_none() && left.is_empty() {
            return Err(Refusal::Unknown { kind: "agent", name: name.to_owned() }.into());
        }
        let object = Object::new(format!("agent/{name}")).host(name, labels);
        let command = Command::new(Action::Acknowledge, object).with("reason", reason).with("left", &left);
        self.command(who, command, async {
            let acknowledged = self.store.acknowledge_unclean(name).await?;
            Ok(Acknowledged {
                agent: name.to_owned(),
                acknowledged: acknowledged.into_iter().map(UncleanView::from).collect(),
            })
        })
        .await
    }

    /// Takes hosts back into the fleet whose own agents show that nothing is left, and writes that to the audit log.
    ///
    /// That an agent says nothing of faults proves nothing: it may have said so before they were left, or be of another
    /// version. So it must have been heard for longer than the time between two heartbeats since this controller has
    /// known of what is left; it must have read the journal of its host, with nothing on record there; and it must answer
    /// for each fault by name that it is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_at_unclean(&self, known: &mut Known) -> Result<(), ControllerError> {
        let all = self.store.unclean_hosts().await?;
        known.0.retain(|(host, run), _| all.iter().any(|unclean| unclean.host == *host && unclean.run == *run));
        for unclean in all {
            let since = *known.0.entry((unclean.host.clone(), unclean.run.clone())).or_insert_with(Instant::now);
            if !self.is_seen_clean_since(&unclean.host, since) || !self.answers_that_all_is_gone(&unclean).await {
                continue;
            }
            // Once more: what it answered may have brought other news.
            if !self.is_seen_clean_since(&unclean.host, since) {
                continue;
            }
            let name = format!("agent/{}", unclean.host);
            let because =
                "its agent has nothing in place, nothing stuck and nothing on record, and says so of each fault";
            let details = json!({ "reason": because, "run": unclean.run, "left": unclean.left });
            let deed = Deed::new(name.clone(), Action::Acknowledge.to_string(), name, "done", &details);
            if self.store.host_is_clean(&unclean, &deed, self.now().await?).await? {
                tracing::info!(host = unclean.host, run = unclean.run, "a host that was left unclean is clean");
            }
        }
        Ok(())
    }

    /// Whether a host that is connected here says that nothing is left, and was heard to say so long enough after `since`
    /// to have said otherwise.
    fn is_seen_clean_since(&self, host: &str, since: Instant) -> bool {
        let silent = self.registry.silent_for(host);
        if silent.is_none_or(|silent| silent + HEARTBEAT_IDLE > since.elapsed()) {
            return false;
        }
        self.registry.view(host).is_some_and(|view| {
            let well = matches!(view.status.must_stop, None | Some(MustStop::Halted(_)));
            view.connected && well && view.status.is_seen_clean()
        })
    }

    async fn answers_that_all_is_gone(&self, unclean: &UncleanHost) -> bool {
        let agent = self.agent_of(&unclean.host);
        for left in &unclean.left {
            let Some(fault) = &left.fault else { continue };
            let Ok(fault) = fault.parse() else { return false };
            match tokio::time::timeout(PATIENCE, agent.undo(fault)).await {
                Ok(undone) if undone.verified => {}
                _ => return false,
            }
        }
        true
    }
}
