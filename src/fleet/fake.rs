//! An agent made of lists, for tests.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::{Bite, Evidence, Plan};
use faultline_agent::signals::HostReading;

use super::{Agent, Answer, FaultRequest, Injected, MustStop, NotInjected, NotPlanned, Planned, ReadRequest, Undone};

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
        let there = self.in_place().contains(&fault);
        let evidence = Evidence { bite: Bite::Yes, measurements: Vec::new() };
        at_once(if there { Ok(evidence) } else { Err("it is not in place".into()) })
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
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
}
