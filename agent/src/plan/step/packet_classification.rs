use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Describe, Netem, PacketSelection};
use crate::plan::UndoClass;

/// An nftables owner table whose rules send the selected packets to netem queueing disciplines, which hold them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketClassification {
    /// The name of the table.
    pub table: String,
    /// The packets meant.
    pub selection: PacketSelection,
    /// Where they go: one netem for each interface by which they may leave, put there by steps before this one.
    pub netems: Vec<Netem>,
}

impl Describe for PacketClassification {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        let places = self.netems.iter().map(|netem| format!("netem {:x}: of {}", netem.handle, netem.interface));
        let places = places.collect::<Vec<_>>().join(" or ");
        format!("add table inet {} and send to {places}: {}", self.table, self.selection)
    }

    fn describe_undo(&self) -> String {
        format!("remove table inet {}", self.table)
    }

    fn manual_undo(&self) -> String {
        super::packet_rules::remove_by_hand(&self.table, &self.selection.namespace)
    }
}
