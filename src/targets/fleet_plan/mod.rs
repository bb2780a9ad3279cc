//! The plan of an experiment over a fleet: every fault and every host, named before anything is touched.
//!
//! Its hash is what gets approved. In the hash: the experiment's name, the digest of its document as it will be run
//! (after `--set`), the seed, and every injection with its parameters, its time, its target and its hosts. Not in it:
//! who was left out and why, how far ceilings are used, and the labels of hosts, which all change without changing what
//! is done; and what only the host can say, process numbers above all: that is resolved there, in the moment of the
//! injection, by the same document and seed.

mod canonical;
mod drift;
mod hash;
mod human;

pub use drift::{Difference, Drift, DriftOutcome, Fleet, FleetNow, drift, targets_joined};
pub use hash::{Digest, DigestError, PlanHash};
pub use human::render;

use std::collections::{BTreeMap, BTreeSet};

use faultline_agent::target::HostTarget;
use faultline_agent::units::TimeSpan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hosts::{CeilingUse, HostChoiceError, HostQuestion, LeftOut, choose};
use super::on_host;
use crate::experiment::document::{BlastRadius, Experiment};

/// What an experiment will do to which hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetPlan {
    /// The experiment's name.
    pub experiment: String,
    /// The digest of its document as it will be run: of the document's meaning, not of its layout.
    pub document: Digest,
    /// The seed of everything left to chance.
    pub seed: u64,
    /// Every fault, in the order of the method.
    pub injections: Vec<PlannedInjection>,
    /// What became of each target.
    pub targets: BTreeMap<String, PlannedTarget>,
    /// The labels of each host by which it was chosen or counted; no value where it lacks the label.
    pub labels: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// The ceilings that are about any of the hosts, with these counted.
    pub ceilings: Vec<CeilingUse>,
}

/// One fault on its hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedInjection {
    /// Its number among the faults of the method, from 1.
    pub number: usize,
    /// The fault's name in the catalogue.
    pub fault: String,
    /// Its parameters, as given.
    pub parameters: Value,
    /// How long it lasts.
    pub lasts: TimeSpan,
    /// The target's name in the document.
    pub target: String,
    /// The hosts, by name.
    pub hosts: BTreeSet<String>,
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedTarget {
    /// What is met on each of its hosts; resolved there.
    pub on_each: HostTarget,
    /// Hosts that it means and did not get.
    pub left_out: Vec<LeftOut>,
    /// How many hosts of the fleet it does not mean.
    pub not_meant: usize,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum FleetPlanError {
    /// No hosts can be chosen.
    #[error(transparent)]
    Hosts(#[from] HostChoiceError),
    /// The document cannot be written as JSON, so it has no digest.
    #[error("the document cannot be written as JSON: {0}")]
    Document(#[from] serde_json::Error),
}

impl FleetPlanError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Hosts(error) => error.hint(),
            Self::Document(_) => "this is a defect of Faultline: please report it with the document",
        }
    }
}

/// Plans an experiment over a fleet. `question.spec` is that of the experiment.
///
/// # Errors
/// If no hosts can be chosen.
pub fn plan(experiment: &Experiment, question: &HostQuestion<'_>) -> Result<FleetPlan, FleetPlanError> {
    let choice = choose(question)?;
    let mut injections = Vec::new();
    for (index, inject) in experiment.spec.injections().enumerate() {
        // Every injection has a target with hosts, or there would be no choice.
        let target = inject.on.clone().unwrap_or_default();
        let hosts = choice.targets.get(&target).map(|chosen| chosen.hosts.clone()).unwrap_or_default();
        let fault = inject.fault.name();
        let parameters = serde_json::to_value(&inject.fault)?.get(fault).cloned().unwrap_or_default();
        let lasts = inject.lasts;
        injections.push(PlannedInjection { number: index + 1, fault: fault.into(), parameters, lasts, target, hosts });
    }
    let looked_at = labels_looked_at(experiment, question.ceilings);
    let labels = question
        .fleet
        .iter()
        .filter(|host| choice.targets.values().any(|chosen| chosen.hosts.contains(&host.name)))
        .map(|host| {
            let value = |label: &String| (label.clone(), host.label(label).map(str::to_owned));
            (host.name.clone(), looked_at.iter().map(value).collect())
        })
        .collect();
    let targets = choice.targets.into_iter().filter_map(|(name, chosen)| {
        let on_each = on_host(experiment.spec.targets.get(&name)?);
        let (left_out, others): (Vec<LeftOut>, Vec<LeftOut>) =
            chosen.left_out.into_iter().partition(|left| left.reason.is_selected());
        Some((name, PlannedTarget { on_each, left_out, not_meant: others.len() }))
    });
    Ok(FleetPlan {
        experiment: experiment.metadata.name.clone(),
        document: document_digest(experiment)?,
        seed: question.seed,
        injections,
        targets: targets.collect(),
        labels,
        ceilings: choice.ceilings,
    })
}

/// The digest of an experiment's document: equal if and only if the documents mean the same, whatever their layout.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn document_digest(experiment: &Experiment) -> Result<Digest, serde_json::Error> {
    Ok(Digest::of("faultline document 1", &serde_json::to_value(experiment)?))
}

/// The labels that decide who is chosen and how hosts are counted.
fn labels_looked_at(experiment: &Experiment, ceilings: &BlastRadius) -> BTreeSet<String> {
    let spec = &experiment.spec;
    let selectors = spec.targets.values().filter_map(|target| target.hosts.as_ref());
    let asked = selectors.flat_map(|hosts| {
        hosts.labels.keys().cloned().chain(hosts.expressions.iter().map(|expression| expression.label.clone()))
    });
    let groups = spec.blast_radius.per_label.keys().chain(ceilings.per_label.keys()).map(|group| group.label.clone());
    asked.chain(groups).collect()
}

impl FleetPlan {
    /// What gets approved. Equal for two plans if and only if they do the same to the same hosts.
    pub fn hash(&self) -> PlanHash {
        let injections: Vec<Value> = self
            .injections
            .iter()
            .map(|one| {
                let PlannedInjection { number, fault, parameters, lasts, target, hosts } = one;
                json!({
                    "number": number, "fault": fault, "parameters": parameters, "lasts": lasts.to_string(),
                    "target": target, "hosts": hosts,
                })
            })
            .collect();
        PlanHash::of(&json!({
            "experiment": self.experiment, "document": self.document.to_string(), "seed": self.seed,
            "injections": injections,
        }))
    }

    /// The plan for other programs, with its hash under `hash`.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("hash".into(), self.hash().to_string().into());
        }
        Ok(value)
    }

    /// All hosts, each once.
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.injections.iter().flat_map(|injection| injection.hosts.iter().map(String::as_str)).collect()
    }

    /// The hosts of each target.
    pub fn hosts_of_targets(&self) -> BTreeMap<&str, &BTreeSet<String>> {
        self.injections.iter().map(|injection| (injection.target.as_str(), &injection.hosts)).collect()
    }
}

#[cfg(test)]
mod tests;
