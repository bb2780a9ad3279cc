//! The choice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ceilings::{CeilingUse, Ledger, Measure};
use super::error::HostChoiceError;
use super::facts::{HostFacts, HostHealth};
use super::left_out::{LeftOut, LeftOutReason};
use super::rank::TargetChance;
use crate::experiment::document::{BlastRadius, HostPattern, HostSelector, Spec, Target};

/// What a choice is made from.
#[derive(Debug, Clone, Copy)]
pub struct HostQuestion<'a> {
    /// What the experiment says.
    pub spec: &'a Spec,
    /// The seed of the run.
    pub seed: u64,
    /// All hosts that the controller knows, in any order; each name once.
    pub fleet: &'a [HostFacts],
    /// What other runs hold at the moment (not this one).
    pub held: &'a [HeldHosts],
    /// The controller's own ceilings, over all runs together.
    pub ceilings: &'a BlastRadius,
}

/// The hosts of a run that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldHosts {
    /// The run's id.
    pub run: String,
    /// The name of its experiment.
    pub experiment: String,
    /// Its hosts, those that vanished included, until it has ended.
    pub hosts: BTreeSet<String>,
    /// Whether its experiment lets others act on them too (`sharesHosts`).
    pub shares: bool,
}

/// The hosts of a run, target by target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostChoice {
    /// For each target that the method uses.
    pub targets: BTreeMap<String, ChosenHosts>,
    /// The ceilings that are about any of them, with this choice counted.
    pub ceilings: Vec<CeilingUse>,
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct ChosenHosts {
    /// The hosts chosen, by name.
    pub hosts: BTreeSet<String>,
    /// Every other host of the fleet, and every host that the target names and that is not there; by name.
    pub left_out: Vec<LeftOut>,
}

impl HostChoice {
    /// All hosts, each once.
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.targets.values().flat_map(|target| target.hosts.iter().map(String::as_str)).collect()
    }
}

/// Chooses the hosts of each target that the method uses, or says why that cannot be.
///
/// First each target gets what it needs at least, then all go on in turns up to what they want, so that none uses up a
/// ceiling before the others had their share. A choice that exists may be missed if several label groups overlap; then
/// nothing is done, which is safe.
///
/// # Errors
/// If a fault of the method says no hosts, or a target gets fewer than it needs.
pub fn choose(question: &HostQuestion<'_>) -> Result<HostChoice, HostChoiceError> {
    let fleet: BTreeMap<&str, &HostFacts> = question.fleet.iter().map(|host| (host.name.as_str(), host)).collect();
    let used = used_targets(question.spec)?;
    let mut ledger = ledger(question, &fleet, &used);
    let mut places: Vec<Place<'_>> =
        used.iter().map(|(name, (target, selector))| Place::new(name, target, selector, question, &fleet)).collect();
    for goal in [|place: &Place<'_>| place.fewest, |place: &Place<'_>| place.wanted] {
        loop {
            let mut went_on = false;
            for place in places.iter_mut() {
                went_on |= place.chosen.len() < goal(place) && place.take_next(&mut ledger);
            }
            if !went_on {
                break;
            }
        }
    }
    let mut targets = BTreeMap::new();
    for place in places {
        targets.insert(place.name.to_owned(), place.settle()?);
    }
    Ok(HostChoice { targets, ceilings: ledger.applied() })
}

/// The targets that the method uses, each once, with what they say of hosts.
pub(in crate::targets) type UsedTargets<'a> = BTreeMap<&'a str, (&'a Target, &'a HostSelector)>;

pub(in crate::targets) fn used_targets(spec: &Spec) -> Result<UsedTargets<'_>, HostChoiceError> {
    let mut used = BTreeMap::new();
    for inject in spec.injections() {
        let named = inject.on.as_deref().zip(spec.target(inject));
        let Some((name, target, selector)) =
            named.and_then(|(name, target)| target.hosts.as_ref().map(|selector| (name, target, selector)))
        else {
            return Err(HostChoiceError::NoHosts { fault: inject.fault.name().into(), target: inject.on.clone() });
        };
        used.insert(name, (target, selector));
    }
    Ok(used)
}

/// The ceilings, with what other runs hold counted already.
pub(in crate::targets) fn ledger(
    question: &HostQuestion<'_>,
    fleet: &BTreeMap<&str, &HostFacts>,
    used: &UsedTargets<'_>,
) -> Ledger {
    let fit: BTreeSet<&str> = fleet.iter().filter(|(_, host)| unfit(host).is_none()).map(|(name, _)| *name).collect();
    let is_meant = |name: &&&str| {
        let host = fleet.get(**name);
        host.is_some_and(|host| used.values().any(|(_, selector)| unmet(selector, host).is_none()))
    };
    let meant = fit.iter().filter(is_meant).copied().collect();
    let others = question.held.iter().flat_map(|held| held.hosts.iter().map(String::as_str)).collect();
    let measure = Measure { fleet, fit: &fit, meant: &meant, others: &others };
    Ledger::new(&question.spec.blast_radius, question.ceilings, &measure)
}

/// A target while its hosts are being chosen.
struct Place<'a> {
    name: &'a str,
    /// Who can be had and was not asked for yet, the first in the order last.
    candidates: Vec<&'a HostFacts>,
    fewest: usize,
    wanted: usize,
    chosen: BTreeSet<String>,
    left_out: Vec<LeftOut>,
}

impl<'a> Place<'a> {
    fn new(
        name: &'a str,
        target: &Target,
        selector: &HostSelector,
        question: &HostQuestion<'a>,
        fleet: &BTreeMap<&str, &'a HostFacts>,
    ) -> Self {
        let chance = TargetChance::new(question.seed, name);
        let mut left_out = Vec::new();
        let mut ranked = Vec::new();
        for host in fleet.values() {
            match unavailable(selector, host, question) {
                None => ranked.push((chance.place(&host.name), host.name.as_str(), *host)),
                Some(reason) => left_out.push(LeftOut { host: host.name.clone(), reason }),
            }
        }
        let named = selector.names.iter().flatten().filter(|name| name.is_exact()).map(HostPattern::as_str);
        for unknown in named.filter(|name| !fleet.contains_key(name)) {
            left_out.push(LeftOut { host: unknown.into(), reason: LeftOutReason::Unknown });
        }
        // Two hosts in one place is next to impossible; then their names decide.
        ranked.sort_unstable_by(|one, other| (other.0, other.1).cmp(&(one.0, one.1)));
        let pick = target.host_pick();
        Self {
            name,
            fewest: pick.fewest(),
            wanted: pick.how_many(ranked.len(), chance.how_many()).unwrap_or(0),
            candidates: ranked.into_iter().map(|(_, _, host)| host).collect(),
            chosen: BTreeSet::new(),
            left_out,
        }
    }

    /// Takes the next host that no ceiling forbids; whether there was one.
    fn take_next(&mut self, ledger: &mut Ledger) -> bool {
        while let Some(host) = self.candidates.pop() {
            match ledger.take(host) {
                Ok(()) => {
                    self.chosen.insert(host.name.clone());
                    return true;
                }
                Err(ceiling) => {
                    let reason = LeftOutReason::Ceiling { ceiling };
                    self.left_out.push(LeftOut { host: host.name.clone(), reason });
                }
            }
        }
        false
    }

    fn settle(self) -> Result<ChosenHosts, HostChoiceError> {
        let Self { name, candidates, fewest, chosen: hosts, mut left_out, .. } = self;
        let passed_over =
            candidates.iter().map(|host| LeftOut { host: host.name.clone(), reason: LeftOutReason::NotPicked });
        left_out.extend(passed_over);
        left_out.sort_by(|one, other| one.host.cmp(&other.host));
        if hosts.len() < fewest {
            return Err(HostChoiceError::TooFew { target: name.into(), found: hosts.len(), needed: fewest, left_out });
        }
        Ok(ChosenHosts { hosts, left_out })
    }
}

/// Why a target cannot have a host, if it cannot, whatever else is chosen.
pub(in crate::targets) fn unavailable(
    selector: &HostSelector,
    host: &HostFacts,
    question: &HostQuestion<'_>,
) -> Option<LeftOutReason> {
    unmet(selector, host)
        .map(|condition| LeftOutReason::NotSelected { condition })
        .or_else(|| unfit(host))
        .or_else(|| holder(host, question))
}

/// The first thing asked that is not true of a host.
fn unmet(selector: &HostSelector, host: &HostFacts) -> Option<String> {
    if let Some(names) = &selector.names
        && !names.iter().any(|pattern| pattern.fits(&host.name))
    {
        let names: Vec<&str> = names.iter().map(HostPattern::as_str).collect();
        return Some(format!("its name is not {}", names.join(" or ")));
    }
    for (label, wanted) in &selector.labels {
        match host.label(label) {
            Some(value) if value == wanted => {}
            Some(value) => return Some(format!("{label} is {value}, not {wanted}")),
            None => return Some(format!("it has no {label}")),
        }
    }
    let untrue = selector.expressions.iter().find(|expression| !expression.holds(host.label(&expression.label)));
    untrue.map(|expression| match host.label(&expression.label) {
        Some(value) => format!("`{expression}` is not so, {} is {value}", expression.label),
        None => format!("`{expression}` is not so, it has no {}", expression.label),
    })
}

/// Why nobody may act on a host now.
fn unfit(host: &HostFacts) -> Option<LeftOutReason> {
    if let Some(because) = host.protection() {
        return Some(LeftOutReason::Protected { because: because.into() });
    }
    match &host.health {
        // Before all that may pass by itself.
        HostHealth::Unclean { run, left } => {
            Some(LeftOutReason::Unclean { host: host.name.clone(), run: run.clone(), left: left.clone() })
        }
        _ if !host.connected => Some(LeftOutReason::Disconnected),
        HostHealth::Healthy => None,
        HostHealth::Unhealthy(because) => Some(LeftOutReason::Unhealthy { because: because.clone() }),
    }
}

/// Who has the host, unless both allow each other.
fn holder(host: &HostFacts, question: &HostQuestion<'_>) -> Option<LeftOutReason> {
    let excludes = |held: &&HeldHosts| held.hosts.contains(&host.name) && !(held.shares && question.spec.shares_hosts);
    let held = question.held.iter().find(excludes)?;
    Some(LeftOutReason::Held { run: held.run.clone(), experiment: held.experiment.clone() })
}
