//! Whether a plan that was approved still holds for the fleet as it is now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, FleetPlan, FleetPlanError, PlannedInjection, document_digest};
use crate::experiment::document::{BlastRadius, Experiment};
use crate::targets::hosts::{
    CeilingUse, HeldHosts, HostFacts, HostQuestion, LeftOutReason, choose, ledger, unavailable, used_targets,
};

/// The fleet at the moment when an approved plan is to be carried out.
#[derive(Debug, Clone, Copy)]
pub struct FleetNow<'a> {
    /// The experiment as it would be run now.
    pub experiment: &'a Experiment,
    /// All hosts that the controller knows, in any order.
    pub fleet: &'a [HostFacts],
    /// What other runs hold (not this one).
    pub held: &'a [HeldHosts],
    /// The controller's own ceilings.
    pub ceilings: &'a BlastRadius,
}

/// The fleet at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    /// All hosts that the controller knows, in any order.
    pub hosts: Vec<HostFacts>,
    /// What other runs hold.
    pub held: Vec<HeldHosts>,
    /// The controller's own ceilings.
    pub ceilings: BlastRadius,
}

impl Fleet {
    /// As the ground on which an experiment would be run.
    pub fn with<'a>(&'a self, experiment: &'a Experiment) -> FleetNow<'a> {
        FleetNow { experiment, fleet: &self.hosts, held: &self.held, ceilings: &self.ceilings }
    }
}

/// What changed since the plan was approved, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// What changed.
    pub differences: Vec<Difference>,
    /// What follows.
    pub outcome: DriftOutcome,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Difference {
    /// The document is another.
    DocumentChanged {
        /// The digest of the approved one.
        approved: Digest,
        /// The digest of that which would be run.
        now: Digest,
    },
    /// An approved host cannot be had any more.
    HostGone {
        /// The target.
        target: String,
        /// The host.
        host: String,
        /// Why not.
        reason: LeftOutReason,
    },
    /// A host could be had now of which the plan knew nothing. It is left in peace.
    HostJoined {
        /// The target that means it.
        target: String,
        /// The host.
        host: String,
    },
    /// A label by which an approved host was chosen or counted has another value, and the host is still meant.
    LabelsChanged {
        /// The host.
        host: String,
        /// The label.
        label: String,
        /// Its value in the plan.
        approved: Option<String>,
        /// Its value now.
        now: Option<String>,
    },
    /// An approved host would now go beyond a ceiling, by what other runs hold or because the fleet is smaller.
    CeilingExceeded {
        /// The host.
        host: String,
        /// The ceiling.
        ceiling: CeilingUse,
    },
}

/// What follows from the differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DriftOutcome {
    /// The plan can be carried out on these hosts of each target: the approved ones, or fewer where the document's
    /// `atLeast` says that fewer will do. Never others.
    Holds {
        /// Target by target.
        hosts: BTreeMap<String, BTreeSet<String>>,
    },
    /// It cannot; it must be planned and approved again.
    Refused {
        /// Every reason.
        reasons: Vec<String>,
    },
}

/// Compares an approved plan with the fleet as it is now.
///
/// - Another document, or a ceiling that would be exceeded: refused.
/// - An approved host that is not meant any more, since its labels changed: refused. The choice that was approved is not
///   what the document says now.
/// - A host that is meant now, of which the plan knew nothing, and that would be chosen: refused for the same reason. One
///   that would not be is told of.
/// - An approved host that cannot be had: refused, unless the target's pick has an `atLeast` that the rest fulfils.
/// - Other labels on a host that is still meant: told of.
///
/// No host is ever added to an approved plan.
///
/// # Errors
/// If the document cannot be written as JSON.
pub fn drift(approved: &FleetPlan, now: &FleetNow<'_>) -> Result<Drift, FleetPlanError> {
    let digest = document_digest(now.experiment)?;
    if digest != approved.document {
        let difference = Difference::DocumentChanged { approved: approved.document, now: digest };
        let reasons = vec![difference.to_string()];
        return Ok(Drift { differences: vec![difference], outcome: DriftOutcome::Refused { reasons } });
    }
    let FleetNow { experiment, fleet, held, ceilings } = *now;
    let question = HostQuestion { spec: &experiment.spec, seed: approved.seed, fleet, held, ceilings };
    let used = used_targets(question.spec)?;
    let by_name: BTreeMap<&str, &HostFacts> = fleet.iter().map(|host| (host.name.as_str(), host)).collect();
    let mut ledger = ledger(&question, &by_name, &used);
    let (mut differences, mut reasons, mut left) = (Vec::new(), Vec::new(), BTreeMap::new());
    let (mut looked_at, mut new) = (BTreeSet::new(), Vec::new());
    for (name, hosts) in approved.hosts_of_targets() {
        // The document is the approved one, so the target is there.
        let Some((target, selector)) = used.get(name) else { continue };
        let (mut stay, mut unmeant) = (BTreeSet::new(), Vec::new());
        for host in hosts {
            let found = by_name.get(host.as_str());
            let reason = found.map_or(Some(LeftOutReason::Unknown), |facts| unavailable(selector, facts, &question));
            match (found, reason) {
                (Some(facts), None) => {
                    if looked_at.insert(host) {
                        differences.extend(changed_labels(approved, facts));
                        if let Err(ceiling) = ledger.take(facts) {
                            let difference = Difference::CeilingExceeded { host: host.clone(), ceiling };
                            reasons.push(difference.to_string());
                            differences.push(difference);
                        }
                    }
                    stay.insert(host.clone());
                }
                (_, reason) => {
                    let reason = reason.unwrap_or(LeftOutReason::Unknown);
                    if !reason.is_selected() {
                        unmeant.push(host.as_str());
                    }
                    differences.push(Difference::HostGone { target: name.into(), host: host.clone(), reason });
                }
            }
        }
        let gone = hosts.len() - stay.len();
        let pick = target.host_pick();
        match pick.at_least {
            None if gone > 0 => reasons.push(format!(
                "target `{name}`: {gone} of {} approved hosts cannot be had, and no `atLeast` says that fewer will do",
                hosts.len()
            )),
            Some(least) if stay.len() < pick.fewest() => reasons.push(format!(
                "target `{name}`: {} of {} approved hosts can be had, and at least {least} are needed",
                stay.len(),
                hosts.len()
            )),
            _ if !unmeant.is_empty() => reasons.push(format!(
                "target `{name}` does not mean {} any more, whose labels changed since the hosts were chosen",
                unmeant.join(", ")
            )),
            _ => {}
        }
        let known = |host: &str| {
            let left_out = approved.targets.get(name).map_or(&[] as &[_], |planned| planned.left_out.as_slice());
            hosts.contains(host) || left_out.iter().any(|left| left.host == host)
        };
        let joined =
            by_name.values().filter(|facts| unavailable(selector, facts, &question).is_none() && !known(&facts.name));
        new.extend(joined.map(|facts| (name, facts.name.as_str())));
        left.insert(name.to_owned(), stay);
    }
    if !new.is_empty() {
        // If none can be chosen, that has its reasons above, and none of these hosts is chosen.
        let anew = choose(&question).map(|choice| choice.targets).unwrap_or_default();
        for (target, host) in new {
            if anew.get(target).is_some_and(|chosen| chosen.hosts.contains(host)) {
                reasons.push(format!("target `{target}` means {host} now, which would be chosen"));
            }
            differences.push(Difference::HostJoined { target: target.into(), host: host.into() });
        }
    }
    let outcome =
        if reasons.is_empty() { DriftOutcome::Holds { hosts: left } } else { DriftOutcome::Refused { reasons } };
    Ok(Drift { differences, outcome })
}

impl Drift {
    /// Whether an approved host is missing that may be about to connect, as all are when a controller was just started.
    pub fn may_pass(&self) -> bool {
        let missing = [LeftOutReason::Disconnected, LeftOutReason::Unknown];
        self.differences
            .iter()
            .any(|difference| matches!(difference, Difference::HostGone { reason, .. } if missing.contains(reason)))
    }

    /// The hosts on which an injection of the plan is carried out: those that can be had, or all where it is refused.
    pub fn hosts_of<'a>(&'a self, injection: &'a PlannedInjection) -> &'a BTreeSet<String> {
        match &self.outcome {
            DriftOutcome::Holds { hosts } => hosts.get(&injection.target).unwrap_or(&injection.hosts),
            DriftOutcome::Refused { .. } => &injection.hosts,
        }
    }

    /// Why the plan cannot be carried out, in one sentence, if it cannot.
    pub fn refusal(&self) -> Option<String> {
        match &self.outcome {
            DriftOutcome::Holds { .. } => None,
            DriftOutcome::Refused { reasons } => {
                let gone =
                    self.differences.iter().filter(|difference| matches!(difference, Difference::HostGone { .. }));
                let gone: Vec<String> = gone.map(ToString::to_string).collect();
                let which = if gone.is_empty() { String::new() } else { format!(" ({})", gone.join("; ")) };
                Some(format!("the fleet is not the one that was planned for: {}{which}", reasons.join("; ")))
            }
        }
    }
}

/// The targets of a plan that mean a host which was not there when their hosts were chosen, and which can be had now.
pub fn targets_joined(approved: &FleetPlan, experiment: &Experiment, host: &HostFacts) -> Vec<String> {
    let none = BlastRadius::default();
    let question = HostQuestion { spec: &experiment.spec, seed: approved.seed, fleet: &[], held: &[], ceilings: &none };
    let means = |name: &str| {
        let selector = experiment.spec.targets.get(name).and_then(|target| target.hosts.as_ref());
        let left_out = approved.targets.get(name).map_or(&[] as &[_], |planned| planned.left_out.as_slice());
        let was_there =
            left_out.iter().any(|left| left.host == host.name && left.reason != LeftOutReason::Disconnected);
        !was_there && selector.is_some_and(|selector| unavailable(selector, host, &question).is_none())
    };
    let targets = approved.hosts_of_targets();
    let new = targets.iter().filter(|(name, hosts)| !hosts.contains(&host.name) && means(name));
    new.map(|(name, _)| (*name).to_owned()).collect()
}

fn changed_labels(approved: &FleetPlan, now: &HostFacts) -> Vec<Difference> {
    let recorded = approved.labels.get(&now.name).into_iter().flatten();
    recorded
        .filter(|(label, value)| value.as_deref() != now.label(label))
        .map(|(label, value)| Difference::LabelsChanged {
            host: now.name.clone(),
            label: label.clone(),
            approved: value.clone(),
            now: now.label(label).map(str::to_owned),
        })
        .collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        match self {
            Self::DocumentChanged { approved, now } => {
                write!(formatter, "the document is another: {} was approved, this is {}", approved.short(), now.short())
            }
            Self::HostGone { target, host, reason } => {
                write!(formatter, "{host} of target `{target}` is gone: {reason}")
            }
            Self::HostJoined { target, host } => {
                write!(formatter, "{host} is new for target `{target}`, and is left in peace")
            }
            Self::LabelsChanged { host, label, approved, now } => {
                write!(formatter, "{host}: {label} was {} and is {}", shown(approved), shown(now))
            }
            Self::CeilingExceeded { host, ceiling } => write!(formatter, "{host} would go beyond a ceiling: {ceiling}"),
        }
    }
}
