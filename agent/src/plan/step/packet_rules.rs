use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// An nftables owner table whose rules drop or reject the selected packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketRules {
    /// The name of the table.
    pub table: String,
    /// The packets meant.
    pub selection: super::PacketSelection,
}

impl Describe for PacketRules {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        format!("add table inet {} in {}", self.table, self.selection.namespace)
    }

    fn describe_undo(&self) -> String {
        format!("remove table inet {}", self.table)
    }

    fn manual_undo(&self) -> String {
        format!("nft delete table inet {}", self.table)
    }
}
