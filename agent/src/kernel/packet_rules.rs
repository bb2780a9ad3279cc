//! Partitions: packets dropped or rejected by a table of ours.

use super::packet_table::{Decision, Enforced, PacketTable, TableStep};
use super::{Hold, KernelError};
use crate::plan::step::{PacketRules, PacketSelection, PartitionAction};

impl TableStep for PacketRules {
    const OWNER_ALONE: &'static str = "counts its packets";

    fn table(&self) -> &str {
        &self.table
    }

    fn selection(&self) -> &PacketSelection {
        &self.selection
    }

    fn enforce(&self) -> Result<Box<dyn Hold>, KernelError> {
        let decision = match self.action {
            PartitionAction::Drop => Decision::Drop,
            PartitionAction::Reject => Decision::Reject,
            PartitionAction::Unreachable => Decision::Unreachable,
        };
        let table = PacketTable::create(&self.table, &self.selection, decision)?;
        Ok(Box::new(Enforced { table, what: "stopped" }))
    }
}
