use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// A netem queueing discipline on one interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Netem {
    /// The namespace of the interface.
    pub namespace: crate::identity::NetworkNamespace,
    /// The interface.
    pub interface: String,
    /// The major number of the handle that is ours.
    pub handle: u16,
}

impl Describe for Netem {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Guard
    }

    fn describe(&self) -> String {
        format!("add qdisc netem {:x}: on {} in {}", self.handle, self.interface, self.namespace)
    }

    fn describe_undo(&self) -> String {
        format!("remove qdisc {:x}: from {}", self.handle, self.interface)
    }

    fn manual_undo(&self) -> String {
        format!("tc qdisc del dev {} root handle {:x}:", self.interface, self.handle)
    }
}
