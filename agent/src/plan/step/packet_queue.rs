use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::plan::UndoClass;

/// An nftables owner table whose rules hand the selected packets to the worker, which holds each for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketQueue {
    /// The name of the table.
    pub table: String,
    /// The number of the queue.
    pub queue: u16,
    /// The packets meant.
    pub selection: super::PacketSelection,
}

impl Describe for PacketQueue {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        format!("hold packets in queue {} by table inet {} in {}", self.queue, self.table, self.selection.namespace)
    }

    fn describe_undo(&self) -> String {
        format!("close queue {} and remove table inet {}", self.queue, self.table)
    }

    fn manual_undo(&self) -> String {
        format!("nft delete table inet {}", self.table)
    }
}
