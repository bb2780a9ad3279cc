use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Injected;
use crate::identity::FaultId;

/// So many faults that are over are remembered: far more than can be asked for within the time in which a request may
/// still be on its way.
const REMEMBERED: usize = 10_000;

/// What became of every id that this agent was asked to inject.
#[derive(Debug, Default)]
pub(super) struct Issued(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    faults: BTreeMap<FaultId, Standing>,
    over: VecDeque<FaultId>,
}

/// Where one id stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// It was never seen before; from now on it is pending.
    New,
    /// It is being put in place by another thread.
    Pending,
    /// It is in place.
    InPlace(Box<Injected>),
    /// It was undone, or could not be put in place.
    Over,
}

impl Issued {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an id stands; a new one is pending from now on.
    pub(super) fn begin(&self, id: &FaultId) -> Standing {
        let mut known = self.known();
        if let Some(standing) = known.faults.get(id) {
            return standing.clone();
        }
        known.faults.insert(id.clone(), Standing::Pending);
        Standing::New
    }

    /// It is in place, unless its undo was asked for meanwhile.
    pub(super) fn in_place(&self, id: &FaultId, injected: &Injected) {
        let mut known = self.known();
        if known.faults.get(id) == Some(&Standing::Pending) {
            known.faults.insert(id.clone(), Standing::InPlace(Box::new(injected.clone())));
        }
    }

    /// It is over, and stays so. Of an id that was never asked for as well: an undo may overtake its injection.
    pub(super) fn over(&self, id: &FaultId) {
        let mut known = self.known();
        if known.faults.insert(id.clone(), Standing::Over) != Some(Standing::Over) {
            known.over.push_back(id.clone());
        }
        if known.over.len() > REMEMBERED
            && let Some(oldest) = known.over.pop_front()
        {
            known.faults.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected() -> Injected {
        let plan = crate::plan::Plan {
            id: FaultId::from_number(7),
            fault: "process-kill".into(),
            targets: Vec::new(),
            dose: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
        };
        Injected { plan, took: std::time::Duration::from_millis(1) }
    }

    #[test]
    fn an_id_is_new_once_and_an_undo_that_overtakes_its_injection_wins() {
        let (issued, id) = (Issued::default(), FaultId::from_number(7));
        assert_eq!(issued.begin(&id), Standing::New);
        assert_eq!(issued.begin(&id), Standing::Pending);
        issued.in_place(&id, &injected());
        assert_eq!(issued.begin(&id), Standing::InPlace(Box::new(injected())));
        issued.over(&id);
        assert_eq!(issued.begin(&id), Standing::Over);
        issued.in_place(&id, &injected());
        assert_eq!(issued.begin(&id), Standing::Over, "over is the end");
        let other = FaultId::from_number(8);
        issued.over(&other);
        assert_eq!(issued.begin(&other), Standing::Over, "the undo came first");
    }

    #[test]
    fn memory_is_bounded_and_what_is_in_place_is_never_forgotten() {
        let issued = Issued::default();
        let held = FaultId::from_number(1);
        issued.begin(&held);
        issued.in_place(&held, &injected());
        for number in 0..20_000 {
            issued.over(&FaultId::from_number(number + 2));
        }
        assert_eq!(issued.known().faults.len(), REMEMBERED + 1);
        assert!(matches!(issued.begin(&held), Standing::InPlace(_)));
    }
}
