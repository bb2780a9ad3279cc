//! Ceilings, and how far each is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::HostFacts;
use crate::experiment::document::{BlastRadius, HostCeiling, LabelGroup};

/// Whose ceiling it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CeilingScope {
    /// The experiment's own, from its document.
    Experiment,
    /// The controller's, for the whole fleet.
    Fleet,
}

/// A ceiling, and how far it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CeilingUse {
    /// Whose it is.
    pub scope: CeilingScope,
    /// Which hosts it is about, if not all: `zone=a`, `role=db`, `no zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// As written: `3`, `20%`.
    pub ceiling: String,
    /// The most hosts that it allows now.
    pub most: usize,
    /// Of how many, if it is a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// How many this run has.
    pub own: usize,
    /// How many other runs hold beside them.
    pub others: usize,
}

impl CeilingUse {
    /// How many hosts count against it.
    pub fn used(&self) -> usize {
        self.own + self.others
    }
}

impl fmt::Display for CeilingUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.scope {
            CeilingScope::Experiment => "of the experiment",
            CeilingScope::Fleet => "of the fleet",
        };
        write!(formatter, "at most {} ", self.ceiling)?;
        match &self.group {
            Some(group) => write!(formatter, "with {group} ({whose})")?,
            None => write!(formatter, "hosts ({whose})")?,
        }
        if let Some(of) = self.of {
            write!(formatter, ", {} of {of}", self.most)?;
        }
        write!(formatter, ", {} used", self.used())?;
        if self.others > 0 {
            write!(formatter, ", {} of them by other runs", self.others)?;
        }
        Ok(())
    }
}

/// One ceiling, with what counts against it.
#[derive(Debug)]
struct Bound {
    scope: CeilingScope,
    /// The group in which hosts are counted; `None` counts all together.
    group: Option<LabelGroup>,
    ceiling: HostCeiling,
    /// By the label's value: the one that is meant, or each of its own. `None` stands for hosts without the label, which
    /// are bounded together rather than not at all, and for all hosts if there is no group.
    parts: BTreeMap<Option<String>, Part>,
}

/// The hosts of one part.
#[derive(Debug, Default)]
struct Part {
    /// How many there are to take a share of.
    of: usize,
    /// How many this run has.
    own: BTreeSet<String>,
    /// What other runs hold; what this run has too is only in `own`, so that it is counted once.
    others: BTreeSet<String>,
}

/// All ceilings of one choice. No host is added that would go beyond any.
#[derive(Debug)]
pub(in crate::targets) struct Ledger(Vec<Bound>);

/// What ceilings are measured against.
pub(super) struct Measure<'a> {
    /// The fleet, by name.
    pub(super) fleet: &'a BTreeMap<&'a str, &'a HostFacts>,
    /// Hosts that are connected, healthy and not protected.
    pub(super) fit: &'a BTreeSet<&'a str>,
    /// Those of them that any target of the experiment means.
    pub(super) meant: &'a BTreeSet<&'a str>,
    /// Hosts that other runs hold now.
    pub(super) others: &'a BTreeSet<&'a str>,
}

impl Ledger {
    pub(super) fn new(experiment: &BlastRadius, fleet: &BlastRadius, measure: &Measure<'_>) -> Self {
        let nobody = BTreeSet::new();
        let mut bounds = Vec::new();
        for (scope, radius) in [(CeilingScope::Experiment, experiment), (CeilingScope::Fleet, fleet)] {
            if let Some(ceiling) = radius.hosts {
                // The experiment's own bounds what it does itself; the fleet's, what all runs do.
                let (of, others) = match scope {
                    CeilingScope::Experiment => (measure.meant, &nobody),
                    CeilingScope::Fleet => (measure.fit, measure.others),
                };
                bounds.push(Bound::new(scope, None, ceiling, of, others, measure));
            }
            for (group, ceiling) in &radius.per_label {
                let group = Some(group.clone());
                bounds.push(Bound::new(scope, group, *ceiling, measure.fit, measure.others, measure));
            }
        }
        Self(bounds)
    }

    /// Adds a host, if no ceiling forbids it. A host that is there already costs nothing, nor does one that another run
    /// has too.
    pub(in crate::targets) fn take(&mut self, host: &HostFacts) -> Result<(), CeilingUse> {
        for bound in &self.0 {
            let Some(key) = bound.key(Some(host)) else { continue };
            let part = bound.parts.get(&key);
            let counted = part.is_some_and(|part| part.own.contains(&host.name) || part.others.contains(&host.name));
            let usage = bound.usage(&key);
            if !counted && usage.used() >= usage.most {
                return Err(usage);
            }
        }
        for bound in &mut self.0 {
            if let Some(key) = bound.key(Some(host)) {
                let part = bound.parts.entry(key).or_default();
                part.others.remove(&host.name);
                part.own.insert(host.name.clone());
            }
        }
        Ok(())
    }

    /// The ceilings that are about any host of this run, as they are used now.
    pub(super) fn applied(&self) -> Vec<CeilingUse> {
        let about_us = |bound: &Bound, key: &Option<String>| {
            bound.group.is_none() || bound.parts.get(key).is_some_and(|part| !part.own.is_empty())
        };
        self.0
            .iter()
            .flat_map(|bound| bound.parts.keys().filter(|key| about_us(bound, key)).map(|key| bound.usage(key)))
            .collect()
    }
}

impl Bound {
    fn new(
        scope: CeilingScope,
        group: Option<LabelGroup>,
        ceiling: HostCeiling,
        of: &BTreeSet<&str>,
        others: &BTreeSet<&str>,
        measure: &Measure<'_>,
    ) -> Self {
        let parts = match group {
            None => BTreeMap::from([(None, Part::default())]),
            Some(_) => BTreeMap::new(),
        };
        let mut bound = Self { scope, group, ceiling, parts };
        for host in of {
            if let Some(key) = bound.key(measure.fleet.get(host).copied()) {
                bound.parts.entry(key).or_default().of += 1;
            }
        }
        for host in others {
            // A host that is held but not known any more counts as one without labels.
            if let Some(key) = bound.key(measure.fleet.get(host).copied()) {
                bound.parts.entry(key).or_default().others.insert((*host).to_owned());
            }
        }
        bound
    }

    /// The part in which a host is counted, if in any.
    fn key(&self, host: Option<&HostFacts>) -> Option<Option<String>> {
        let Some(group) = &self.group else { return Some(None) };
        let value = host.and_then(|host| host.label(&group.label));
        match &group.value {
            Some(wanted) => (value == Some(wanted)).then(|| value.map(str::to_owned)),
            None => Some(value.map(str::to_owned)),
        }
    }

    fn usage(&self, key: &Option<String>) -> CeilingUse {
        let empty = Part::default();
        let part = self.parts.get(key).unwrap_or(&empty);
        CeilingUse {
            scope: self.scope,
            group: self.group.as_ref().map(|group| match key {
                Some(value) => format!("{}={value}", group.label),
                None => format!("no {}", group.label),
            }),
            ceiling: self.ceiling.to_string(),
            most: self.ceiling.most(part.of),
            of: matches!(self.ceiling, HostCeiling::Share(_)).then_some(part.of),
            own: part.own.len(),
            others: part.others.len(),
        }
    }
}
