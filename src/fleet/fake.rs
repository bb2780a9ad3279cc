//! An agent made of lists, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Evidence, Plan};
use faultline_agent::signals::HostReading;

use super::{
    Agent, Answer, FaultRequest, Injected, MustStop, NotInjected, NotPlanned, Planned, Presence, ReadRequest, Undone,
    UndoneAlone, UndoneStep,
};

/// How long an undo waits for a host that is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// An agent that does what it is asked to on a host that is only a list, and remembers it.
#[derive(Debug, Default)]
pub(crate) struct FakeAgent {
    pub(crate) name: String,
    /// Whether its undos are seen to be complete.
    pub(crate) verifies: bool,
    /// What it reads; without one it never answers.
    pub(crate) reading: Option<HostReading>,
    /// The faults that it put in place, in their order.
    pub(crate) injected: Mutex<Vec<FaultId>>,
    /// The faults that it was asked to undo.
    pub(crate) undone: Mutex<BTreeSet<FaultId>>,
    /// The faults that it undid without being asked, each with why.
    pub(crate) alone: Mutex<BTreeMap<FaultId, UndoneAlone>>,
    /// Whether the host is there.
    pub(crate) presence: Arc<Mutex<Presence>>,
    pub(crate) ids: AtomicU64,
}

impl FakeAgent {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.into(), verifies: true, ..Self::default() }
    }

    /// What is in place now.
    pub(crate) fn in_place(&self) -> Vec<FaultId> {
        let undone = self.undone.lock().unwrap_or_else(PoisonError::into_inner);
        let injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        injected.iter().filter(|fault| !undone.contains(fault)).cloned().collect()
    }

    /// Nothing is heard of it any more; its lease undoes what is in place.
    pub(crate) fn vanish(&self) {
        let mut presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        presence.silent = Some(Duration::from_secs(16));
        drop(presence);
        for fault in self.in_place() {
            let alone = UndoneAlone { because: "nothing was heard of the controller".into(), verified: true };
            self.alone.lock().unwrap_or_else(PoisonError::into_inner).insert(fault.clone(), alone);
            self.undone.lock().unwrap_or_else(PoisonError::into_inner).insert(fault);
        }
    }

    /// It is heard again, in another life if `process` is another number.
    pub(crate) fn come_back(&self, process: u64) {
        let mut presence = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        presence.silent = None;
        presence.life.process = process;
    }

    fn is_away(&self) -> bool {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner).silent.is_some()
    }

    fn plan_of(&self, request: &FaultRequest) -> Plan {
        Plan {
            id: request.id.clone(),
            fault: request.fault.name().into(),
            targets: vec![format!("{} of {}", request.target_name, self.name)],
            dose: Vec::new(),
            steps: Vec::new(),
            notes: Vec::new(),
        }
    }
}

fn never<T: Send + 'static>() -> Answer<T> {
    Box::pin(std::future::pending())
}

fn at_once<T: Send + 'static>(answer: T) -> Answer<T> {
    Box::pin(async move { answer })
}

impl Agent for FakeAgent {
    fn host(&self) -> &str {
        &self.name
    }

    fn new_id(&self) -> FaultId {
        let host = self.name.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        FaultId::from_number((host << 16) + self.ids.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        let plan = self.plan_of(&request);
        at_once(Ok(Planned { targets: plan.targets.clone(), plan, refused: None }))
    }

    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        let plan = self.plan_of(&request);
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).push(request.id);
        at_once(Ok(Injected { plan, took: Duration::from_millis(1) }))
    }

    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>> {
        let there = self.in_place().contains(&fault) && !self.is_away();
        let evidence = Evidence::new(Bite::Yes, Vec::new());
        at_once(if there { Ok(evidence) } else { Err("it is not in place".into()) })
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        if self.is_away() {
            let step = UndoneStep { step: format!("ask {}", self.name), outcome: "out of reach".into(), clean: false };
            let (presence, verified) = (Arc::clone(&self.presence), self.verifies);
            // Its lease has undone the fault; what is missing is its word, for which is waited.
            return Box::pin(async move {
                for _ in 0..PATIENCE.as_millis() / 20 {
                    if presence.lock().unwrap_or_else(PoisonError::into_inner).silent.is_none() {
                        return Undone { steps: Vec::new(), verified, took: Duration::from_millis(2) };
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Undone { steps: vec![step], verified: false, took: PATIENCE }
            });
        }
        self.undone.lock().unwrap_or_else(PoisonError::into_inner).insert(fault);
        at_once(Undone { steps: Vec::new(), verified: self.verifies, took: Duration::from_millis(2) })
    }

    fn read(&self, _: ReadRequest) -> Answer<Result<HostReading, String>> {
        self.reading.clone().map_or_else(never, |reading| at_once(Ok(reading)))
    }

    fn heartbeat(&self) {}

    fn must_stop(&self) -> Option<MustStop> {
        None
    }

    fn presence(&self) -> Presence {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn undone_alone(&self, fault: &FaultId) -> Option<UndoneAlone> {
        if self.is_away() {
            return None;
        }
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).get(fault).cloned()
    }
}
