//! An agent made of lists, for tests.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use faultline_agent::identity::FaultId;
use faultline_agent::plan::Evidence;
use faultline_agent::signals::HostReading;

use super::{Agent, Answer, FaultRequest, Injected, MustStop, NotInjected, NotPlanned, Planned, ReadRequest, Undone};

/// An agent that undoes whatever it is asked to, and remembers it.
#[derive(Debug, Default)]
pub(crate) struct FakeAgent {
    pub(crate) name: String,
    /// Whether its undos are seen to be complete.
    pub(crate) verifies: bool,
    /// What it reads; without one it never answers.
    pub(crate) reading: Option<HostReading>,
    pub(crate) undone: Mutex<BTreeSet<FaultId>>,
}

fn never<T: Send + 'static>() -> Answer<T> {
    Box::pin(std::future::pending())
}

impl Agent for FakeAgent {
    fn host(&self) -> &str {
        &self.name
    }

    fn new_id(&self) -> FaultId {
        FaultId::from_number(1)
    }

    fn plan(&self, _: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        never()
    }

    fn inject(&self, _: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        never()
    }

    fn evidence(&self, _: FaultId) -> Answer<Result<Evidence, String>> {
        never()
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        self.undone.lock().unwrap_or_else(PoisonError::into_inner).insert(fault);
        let verified = self.verifies;
        Box::pin(async move { Undone { steps: Vec::new(), verified, took: Duration::from_millis(2) } })
    }

    fn read(&self, _: ReadRequest) -> Answer<Result<HostReading, String>> {
        match self.reading.clone() {
            Some(reading) => Box::pin(async move { Ok(reading) }),
            None => never(),
        }
    }

    fn heartbeat(&self) {}

    fn must_stop(&self) -> Option<MustStop> {
        None
    }
}
