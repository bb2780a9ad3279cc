//! The engine: puts the faults of this process in place, holds them, and undoes them.
//!
//! Invariants:
//! - the record is durable, and the guard knows of it, before the first step;
//! - every change of the host happens under the fault's lock, with its record in the journal;
//! - a failed step undoes those before it, and itself;
//! - an engine that is dropped undoes what it still has.

mod error;
mod inject;
mod live;
pub mod saga;
mod undo;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{error, warn};

pub use error::{EngineError, InjectError};
use live::{Live, locked};
pub(crate) use undo::undo_recorded;
pub use undo::{Outcome, StepUndone, Undone};

use crate::guard::{GuardCommand, GuardHandle};
use crate::identity::{FaultId, ProcessIdentity, boot_id};
use crate::journal::{FaultState, Found, Journal};
use crate::kernel::Kernel;
use crate::lease::{BootTime, HEARTBEAT};
use crate::plan::{Evidence, UndoClass};
use crate::policy::Policy;
use crate::recover::{self, Recovery};
use crate::state::StateFolder;

/// How long an undo waits for another process (the guard, a recovery) that is at the same fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an engine works with.
pub struct EngineOptions {
    /// Where its journal is.
    pub state: StateFolder,
    /// What it acts on.
    pub kernel: Arc<dyn Kernel>,
    /// How to start its guard; without one nothing undoes when this process dies, so only tests go without.
    pub guard: Option<GuardCommand>,
    /// The run to which its faults belong.
    pub run: Option<String>,
    /// The host's policy file; `None` for the place where root keeps it.
    pub policy: Option<PathBuf>,
}

impl EngineOptions {
    /// The options of a real engine on this host, guarded by this program itself.
    pub fn host(state: StateFolder, run: Option<String>) -> Self {
        let kernel = Arc::new(crate::kernel::HostKernel);
        Self { state, kernel, guard: Some(GuardCommand::own()), run, policy: None }
    }
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { state, guard, run, policy, .. } = self;
        let mut shown = formatter.debug_struct("EngineOptions");
        shown
            .field("state", state)
            .field("guard", guard)
            .field("run", run)
            .field("policy", policy)
            .finish_non_exhaustive()
    }
}

/// A fault that was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    /// From the call to the last step in place, the durable record included.
    pub took: Duration,
}

/// A fault of this process that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// Its id.
    pub id: FaultId,
    /// Its name in the catalogue.
    pub fault: String,
    /// What it touches, one line a target.
    pub targets: Vec<String>,
    /// How it would be undone if everything died.
    pub undo: UndoClass,
    /// How long until it must be gone.
    pub left: Duration,
}

/// Injects and undoes on one host. All calls block, and are short.
pub struct Engine {
    state: StateFolder,
    journal: Journal,
    kernel: Arc<dyn Kernel>,
    guard: Option<GuardHandle>,
    keeper: Option<ProcessIdentity>,
    policy: Arc<Policy>,
    run: Option<String>,
    own: ProcessIdentity,
    boot_id: String,
    swept: Recovery,
    faults: Mutex<BTreeMap<FaultId, Arc<Live>>>,
    last_word: Mutex<BootTime>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("journal", &self.journal)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes ready to inject: undoes what a crash left, reads the host's policy, starts the guard. The guard inherits
    /// the namespaces of the calling thread.
    ///
    /// # Errors
    /// If the journal cannot be used, the policy is not to be trusted, or the guard does not start.
    pub fn open(options: EngineOptions) -> Result<Self, EngineError> {
        Self::open_as(options, None)
    }

    /// The same in the name of processes that a test makes up: a worker and its guard.
    fn open_as(
        options: EngineOptions,
        as_process: Option<(ProcessIdentity, ProcessIdentity)>,
    ) -> Result<Self, EngineError> {
        let EngineOptions { state, kernel, guard, run, policy } = options;
        let journal = Journal::of(&state);
        journal.keep_reserve()?;
        let own = match as_process {
            Some((own, _)) => own,
            None => ProcessIdentity::own().map_err(EngineError::Identity)?,
        };
        let boot_id = boot_id().map_err(EngineError::Identity)?;
        let swept = recover::recover(&state, kernel.as_ref())?;
        let policy = Arc::new(Policy::load(policy.as_deref())?);
        let guard = guard.map(|command| GuardHandle::spawn(&command, own, state.path())).transpose()?;
        let keeper = guard.as_ref().map(|guard| guard.identity).or(as_process.map(|(_, guard)| guard));
        Ok(Self {
            state,
            keeper,
            journal,
            kernel,
            guard,
            policy,
            run,
            own,
            boot_id,
            swept,
            faults: Mutex::default(),
            last_word: Mutex::new(BootTime::now()),
        })
    }

    /// What was found at the start that a crash had left, and what became of it.
    pub fn swept(&self) -> &Recovery {
        &self.swept
    }

    /// The policy of this host, as read at the start.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The guard's process, which no fault may touch.
    pub fn guard(&self) -> Option<ProcessIdentity> {
        self.keeper
    }

    /// An id that no fault of this host bears. It is a name and decides nothing, so it does not come from the seed.
    pub fn new_id(&self) -> FaultId {
        loop {
            // The standard library seeds each of these from the kernel's random numbers.
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(self.own.start_time);
            hasher.write_i32(self.own.pid);
            let id = FaultId::from_number(hasher.finish());
            if id.number() != 0 && !self.journal.path(&id).exists() {
                return id;
            }
        }
    }

    /// What a fault of this process was measured to do so far.
    ///
    /// # Errors
    /// If it is not active here, or a step cannot be measured.
    pub fn evidence(&self, id: &FaultId) -> Result<Evidence, EngineError> {
        let live = self.live(id).ok_or_else(|| EngineError::NotActive(id.clone()))?;
        let holds = locked(&live.holds);
        let steps = locked(&live.ledger).record.plan.steps.clone();
        let mut parts = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            parts.push(match holds.get(index).and_then(Option::as_ref) {
                Some(hold) => hold.evidence(),
                None => self.kernel.measure(step).map_err(EngineError::Measure)?,
            });
        }
        Ok(Evidence::combine(parts))
    }

    /// Undoes a fault. Whatever goes wrong is in the answer: an undo is never given up half way. A fault of a worker
    /// that died is undone as well; one of another living worker is not touched.
    pub fn undo(&self, id: &FaultId) -> Undone {
        match self.live(id) {
            Some(live) => self.undo_live(id, &live),
            None => self.undo_foreign(id),
        }
    }

    /// Undoes every fault of this process, the newest id last.
    pub fn undo_all(&self) -> Vec<(FaultId, Undone)> {
        let all: Vec<(FaultId, Arc<Live>)> =
            locked(&self.faults).iter().map(|(id, live)| (id.clone(), Arc::clone(live))).collect();
        all.into_iter()
            .map(|(id, live)| {
                let undone = self.undo_live(&id, &live);
                (id, undone)
            })
            .collect()
    }

    /// Tells the guard that this process is alive; to be called at least every second. Only now and then, and only
    /// while a fault is active, does this wake the guard.
    pub fn heartbeat(&self) {
        if locked(&self.faults).is_empty() {
            return;
        }
        let mut last = locked(&self.last_word);
        let now = BootTime::now();
        if now.since(*last) >= HEARTBEAT {
            *last = now;
            if let Some(guard) = &self.guard {
                guard.alive();
            }
        }
    }

    /// Whether the guard died. The caller undoes everything and ends: from now on nothing would undo in its place.
    pub fn guard_lost(&self) -> bool {
        self.guard.as_ref().is_some_and(GuardHandle::is_lost)
    }

    /// The faults of this process that are in place.
    pub fn active(&self) -> Vec<Active> {
        let now = BootTime::now();
        let faults = locked(&self.faults);
        let active = faults.iter().map(|(id, live)| {
            let ledger = locked(&live.ledger);
            let plan = &ledger.record.plan;
            Active {
                id: id.clone(),
                fault: plan.fault.clone(),
                targets: plan.targets.clone(),
                undo: plan.undo_class(),
                left: ledger.record.deadline.since(now),
            }
        });
        active.collect()
    }

    fn live(&self, id: &FaultId) -> Option<Arc<Live>> {
        locked(&self.faults).get(id).cloned()
    }

    fn tell_guard(&self) {
        *locked(&self.last_word) = BootTime::now();
        if let Some(guard) = &self.guard {
            guard.rescan();
        }
    }

    /// Undoes from what this process knows, even if the guard undid it meanwhile and the record is gone: a step that
    /// acted after the guard looked would otherwise stay.
    fn undo_live(&self, id: &FaultId, live: &Live) -> Undone {
        locked(&live.ledger).closing = true;
        let _work = locked(&live.work);
        let (record, held) = {
            let mut ledger = locked(&live.ledger);
            (ledger.record.clone(), ledger.lock.take())
        };
        let lock = match held {
            Some(lock) => Ok(Some(lock)),
            None => self.journal.lock(id, PATIENCE),
        };
        let lock = match lock {
            Ok(Some(lock)) => lock,
            Ok(None) => return undo::refused("another process is undoing it and has not finished", id),
            Err(error) => return undo::refused(&error.to_string(), id),
        };
        let mut holds = locked(&live.holds);
        let (undone, journaled) =
            undo_recorded(&self.journal, self.kernel.as_ref(), record, &mut holds, lock, &self.boot_id);
        if let Err(error) = journaled {
            warn!(%error, fault = %id, "the fault is undone, its record could not be brought up to date");
        }
        if undone.verified {
            locked(&self.faults).remove(id);
            self.tell_guard();
        } else {
            for step in undone.steps.iter().filter(|step| !step.outcome.is_clean()) {
                error!(fault = %id, step = %step.step, outcome = %step.outcome, "an undo is stuck");
            }
            locked(&live.ledger).record.state = FaultState::Stuck;
        }
        undone
    }

    fn undo_foreign(&self, id: &FaultId) -> Undone {
        let nothing = Undone { steps: Vec::new(), verified: true, took: Duration::ZERO };
        let lock = match self.journal.lock(id, PATIENCE) {
            Ok(Some(lock)) => lock,
            Ok(None) => return undo::refused("another process is undoing it and has not finished", id),
            Err(error) => return undo::refused(&error.to_string(), id),
        };
        match self.journal.read(id) {
            Ok(None) => {
                lock.remove();
                nothing
            }
            Ok(Some(Found::Record(record))) if record.has_keeper(&self.boot_id) => undo::refused(
                &format!("it belongs to process {}, which is alive: halt the host, or end that process", record.worker),
                id,
            ),
            Ok(Some(Found::Record(record))) => {
                undo_recorded(&self.journal, self.kernel.as_ref(), *record, &mut Vec::new(), lock, &self.boot_id).0
            }
            Ok(Some(Found::Unreadable { reason, .. })) => undo::refused(&format!("its record: {reason}"), id),
            Err(error) => undo::refused(&error.to_string(), id),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What cannot be undone here is in the journal, and the guard tries it once more when its pipe closes.
        self.undo_all();
    }
}

#[cfg(test)]
mod tests;
