//! What all steps share whose whole is one table: they are there as long as the table is.

use std::sync::Arc;

use super::{PacketTable, is_present, revert};
use crate::kernel::{Amend, Hold, KernelError, Reverted, Room};
use crate::plan::step::PacketSelection;
use crate::plan::{Bite, Evidence, Measurement};

/// A step that is one table, with whatever its owner does to the packets.
pub(crate) trait TableStep {
    /// What its owner alone can tell: `counts its packets`.
    const OWNER_ALONE: &'static str;

    /// The name of the table.
    fn table(&self) -> &str;

    /// The packets meant.
    fn selection(&self) -> &PacketSelection;

    /// Puts it in force until the hold is dropped.
    fn enforce(&self) -> Result<Box<dyn Hold>, KernelError>;
}

impl<S: TableStep> Room for S {
    fn apply(&self, _: Arc<Amend<'static>>) -> Result<Option<Box<dyn Hold>>, KernelError> {
        self.enforce().map(Some)
    }

    fn revert(&self) -> Result<Reverted, KernelError> {
        revert(self.table(), &self.selection().namespace)
    }

    fn is_present(&self) -> Result<bool, KernelError> {
        is_present(self.table(), &self.selection().namespace)
    }

    fn measure(&self) -> Result<Evidence, KernelError> {
        let bite = if self.is_present()? {
            Bite::NotYet(format!("its owner alone {}", S::OWNER_ALONE))
        } else {
            Bite::No(format!("table inet {} is not there", self.table()))
        };
        Ok(Evidence::new(bite, Vec::new()))
    }
}

/// A table in force whose rules act by themselves, and count.
#[derive(Debug)]
pub(crate) struct Enforced {
    /// The table.
    pub(crate) table: PacketTable,
    /// What becomes of its packets, in one word: `stopped`.
    pub(crate) what: &'static str,
}

impl Hold for Enforced {
    fn evidence(&self) -> Evidence {
        let counted = match self.table.counted() {
            Ok(counted) => counted,
            Err(error) => {
                let bite = Bite::No(format!("the rules cannot be read: {error}"));
                return Evidence::new(bite, Vec::new());
            }
        };
        let bite = if counted.packets == 0 { self.table.not_met() } else { Bite::Yes };
        #[expect(clippy::cast_precision_loss, reason = "nobody counts packets beyond 2^53")]
        let measurement = |unit: &str, measured: u64| Measurement {
            name: format!("{unit} {}", self.what),
            asked: None,
            measured: measured as f64,
            unit: unit.into(),
            by: "the counters of the rules".into(),
        };
        let measurements = vec![measurement("packets", counted.packets), measurement("bytes", counted.bytes)];
        Evidence::new(bite, measurements)
    }
}
