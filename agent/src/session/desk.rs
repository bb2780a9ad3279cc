//! What is done on the host, whoever asks for it: a controller, the end of a fault, the end of a lease, a halt.
//!
//! Several controllers may ask. Each fault lives by the word of the one that had it put in place; every one of them may
//! undo any fault by its id, which is how one takes over a run of another, and hears of every fault that is undone alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::lease::Leases;
use super::{Clock, Host};
use crate::crash_point;
use crate::identity::FaultId;
use crate::lease::BootTime;
use crate::node::{FaultRequest, Injected, MustStop, NodeStatus, NotInjected, Undone};

/// So many undos are remembered, to answer with what was really done when the answer was lost on its way.
const REMEMBERED: usize = 1_000;
/// Of so many controllers it is remembered what they were not told yet.
const CONTROLLERS: usize = 32;

/// A fault that was undone without the controller's asking.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alone {
    /// Which.
    pub fault: FaultId,
    /// Why.
    pub because: String,
    /// How.
    pub undone: Undone,
}

/// Carries out on the host.
pub(super) struct Desk<C> {
    pub(super) host: Arc<dyn Host>,
    pub(super) clock: C,
    held: Mutex<Held>,
    /// Told whenever an injection or an undo is over, a fault is begun, or something was undone alone: news for controllers.
    pub(super) changed: Notify,
    /// Told whenever something may be due earlier than was known: of a fault that is begun, and of its end.
    pub(super) due_earlier: Notify,
    injections: Notify,
}

#[derive(Default)]
struct Held {
    leases: Leases,
    injecting: BTreeSet<FaultId>,
    undoing: BTreeSet<FaultId>,
    over: BTreeMap<FaultId, Undone>,
    order: VecDeque<FaultId>,
    /// What each controller that was met was not told yet.
    untold: BTreeMap<String, Vec<Alone>>,
    closing: bool,
}

impl Held {
    /// Whether something of a fault may be in place.
    fn may_be_there(&self, fault: &FaultId) -> bool {
        self.undoing.contains(fault)
            || self.leases.faults().any(|held| held == fault)
            || self.over.get(fault).is_some_and(|undone| !undone.verified)
    }
}

impl<C: Clock> Desk<C> {
    pub(super) fn new(host: Arc<dyn Host>, clock: C) -> Self {
        Self {
            host,
            clock,
            held: Mutex::default(),
            changed: Notify::new(),
            due_earlier: Notify::new(),
            injections: Notify::new(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A controller was alive at that moment of this host's clock. Nothing is due earlier by that, so that nobody is told.
    pub(super) fn alive(&self, controller: &str, at: BootTime) {
        let now = self.clock.now();
        self.held().leases.alive(controller, at, now);
    }

    /// Puts a fault in place for a controller, unless its lease has run out or the fault's undo was asked for before. Who
    /// asks for one that is being put in place, since the first answer was lost, is answered when that is over. What is
    /// refused while something of it may be there is not called gone.
    pub(super) async fn inject(&self, controller: &str, request: FaultRequest) -> Result<Injected, NotInjected> {
        let (fault, lasts) = (request.id.clone(), request.lasts.duration());
        loop {
            self.injection_of(&fault).await;
            let now = self.clock.now();
            let mut held = self.held();
            if held.injecting.contains(&fault) {
                continue;
            }
            let refusal = if held.closing {
                Some("the agent is ending")
            } else if held.over.contains_key(&fault) {
                Some("its undo was asked for already")
            } else if !held.leases.stands(controller, now) {
                Some("the lease of the controller has run out")
            } else {
                None
            };
            if let Some(refusal) = refusal {
                let reason = format!("{}: {refusal}", request.fault.name());
                return Err(NotInjected { reason, verified: !held.may_be_there(&fault) });
            }
            held.injecting.insert(fault.clone());
            held.leases.begin(fault.clone(), controller);
            break;
        }
        let _under_way = UnderWay { desk: self, fault: &fault };
        self.changed.notify_waiters();
        self.due_earlier.notify_waiters();
        crash_point!("session/inject/leased");
        let outcome = self.host.inject(request).await;
        let end = self.clock.now().after(lasts);
        let mut held = self.held();
        match &outcome {
            Ok(_) => held.leases.in_place(&fault, end),
            Err(NotInjected { verified: true, .. }) => held.leases.gone(&fault),
            // Something may be left of it: it stays due, and is tried again.
            Err(NotInjected { verified: false, .. }) => held.leases.in_place(&fault, BootTime::MIN),
        }
        drop(held);
        self.due_earlier.notify_waiters();
        outcome
    }

    /// Undoes a fault. While an injection of it is under way, that is cut short, waited for, and undone again: what was
    /// undone first may have been nothing yet.
    pub(super) async fn undo(&self, fault: &FaultId) -> Undone {
        if let Some(undone) = self.held().over.get(fault).filter(|undone| undone.verified) {
            return undone.clone();
        }
        self.remember(fault, Undone { steps: Vec::new(), verified: false, took: std::time::Duration::ZERO });
        self.held().undoing.insert(fault.clone());
        let mut undone = self.host.undo(fault.clone()).await;
        let was_injecting = self.injection_of(fault).await;
        if was_injecting {
            let again = self.host.undo(fault.clone()).await;
            undone.steps.extend(again.steps);
            undone.verified = again.verified;
            undone.took += again.took;
        }
        self.remember(fault, undone.clone());
        let now = self.clock.now();
        {
            let mut held = self.held();
            held.undoing.remove(fault);
            if undone.verified {
                held.leases.gone(fault);
            } else {
                held.leases.not_undone(fault, now);
            }
        }
        self.changed.notify_waiters();
        undone
    }

    /// Waits for an injection of this fault to be over; answers whether there was one.
    async fn injection_of(&self, fault: &FaultId) -> bool {
        let mut was = false;
        loop {
            let over = self.injections.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if !self.held().injecting.contains(fault) {
                return was;
            }
            was = true;
            over.await;
        }
    }

    fn remember(&self, fault: &FaultId, undone: Undone) {
        let mut held = self.held();
        if held.over.insert(fault.clone(), undone).is_none() {
            held.order.push_back(fault.clone());
        }
        if held.order.len() > REMEMBERED
            && let Some(oldest) = held.order.pop_front()
        {
            held.over.remove(&oldest);
        }
    }

    /// Undoes these, all at once, of the agent's own accord.
    pub(super) async fn undo_alone(self: &Arc<Self>, faults: Vec<(FaultId, String)>) -> Vec<Alone>
    where
        C: Clock,
    {
        async fn undo<C: Clock>(desk: &Desk<C>, (fault, because): (FaultId, String)) -> Alone {
            let undone = desk.undo(&fault).await;
            Alone { fault, because, undone }
        }
        // The first of them here, where there is a task already: mostly there is one only.
        let mut faults = faults.into_iter();
        let first = faults.next();
        let mut others = tokio::task::JoinSet::new();
        for fault in faults {
            let desk = Arc::clone(self);
            others.spawn(async move { undo(&desk, fault).await });
        }
        let mut all = Vec::new();
        if let Some(first) = first {
            all.push(undo(self, first).await);
        }
        all.extend(others.join_all().await);
        let mut held = self.held();
        for alone in &all {
            if alone.undone.verified {
                tracing::warn!(fault = %alone.fault, because = alone.because, "undone without being asked");
            } else {
                tracing::error!(fault = %alone.fault, because = alone.because, "an undo did not succeed; it is tried again");
            }
        }
        for untold in held.untold.values_mut() {
            // Of a fault that is tried again and again the last word is told.
            untold.retain(|earlier| !all.iter().any(|alone| alone.fault == earlier.fault));
            untold.extend(all.iter().cloned());
            let too_many = untold.len().saturating_sub(REMEMBERED);
            untold.drain(..too_many);
        }
        drop(held);
        self.changed.notify_waiters();
        all
    }

    /// Undoes all that is in place.
    pub(super) async fn undo_all(self: &Arc<Self>, because: &str) -> Vec<Alone> {
        let all = self.held().leases.faults().map(|fault| (fault.clone(), because.to_owned())).collect();
        self.undo_alone(all).await
    }

    /// From now on nothing is put in place any more.
    pub(super) fn close(&self) {
        self.held().closing = true;
    }

    /// What is due now and not under way yet: from now on it is, and the caller undoes it.
    pub(super) fn take_due(&self) -> Vec<(FaultId, String)> {
        let mut held = self.held();
        let due = held.leases.due(self.clock.now());
        let due = due.into_iter().map(|(fault, because)| (fault, because.told().to_owned()));
        let taken: Vec<_> = due.filter(|(fault, _)| !held.undoing.contains(fault)).collect();
        held.undoing.extend(taken.iter().map(|(fault, _)| fault.clone()));
        taken
    }

    /// The same of all that is in place, whether due or not.
    pub(super) fn take_all(&self, because: &str) -> Vec<(FaultId, String)> {
        let mut held = self.held();
        let all = held.leases.to_undo(self.clock.now());
        let taken: Vec<_> = all.into_iter().filter(|fault| !held.undoing.contains(fault)).collect();
        held.undoing.extend(taken.iter().cloned());
        taken.into_iter().map(|fault| (fault, because.to_owned())).collect()
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<BootTime> {
        self.held().leases.next()
    }

    /// Whether nothing is in place.
    pub(super) fn is_idle(&self) -> bool {
        self.held().leases.is_empty()
    }

    /// How many faults are, or may be, in place.
    pub(super) fn count(&self) -> usize {
        self.held().leases.faults().count()
    }

    /// From now on this controller is told what is undone alone.
    pub(super) fn meet(&self, controller: &str) {
        let mut held = self.held();
        if !held.untold.contains_key(controller) {
            if held.untold.len() >= CONTROLLERS {
                held.untold.pop_first();
            }
            held.untold.insert(controller.to_owned(), Vec::new());
        }
    }

    /// Whether something was undone alone that this controller was not told yet.
    pub(super) fn has_alone(&self, controller: &str) -> bool {
        self.held().untold.get(controller).is_some_and(|untold| !untold.is_empty())
    }

    /// What was undone alone and not told to this controller yet.
    pub(super) fn take_alone(&self, controller: &str) -> Vec<Alone> {
        self.held().untold.get_mut(controller).map(std::mem::take).unwrap_or_default()
    }

    /// Keeps for the next session with this controller what could not be told in this one.
    pub(super) fn give_back(&self, controller: &str, alone: Vec<Alone>) {
        if let Some(untold) = self.held().untold.get_mut(controller) {
            let later = std::mem::replace(untold, alone);
            untold.extend(later);
        }
    }

    pub(super) fn must_stop(&self) -> Option<MustStop> {
        self.host.must_stop()
    }

    pub(super) async fn status(&self) -> NodeStatus {
        self.host.status().await
    }
}

/// An injection under way; over when dropped, also if its task was ended.
struct UnderWay<'a, C: Clock> {
    desk: &'a Desk<C>,
    fault: &'a FaultId,
}

impl<C: Clock> Drop for UnderWay<'_, C> {
    fn drop(&mut self) {
        self.desk.held().injecting.remove(self.fault);
        self.desk.injections.notify_waiters();
        self.desk.changed.notify_waiters();
    }
}
