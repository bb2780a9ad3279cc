use std::collections::BTreeMap;
use std::path::PathBuf;

use faultline_agent::facts::{Pick, ProcessSelector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostPattern, HostPick, LabelExpression};

/// Whom a fault meets. With nothing but `pick`, or nothing at all: the host of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Which hosts, among the agents of a controller; the host of the run when absent. What else the target says is
    /// then looked for on each host chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostSelector>,
    /// A service that this run started: its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Processes, by what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSelector>,
    /// A cgroup and everything in it, by its path below the cgroup mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
    /// A network namespace, by its name below /run/netns or by a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_namespace: Option<PathBuf>,
    /// How many of those found. Without `hosts`: processes. With `hosts` and no `pick` in it: hosts, and on each of them
    /// everything that matches. With a `pick` in `hosts`: that one chooses hosts, and this one processes on each of them.
    #[serde(default)]
    pub pick: Pick,
}

impl Target {
    /// How hosts are chosen: by the `pick` in `hosts`, else by the target's own. So `pick: { percent: 50, atMost: 2 }`
    /// beside `hosts` never meets more than two hosts, which is what its reader takes it for.
    pub fn host_pick(&self) -> HostPick {
        match self.hosts.as_ref().and_then(|hosts| hosts.pick) {
            Some(pick) => pick,
            None => HostPick::from(self.pick),
        }
    }

    /// How processes are chosen on one host: by the target's own `pick`, unless that has chosen the hosts already; then
    /// all.
    pub fn process_pick(&self) -> Pick {
        match &self.hosts {
            Some(HostSelector { pick: None, .. }) => Pick::default(),
            Some(_) | None => self.pick,
        }
    }
}

/// Which hosts, among the agents of a controller. What is given must all be true of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSelector {
    /// Hosts that bear all these labels with these values. A name without a slash that was not given to a host means
    /// what its agent discovered: `kernel` is `faultline.dev/kernel`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Hosts with one of these names; `*` stands for any text, `?` for any one letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<HostPattern>>,
    /// Hosts of which all these are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<LabelExpression>,
    /// How many of the hosts that match, are connected and healthy, and can be had: chosen by the seed. When absent, the
    /// target's own `pick` chooses hosts; without either, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<HostPick>,
}

impl HostSelector {
    /// Whether nothing at all is asked, so that every host fits.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.names.is_none() && self.expressions.is_empty()
    }

    /// Whether it names its hosts one by one.
    pub fn names_each(&self) -> bool {
        self.names.as_ref().is_some_and(|names| !names.is_empty() && names.iter().all(HostPattern::is_exact))
    }
}
