//! The agents of the fleet, connected or not, and taking one out of it.

use std::collections::BTreeMap;

use faultline_agent::node::{ActiveFault, MustStop, StuckFault};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::unclean::UncleanView;
use super::{Controller, ControllerError, page};
use crate::access::{Action, Labels, Principal};
use crate::fleet::registry::HostView;
use crate::store::{Agent, Certificate, CertificateRole, Refusal};

/// One agent, as it is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// The host's name, from its certificate.
    pub name: String,
    /// Whether it is connected, to whichever controller.
    pub connected: bool,
    /// The controllers that it is connected to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// How it is, in a word: `healthy`, `degraded` (an undo is stuck), `halted`, `guard-lost`, `must-stop` (for a
    /// reason of a newer agent), `unclean` (a run may have left something there), `unknown`.
    pub health: String,
    /// All its labels: those bound to it, those that its owner gave, and those that the agent found out (below
    /// `faultline.dev/`). By these it is chosen.
    pub labels: BTreeMap<String, String>,
    /// Those that the token bound by which it was enrolled. By these alone it is decided whose scope it is in.
    #[serde(default)]
    pub bound: BTreeMap<String, String>,
    /// What its owner gave against those; it does not count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contradicted: BTreeMap<String, String>,
    /// The agent program's version.
    pub version: String,
    /// From where it dialled, if it is connected here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// The faults in place.
    pub active: Vec<ActiveFaultView>,
    /// The faults that could not be undone.
    pub stuck: Vec<StuckFaultView>,
    /// What runs may have left there. No other run is put on it until its agent has shown that nothing is, or somebody
    /// has acknowledged it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclean: Vec<UncleanView>,
    /// The serial number of the certificate with which it dialled.
    pub certificate: String,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFaultView {
    /// Its id.
    pub id: String,
    /// Its name in the catalogue.
    pub fault: String,
    /// What it touches, one line a target.
    pub targets: Vec<String>,
    /// In how many milliseconds it must be gone.
    pub left_ms: u64,
}

/// A fault that could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StuckFaultView {
    /// Its id.
    pub id: String,
    /// Its name in the catalogue, or why its record cannot be read.
    pub fault: String,
    /// The commands with which a person undoes it.
    pub by_hand: Vec<String>,
}

impl From<ActiveFault> for ActiveFaultView {
    fn from(active: ActiveFault) -> Self {
        let ActiveFault { id, fault, targets, left_ms } = active;
        Self { id: id.to_string(), fault, targets, left_ms }
    }
}

impl From<StuckFault> for StuckFaultView {
    fn from(stuck: StuckFault) -> Self {
        let StuckFault { id, fault, by_hand } = stuck;
        Self { id: id.to_string(), fault, by_hand }
    }
}

/// A certificate of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateView {
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_because: Option<String>,
}

impl From<Certificate> for CertificateView {
    fn from(certificate: Certificate) -> Self {
        let Certificate { serial, issued_at, not_after, revoked_at, revoked_because, .. } = certificate;
        Self { serial, issued_at, not_after, revoked_at, revoked_because }
    }
}

/// An agent with its certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentDetails {
    /// The agent.
    #[serde(flatten)]
    pub agent: AgentView,
    /// Its certificates, the newest first.
    pub certificates: Vec<CertificateView>,
}

/// One page of the agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentsList {
    /// By name.
    pub agents: Vec<AgentView>,
    /// Give this as `after` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// The agent.
    pub agent: String,
    /// The serial numbers of the certificates that are refused from now on.
    pub certificates: Vec<String>,
    /// Whether it was connected here, and has been cut off. What it had in place it undoes by itself.
    pub cut_off: bool,
}

impl AgentView {
    fn connected_here(view: HostView, controller: &str) -> Self {
        let health = match &view.status.must_stop {
            Some(MustStop::Halted(_)) => "halted",
            Some(MustStop::GuardLost) => "guard-lost",
            Some(MustStop::Newer(_)) => "must-stop",
            None if !view.status.stuck.is_empty() => "degraded",
            None => "healthy",
        };
        Self {
            name: view.name,
            connected: view.connected,
            controllers: if view.connected { vec![controller.to_owned()] } else { Vec::new() },
            health: health.into(),
            labels: view.labels,
            bound: view.bound,
            contradicted: view.contradicted,
            version: view.program,
            address: view.connected.then_some(view.address),
            last_seen: view.last_heard,
            active: view.status.active.into_iter().map(ActiveFaultView::from).collect(),
            stuck: view.status.stuck.into_iter().map(StuckFaultView::from).collect(),
            unclean: Vec::new(),
            certificate: view.serial,
        }
    }

    fn stored(agent: Agent) -> Self {
        // What another version of Faultline wrote of itself may not be understood; it is then left out, not invented.
        let active: Vec<ActiveFault> = serde_json::from_value(agent.active).unwrap_or_default();
        let stuck: Vec<StuckFault> = serde_json::from_value(agent.stuck).unwrap_or_default();
        Self {
            name: agent.name,
            connected: !agent.connected.is_empty(),
            controllers: agent.connected.into_iter().map(|connected| connected.controller).collect(),
            health: agent.health.to_string(),
            labels: agent.labels,
            bound: agent.bound,
            contradicted: BTreeMap::new(),
            version: agent.version,
            address: None,
            last_seen: agent.last_seen,
            active: active.into_iter().map(ActiveFaultView::from).collect(),
            stuck: stuck.into_iter().map(StuckFaultView::from).collect(),
            unclean: Vec::new(),
            certificate: agent.certificate,
        }
    }
}

impl Controller {
    /// Agents by name, at most `limit` of those behind `after`: those connected here as they last spoke, others as the
    /// store has them.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn agents(
        &self,
        who: &Principal,
        after: Option<&str>,
        limit: u32,
    ) -> Result<AgentsList, ControllerError> {
        self.admit(who, Action::See).await?;
        let mut all = self.all_agents().await?;
        if let Some(after) = after {
            // One of this name need not be there any more.
            all = all.split_off(after);
            all.remove(after);
        }
        let mut agents: Vec<AgentView> = all.into_values().collect();
        agents.retain(|agent| self.may_see(who, &Object::new("agent").host(&agent.name, Some(agent.bound.clone()))));
        let (agents, next) = page::first(agents, limit, |agent| &agent.name);
        Ok(AgentsList { agents, next })
    }

    async fn all_agents(&self) -> Result<BTreeMap<String, AgentView>, ControllerError> {
        let stored = self.store.agents(self.now().await?).await?.into_iter().map(|mut agent| {
            // Who is connected here is known here: what the store has may be of this controller's life before.
            agent.connected.retain(|connected| connected.controller != self.id);
            (agent.name.clone(), AgentView::stored(agent))
        });
        let mut agents: BTreeMap<String, AgentView> = stored.collect();
        for view in self.registry.views() {
            let others = agents.get(&view.name).map(|agent| agent.controllers.clone()).unwrap_or_default();
            if view.connected || others.is_empty() {
                let mut here = AgentView::connected_here(view, &self.id);
                here.controllers.extend(others);
                here.controllers.sort();
                agents.insert(here.name.clone(), here);
            }
        }
        for (name, unclean) in self.unclean().await? {
            if let Some(agent) = agents.get_mut(&name) {
                agent.unclean = unclean;
                if matches!(agent.health.as_str(), "healthy" | "unknown") {
                    agent.health = "unclean".into();
                }
            }
        }
        Ok(agents)
    }

    /// The labels that are bound to an agent, if there is one of this name.
    pub(super) async fn bound_labels(&self, name: &str) -> Result<Option<Labels>, ControllerError> {
        Ok(self.all_agents().await?.remove(name).map(|agent| agent.bound))
    }

    /// One agent with its certificates.
    ///
    /// # Errors
    /// If `who` may not, there is no such agent, or by the store.
    pub async fn agent(&self, who: &Principal, name: &str) -> Result<AgentDetails, ControllerError> {
        let agent = self.all_agents().await?.remove(name);
        let labels = agent.as_ref().map(|agent| agent.bound.clone());
        self.authorise(who, Action::See, &Object::new(format!("agent/{name}")).host(name, labels)).await?;
        let certificates = self.certificates_of(name).await?;
        match agent {
            Some(agent) => {
                Ok(AgentDetails { agent, certificates: certificates.into_iter().map(CertificateView::from).collect() })
            }
            None => Err(Refusal::Unknown { kind: "agent", name: name.to_owned() }.into()),
        }
    }

    async fn certificates_of(&self, agent: &str) -> Result<Vec<Certificate>, ControllerError> {
        let mut certificates = self.store.certificates(Some(agent)).await?;
        certificates.retain(|certificate| certificate.role == CertificateRole::Agent);
        Ok(certificates)
    }

    /// Takes an agent out of the fleet: all its certificates are refused from now on, and its connection is ended. It
    /// undoes by itself what it has in place. To come back it must be enrolled again.
    ///
    /// # Errors
    /// If `who` may not, it never had a certificate, or by the store.
    pub async fn revoke_agent(&self, who: &Principal, name: &str, reason: &str) -> Result<Revoked, ControllerError> {
        let labels = self.bound_labels(name).await?;
        let object = Object::new(format!("agent/{name}")).host(name, labels);
        let command = Command::new(Action::RevokeHost, object).with("reason", reason);
        self.command(who, command, async {
            let mut serials = Vec::new();
            for certificate in self.store.revoke_agent(name, reason, self.now().await?).await? {
                if let Ok(serial) = certificate.serial.parse() {
                    self.revocations.revoke(serial);
                }
                serials.push(certificate.serial);
            }
            let cut_off = self.registry.view(name).is_some_and(|view| view.connected);
            self.registry.end(name, "the certificate of this host was revoked", false);
            Ok(Revoked { agent: name.to_owned(), certificates: serials, cut_off })
        })
        .await
    }
}
