//! The life of a fault as a pure function: which change may follow which. Everything else is an error, since acting on
//! a fault in the wrong state is how things get left behind.

use crate::journal::FaultState;

/// What can happen to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The last of its steps is in place.
    Applied,
    /// A step chose other victims and wrote them down.
    Amended,
    /// Undo began: it was asked, a step failed, or a keeper died.
    Revert,
    /// Every step is taken back, and that was verified.
    Reverted,
    /// Some step could not be taken back after all attempts.
    GiveUp,
}

/// A change that may not happen to a fault in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fault that is {state:?} cannot be {change:?}")]
pub struct IllegalChange {
    /// The state.
    pub state: FaultState,
    /// The change.
    pub change: Change,
}

/// The state after a change.
///
/// # Errors
/// If that change may not happen in that state.
pub fn next(state: FaultState, change: Change) -> Result<FaultState, IllegalChange> {
    use Change::{Amended, Applied, GiveUp, Revert, Reverted};
    use FaultState::{Active, Intended, Reverting, Stuck, Undone};
    match (state, change) {
        (Intended, Applied) => Ok(Active),
        (Intended | Active, Amended) => Ok(state),
        // A stuck fault may be tried again, and so may an undo that was cut short.
        (Intended | Active | Reverting | Stuck, Revert) => Ok(Reverting),
        (Reverting, Reverted) => Ok(Undone),
        (Reverting, GiveUp) => Ok(Stuck),
        _ => Err(IllegalChange { state, change }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [FaultState; 5] =
        [FaultState::Intended, FaultState::Active, FaultState::Reverting, FaultState::Stuck, FaultState::Undone];
    const CHANGES: [Change; 5] = [Change::Applied, Change::Amended, Change::Revert, Change::Reverted, Change::GiveUp];

    #[test]
    fn every_pair_is_decided_and_nothing_follows_undone() {
        let mut table = String::new();
        for state in STATES {
            for change in CHANGES {
                let after = next(state, change).map_or("-".into(), |after| format!("{after:?}"));
                table.push_str(&format!("{state:?} + {change:?} = {after}\n"));
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn from_every_state_but_undone_an_undo_can_be_tried() {
        for state in STATES {
            assert_eq!(next(state, Change::Revert).is_ok(), state != FaultState::Undone, "{state:?}");
        }
    }
}
