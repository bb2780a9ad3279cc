use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::saga::{Change, next};
use crate::journal::{FaultLock, Found, Journal, JournalError, Record};
use crate::kernel::{Amend, Hold};
use crate::plan::Step;
use crate::policy::Policy;

/// How long a change of a record waits for another process that holds the fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// A fault of this process: its record as last written, and what is held open for its steps.
#[derive(Debug)]
pub(super) struct Live {
    /// Held while steps are taken, and while they are taken back.
    pub(super) work: Mutex<()>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) holds: Mutex<Vec<Option<Box<dyn Hold>>>>,
}

/// The record, and the right to change it while a longer piece of work has that.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) record: Record,
    pub(super) lock: Option<FaultLock>,
    /// Set when undo begins: from then on no step chooses further victims.
    pub(super) closing: bool,
}

/// A panic of another thread leaves a record that is whole: it is changed by assignment alone.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(super) fn new(record: Record, lock: FaultLock) -> Self {
        let holds = std::iter::repeat_with(|| None).take(record.plan.steps.len()).collect();
        let ledger = Ledger { record, lock: Some(lock), closing: false };
        Self { work: Mutex::new(()), ledger: Mutex::new(ledger), holds: Mutex::new(holds) }
    }

    /// The call by which a step with this number writes down new victims before it acts on them.
    pub(super) fn amend(
        self: &Arc<Self>,
        journal: &Journal,
        policy: &Arc<Policy>,
        index: usize,
    ) -> Arc<Amend<'static>> {
        let (live, journal, policy) = (Arc::downgrade(self), journal.clone(), Arc::clone(policy));
        Arc::new(move |step: &Step| {
            policy.permits_step(step).map_err(io::Error::other)?;
            let over = || io::Error::other("the fault is being undone");
            let live = live.upgrade().ok_or_else(over)?;
            let mut ledger = locked(&live.ledger);
            if ledger.closing {
                return Err(over());
            }
            ledger.change(&journal, Change::Amended, |record| {
                if let Some(place) = record.plan.steps.get_mut(index) {
                    *place = step.clone();
                }
            })
        })
    }
}

impl Ledger {
    /// Changes the record in the journal and here, unless another process undid the fault meanwhile.
    pub(super) fn change(
        &mut self,
        journal: &Journal,
        change: Change,
        edit: impl FnOnce(&mut Record),
    ) -> io::Result<()> {
        let state = next(self.record.state, change).map_err(io::Error::other)?;
        let mut record = self.record.clone();
        edit(&mut record);
        record.state = state;
        let taken;
        if self.lock.is_none() {
            taken = journal.lock(record.id(), PATIENCE).map_err(io::Error::other)?;
            if taken.is_none() {
                return Err(io::Error::other("another process is undoing the fault"));
            }
            if !is_recorded(journal, &record).map_err(io::Error::other)? {
                return Err(io::Error::other("another process undid the fault"));
            }
        }
        journal.write(&record).map_err(io::Error::other)?;
        self.record = record;
        Ok(())
    }
}

/// Whether the journal still has the fault.
pub(super) fn is_recorded(journal: &Journal, record: &Record) -> Result<bool, JournalError> {
    Ok(matches!(journal.read(record.id())?, Some(Found::Record(_))))
}
