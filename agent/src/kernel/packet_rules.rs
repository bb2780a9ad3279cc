//! Partitions: packets dropped or rejected by a table of ours.

use std::sync::Arc;

use super::packet_table::{self, Decision, PacketTable};
use super::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::{PacketRules, PartitionAction};
use crate::plan::{Bite, Evidence, Measurement};

impl Room for PacketRules {
    fn apply(&self, _amend: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        let decision = match self.action {
            PartitionAction::Drop => Decision::Drop,
            PartitionAction::Reject => Decision::Reject,
            PartitionAction::Unreachable => Decision::Unreachable,
        };
        Ok(Some(Box::new(Partition(PacketTable::create(&self.table, &self.selection, decision)?))))
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        packet_table::revert(&self.table, &self.selection.namespace)
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        packet_table::is_present(&self.table, &self.selection.namespace)
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let bite = if self.is_present()? {
            Bite::NotYet("its owner alone counts its packets".into())
        } else {
            Bite::No(format!("table inet {} is not there", self.table))
        };
        Ok(Evidence { bite, measurements: Vec::new() })
    }
}

/// A partition in force.
#[derive(Debug)]
struct Partition(PacketTable);

impl Hold for Partition {
    fn evidence(&self) -> Evidence {
        let counted = match self.0.counted() {
            Ok(counted) => counted,
            Err(error) => {
                return Evidence {
                    bite: Bite::No(format!("the rules cannot be read: {error}")),
                    measurements: Vec::new(),
                };
            }
        };
        let bite = match (counted.packets, self.0.trouble()) {
            (0, Some(trouble)) => Bite::NotYet(format!("no matching packet so far, and: {trouble}")),
            (0, None) => Bite::NotYet("no matching packet has passed since the fault was put in place".into()),
            _ => Bite::Yes,
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody counts packets beyond 2^53")]
        let measurement = |name: &str, measured: u64, unit: &str| Measurement {
            name: name.into(),
            asked: None,
            measured: measured as f64,
            unit: unit.into(),
            by: "the counters of the rules".into(),
        };
        let measurements = vec![
            measurement("packets stopped", counted.packets, "packets"),
            measurement("bytes stopped", counted.bytes, "bytes"),
        ];
        Evidence { bite, measurements }
    }
}
