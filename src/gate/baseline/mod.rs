//! A named baseline: the last runs of each experiment, kept in a file, and what became better or worse since.

mod compare;
mod figure;
mod kept;

pub use compare::{Change, Comparison, FEWEST, compare};
pub(crate) use kept::write_as_a_whole;
pub use kept::{BaselineError, BaselineFile, BaselineKind, KEPT, PastObjective, PastRun};

use crate::hypothesis::verdict::Phase;
use crate::report::{ObjectiveRow, PhaseVerdict};

/// An objective under the fault: what is kept, and compared.
fn during(row: &ObjectiveRow) -> Option<&PhaseVerdict> {
    row.phases.iter().find(|found| found.phase == Phase::During)
}
