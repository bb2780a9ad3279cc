use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Describe, PacketSelection};
use crate::identity::NetworkNamespace;
use crate::plan::UndoClass;

/// What becomes of a packet that a partition meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionAction {
    /// It disappears: the sender waits, as for a cut cable.
    #[default]
    Drop,
    /// It is refused: TCP gets a reset, everything else an ICMP "port unreachable", as from a host without the service.
    Reject,
    /// It is refused with an ICMP "host unreachable", TCP too, as from a router without a way.
    Unreachable,
}

/// An nftables owner table whose rules drop or reject the selected packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PacketRules {
    /// The name of the table.
    pub table: String,
    /// The packets meant.
    pub selection: PacketSelection,
    /// What becomes of them.
    pub action: PartitionAction,
}

impl Describe for PacketRules {
    fn undo_class(&self) -> UndoClass {
        UndoClass::Kernel
    }

    fn describe(&self) -> String {
        let what = match self.action {
            PartitionAction::Drop => "drop",
            PartitionAction::Reject => "reject (TCP reset, port unreachable)",
            PartitionAction::Unreachable => "reject (host unreachable)",
        };
        format!("add table inet {} and {what}: {}", self.table, self.selection)
    }

    fn describe_undo(&self) -> String {
        format!("remove table inet {}", self.table)
    }

    fn manual_undo(&self) -> String {
        remove_by_hand(&self.table, &self.selection.namespace)
    }
}

/// The command that removes an owner table by hand. Its owner alone may delete it, so the owner has to end.
pub(super) fn remove_by_hand(table: &str, namespace: &NetworkNamespace) -> String {
    let inside = match namespace {
        NetworkNamespace::Own => String::new(),
        NetworkNamespace::Path { path, .. } => format!("nsenter --net={} ", path.display()),
    };
    format!(
        "{inside}nft list table inet {table}   # `progname` there names the owner: end that process and the table is gone"
    )
}
