//! The types of an experiment document. `deny_unknown_fields` throughout: a misspelt key is an error, never ignored.

mod about;
mod allowance;
mod blast_radius;
mod budget;
mod host_pattern;
mod host_pick;
mod label_expression;
mod method;
mod objective;
mod service;
mod signal;
mod slo;
#[cfg(test)]
pub(crate) mod smallest;
mod status;
mod target;
mod tolerance;
mod traffic_floor;

pub use about::About;
pub use allowance::Allowance;
pub use blast_radius::{BlastRadius, HostCeiling, LabelGroup, LabelGroupError};
pub use budget::{Budget, BurnRate};
pub use faultline_agent::facts::{Pick, ProcessSelector};
pub use host_pattern::{HostPattern, HostPatternError};
pub use host_pick::HostPick;
pub use label_expression::{
    LabelCondition, LabelExpression, LabelExpressionError, LabelVersion, VersionComparison, is_label_name,
};
pub use method::{Inject, MethodStep, phases};
pub use objective::{
    ErrorBound, LatencyBound, Objective, Reference, Resource, SaturationBound, TrafficBound, ValueBound, quantile_name,
};
pub use service::{Ready, Restart, Service};
pub use signal::{ExecReading, ExecSignal, HostSignal, HttpSignal, PrometheusSignal, Signal, TcpSignal};
pub use slo::{SloCalendar, SloDefinition, SloReference};
pub use status::StatusRange;
pub use target::{HostSelector, Target};
pub use tolerance::Tolerance;
pub use traffic_floor::TrafficFloor;

use std::collections::BTreeMap;

use faultline_agent::identity::FaultId;
use faultline_agent::node::FaultRequest;
use faultline_agent::units::{Percent, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::DocumentKind;
use crate::document::findings::Findings;
pub use crate::document::{ApiVersion, Metadata};

/// The one version of the document's format.
pub const API_VERSION: &str = "faultline.dev/v1";

/// A whole experiment: what should hold, what is done, and to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Experiment {
    /// `faultline.dev/v1`.
    pub api_version: ApiVersion,
    /// `Experiment`.
    pub kind: Kind,
    /// Its name and labels.
    pub metadata: Metadata,
    /// What it is.
    pub spec: Spec,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// One experiment.
    Experiment,
}

impl DocumentKind for Experiment {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self, findings: &mut Findings<'_>) {
        super::check::check(self, findings);
    }
}

/// The experiment itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The sentence that the experiment tests.
    pub hypothesis: String,
    /// Of which service the experiment is, for the score of that service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Programs that the run starts itself and takes down again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// The network in which `services` run: a namespace of their own, in which signals and faults act too, or the host's.
    #[serde(default)]
    pub network: ServiceNetwork,
    /// Where samples come from.
    #[serde(default)]
    pub signals: BTreeMap<String, Signal>,
    /// Service level objectives of files, by the names under which objectives and guardrails refer to them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slos: BTreeMap<String, SloReference>,
    /// What must hold before, during and again after the fault.
    #[schemars(length(min = 1))]
    pub steady_state: Vec<Objective>,
    /// Bounds whose breach aborts the run and undoes everything at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Objective>,
    /// What the run may spend of an error budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Whom the faults meet, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// The most that may be touched, by all targets together.
    #[serde(default, skip_serializing_if = "BlastRadius::is_empty")]
    pub blast_radius: BlastRadius,
    /// Whether another run that says the same may act on the same hosts at the same time. Unless told, a host is one
    /// run's alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares_hosts: bool,
    /// What may happen to hosts in mid-fault without the run being aborted.
    #[serde(default, skip_serializing_if = "Tolerance::is_none")]
    pub tolerate: Tolerance,
    /// What is done, in order.
    #[schemars(length(min = 2))]
    pub method: Vec<MethodStep>,
    /// How soon everything must be steady again.
    #[serde(default)]
    pub recovery: Recovery,
    /// The seed of everything left to chance; drawn and recorded when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The probability with which a verdict of a healthy objective may be wrong (5% unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Percent>,
}

/// The name by which a document, and people, speak of the host of the run as a target.
pub const WHOLE_HOST: &str = "host";

/// The probability with which a verdict may be wrong, unless the document says another.
pub const ERROR_RATE: f64 = 0.05;

impl Spec {
    /// The probability with which a verdict of a healthy objective may be wrong, from 0 to 1.
    pub fn stated_error_rate(&self) -> f64 {
        self.error_rate.map_or(ERROR_RATE, Percent::fraction)
    }

    /// Whether the run has a network of its own: one is made for services, unless they use the host's.
    pub fn has_private_network(&self) -> bool {
        self.network == ServiceNetwork::Private && !self.services.is_empty()
    }

    /// The target of a fault; `None` if it means the host.
    pub fn target(&self, inject: &Inject) -> Option<&Target> {
        self.targets.get(inject.on.as_deref()?)
    }

    /// What a fault is injected into, in the words of plans and reports: its target, else the host, or the network of the
    /// run's own that packets pass.
    pub fn target_name<'a>(&'a self, inject: &'a Inject) -> &'a str {
        match inject.on.as_deref() {
            Some(name) if self.targets.contains_key(name) => name,
            _ if self.has_private_network() && inject.fault.acts_on_packets() => "the run's network",
            _ => WHOLE_HOST,
        }
    }

    /// What an agent is asked for by an injection: on the whole of its host, and without chance, unless told otherwise.
    pub fn fault_request(&self, inject: &Inject, run: &str, id: FaultId) -> FaultRequest {
        FaultRequest {
            id,
            run: run.to_owned(),
            fault: inject.fault.clone(),
            target_name: self.target_name(inject).to_owned(),
            target: None,
            lasts: inject.lasts,
            seed: 0,
            placebo: false,
        }
    }

    /// The signal that counts the events of the budget.
    pub fn budget_signal(&self) -> Option<&str> {
        let name = &self.budget.as_ref()?.slo;
        Some(self.slos.get(name)?.signal.as_deref().unwrap_or(name))
    }

    /// Everything that the method injects, in the order of the document.
    pub fn injections(&self) -> impl Iterator<Item = &Inject> {
        self.method.iter().flat_map(MethodStep::injections)
    }
}

/// The network of the services that the run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceNetwork {
    /// A network namespace made for the run, with loopback only.
    #[default]
    Private,
    /// The host's own.
    Host,
}

/// How soon everything must be steady again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// Within this time after the undo (60 s unless told).
    pub within: TimeSpan,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { within: TimeSpan::from_secs(60) }
    }
}
