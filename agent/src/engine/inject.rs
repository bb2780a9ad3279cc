use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::live::{Live, locked};
use super::saga::Change;
use super::{Engine, InjectError, Injected};
use crate::crash_point;
use crate::halt;
use crate::journal::{FaultState, Record, StepStatus};
use crate::kernel::{Hold, KernelError};
use crate::lease::BootTime;
use crate::plan::Plan;
use crate::units::TimeSpan;

impl Engine {
    /// Puts a fault in place for that long, counted from when it is in place: writes its record durably, tells the
    /// guard, and takes its steps. Should a step fail, everything is undone again before this returns.
    ///
    /// Undoing it in time is the caller's; the guard does it if the caller does not.
    ///
    /// # Errors
    /// If the host is halted, its policy forbids it, the guard is dead, the record cannot be written (nothing is
    /// touched then), or a step fails.
    pub fn inject(&self, plan: Plan, lasts: TimeSpan) -> Result<Injected, InjectError> {
        self.inject_for(None, plan, lasts)
    }

    /// The same for a run, which its record then names instead of the engine's own.
    ///
    /// # Errors
    /// As [`Engine::inject`].
    pub fn inject_for(&self, run: Option<&str>, plan: Plan, lasts: TimeSpan) -> Result<Injected, InjectError> {
        let began = Instant::now();
        if let Some(halt) = halt::read(&self.state) {
            return Err(InjectError::Halted(halt));
        }
        self.policy.permits(&plan, lasts, locked(&self.faults).len())?;
        if self.guard_lost() {
            return Err(InjectError::GuardLost);
        }
        let id = plan.id.clone();
        let exists = || InjectError::Exists(id.clone());
        if self.live(&id).is_some() {
            return Err(exists());
        }
        let lock = self.journal.lock(&id, Duration::ZERO)?.ok_or_else(exists)?;
        if self.journal.read(&id)?.is_some() {
            return Err(exists());
        }
        let record = Record {
            run: run.map(str::to_owned).or_else(|| self.run.clone()),
            boot_id: self.boot_id.clone(),
            worker: self.own,
            guard: self.guard(),
            since: jiff::Timestamp::now().to_string(),
            deadline: BootTime::now().after(lasts.duration()),
            state: FaultState::Intended,
            steps: vec![StepStatus::Pending; plan.steps.len()],
            plan,
        };
        if let Err(error) = self.journal.write(&record) {
            // The write may have failed after the rename: a record without a fault is of no use to anybody.
            let _ = self.journal.forget(&id, lock);
            return Err(error.into());
        }
        // Once more: whoever set a halt since then looks for records next, and either sees this one or is seen here.
        if let Some(halt) = halt::read(&self.state) {
            self.journal.forget(&id, lock)?;
            return Err(InjectError::Halted(halt));
        }
        let live = Arc::new(Live::new(record, lock));
        locked(&self.faults).insert(id.clone(), Arc::clone(&live));
        self.tell_guard();
        crash_point!("after-record");
        let taken = {
            let _work = locked(&live.work);
            self.take_steps(&live).map(|()| self.settle(&live, lasts, began))
        };
        taken.map_or_else(
            |(index, error)| {
                let undone = Box::new(self.undo_live(&id, &live));
                let ledger = locked(&live.ledger);
                let step = ledger.record.step(index).map(crate::plan::Step::describe).unwrap_or_default();
                Err(InjectError::Step { step, hint: error.hint.clone(), reason: error.to_string(), undone })
            },
            Ok,
        )
    }

    fn take_steps(&self, live: &Arc<Live>) -> Result<(), (usize, KernelError)> {
        let count = locked(&live.ledger).record.plan.steps.len();
        for index in 0..count {
            let ledger = locked(&live.ledger);
            let step = ledger.record.plan.steps[index].clone();
            if ledger.closing {
                let asked = std::io::Error::other("its undo was asked while it was being injected");
                return Err((index, KernelError::new(step.describe(), "inject", asked)));
            }
            drop(ledger);
            let amend = live.amend(&self.journal, &self.policy, index);
            let hold = self.apply(&step, amend).map_err(|error| (index, error))?;
            locked(&live.holds)[index] = hold;
            crash_point!("after-step-{index}");
        }
        Ok(())
    }

    fn apply(
        &self,
        step: &crate::plan::Step,
        amend: Arc<crate::kernel::Amend<'static>>,
    ) -> Result<Option<Box<dyn Hold>>, KernelError> {
        catch_unwind(AssertUnwindSafe(|| self.kernel.apply(step, amend))).unwrap_or_else(|payload| {
            #[cfg(all(test, debug_assertions))]
            if payload.is::<crate::crash::simulated::Crash>() {
                std::panic::resume_unwind(payload);
            }
            let text = super::undo::panic_text(payload.as_ref());
            Err(KernelError::new(step.describe(), "room", std::io::Error::other(format!("it panicked: {text}"))))
        })
    }

    /// Every step is in place: the record says so, and others may hold the fault from now on.
    fn settle(&self, live: &Live, lasts: TimeSpan, began: Instant) -> Injected {
        let took = began.elapsed();
        let mut ledger = locked(&live.ledger);
        let deadline = BootTime::now().after(lasts.duration());
        let written = ledger.change(&self.journal, Change::Applied, |record| {
            record.deadline = deadline;
            record.steps.fill(StepStatus::Applied);
        });
        if let Err(error) = written {
            // The record that stands is enough to undo everything; only its view of the state is old.
            tracing::warn!(%error, "the record could not be brought up to date");
            ledger.record.state = FaultState::Active;
        }
        drop(ledger.lock.take());
        drop(ledger);
        self.tell_guard();
        crash_point!("active");
        Injected { took }
    }
}
