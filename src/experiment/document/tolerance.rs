use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may happen to hosts in mid-fault without the run being aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tolerance {
    /// So many hosts of the run may vanish or restart while a fault is on them (none unless told). Beyond that the run
    /// is aborted, and everything is undone on those that are left.
    #[serde(default)]
    pub vanished: u32,
}

impl Tolerance {
    /// Whether nothing at all is tolerated.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
