use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blast_radius::HostCeiling;

/// What may happen to hosts in mid-fault without the run being aborted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tolerance {
    /// So many hosts of the run may vanish or restart from the first injection on: a number, or a share (`20%`, rounded
    /// down) of the hosts chosen; none unless told. Beyond that the run is aborted, and everything is undone on those
    /// that are left.
    #[serde(default = "none")]
    pub vanished: HostCeiling,
}

fn none() -> HostCeiling {
    HostCeiling::Count(0)
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { vanished: none() }
    }
}

impl Tolerance {
    /// Whether nothing at all is tolerated.
    pub fn is_none(&self) -> bool {
        self.vanished.is_zero()
    }
}
