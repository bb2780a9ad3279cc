//! What people and programs may ask of a controller: one file a subject.
//!
//! Every command is authorised ([`crate::access`]), written to the audit log before it is done and again with what came
//! of it (refusals too), and only then done. The HTTP API ([`crate::console`]) adds nothing but texts to what is here.
//!
//! Runs are only asked for and told to end here; [`crate::dispatch`] claims and drives them.

pub mod agents;
pub mod api_tokens;
pub mod approve;
pub mod audit;
pub mod baselines;
pub mod budgets;
pub mod cancel;
mod command;
pub mod controllers;
pub mod enrolment;
mod error;
mod fleet;
pub mod game_days;
pub mod halt;
mod history;
pub mod identity;
pub mod journal;
pub mod metrics;
mod page;
pub mod plan;
pub mod ready;
pub mod rotation;
pub mod runs;
pub mod schedules;
mod settings;
pub mod submit;
mod suitable;
pub mod unclean;
mod waiting;

#[cfg(test)]
mod baselines_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod several_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unclean_tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use error::ControllerError;
pub use metrics::Metrics;
pub use settings::Settings;

use crate::authority::{Authority, Revocations, Serial};
use crate::dispatch::Running;
use crate::fleet::Agent;
use crate::fleet::registry::Registry;
use crate::store::Store;

/// Finds the agent of a host, connected or not.
pub type FindAgent = Arc<dyn Fn(&str) -> Arc<dyn Agent> + Send + Sync>;

/// One controller: what it decides with, and what it asks.
pub struct Controller {
    /// Its id, which it keeps over restarts.
    id: String,
    store: Arc<Store>,
    registry: Arc<Registry>,
    agents: FindAgent,
    authority: Arc<Authority>,
    revocations: Revocations,
    settings: Settings,
    /// Its own folder, in which the folders of its runs are.
    data: PathBuf,
    running: Running,
    metrics: Metrics,
    /// What was read of game days.
    days: game_days::Known,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Controller").field("id", &self.id).field("data", &self.data).finish_non_exhaustive()
    }
}

/// What a controller is made of.
pub struct Parts {
    /// Its id, which it keeps over restarts.
    pub id: String,
    /// What it must not forget.
    pub store: Arc<Store>,
    /// The agents connected to it.
    pub registry: Arc<Registry>,
    /// How their hosts are spoken to.
    pub agents: FindAgent,
    /// Who signs certificates; its fingerprint goes into enrolment tokens.
    pub authority: Arc<Authority>,
    /// The certificates that are not accepted any more, as the port of the agents knows them.
    pub revocations: Revocations,
    /// The runs that are driven by this process.
    pub running: Running,
    /// What whoever starts it decided.
    pub settings: Settings,
    /// Its own folder; those of its runs are below `runs` in it.
    pub data: PathBuf,
    /// Cancelled when its process is to end.
    pub stopping: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parts").field("id", &self.id).field("data", &self.data).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { id, store, registry, agents, authority, revocations, running, settings, data, stopping } = parts;
        Self {
            id,
            store,
            registry,
            agents,
            authority,
            revocations,
            settings,
            data,
            running,
            metrics: Metrics::default(),
            days: game_days::Known::default(),
            stopping,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The agents connected to it.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Who signs its certificates.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The agent of a host, connected or not.
    pub fn agent_of(&self, host: &str) -> Arc<dyn Agent> {
        (self.agents)(host)
    }

    /// What whoever started it decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its own folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of the folders of runs.
    pub fn runs_folder(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// The runs that are driven here, and how to stop each.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// What is counted and measured.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Cancelled when the process is to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Reads anew which certificates are revoked, and ends the sessions of those that are: other controllers revoke too.
    ///
    /// # Errors
    /// The store's; what was known before stays known.
    pub async fn read_revoked(&self) -> Result<(), ControllerError> {
        let serials = self.store.revoked_serials(self.now().await?).await?;
        // What is no serial number can be nobody's.
        let known: HashSet<Serial> = serials.iter().filter_map(|serial| serial.parse().ok()).collect();
        self.revocations.replace(known);
        let serials: HashSet<String> = serials.into_iter().collect();
        self.registry.end_refused(|peer| {
            if serials.contains(&peer.serial) { Err("the certificate of this host was revoked".into()) } else { Ok(()) }
        });
        Ok(())
    }

    /// The time that all controllers of the store share.
    ///
    /// # Errors
    /// The store's.
    pub async fn now(&self) -> Result<Timestamp, ControllerError> {
        Ok(self.store.now().await?)
    }
}
