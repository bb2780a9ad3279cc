//! The agent of `faultline run`: the node in this very process, with its guard beside it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faultline_agent::identity::{FaultId, ProcessIdentity};
use faultline_agent::node::Node;
use faultline_agent::plan::Evidence;
use faultline_agent::signals::{HostReading, HostSubject};
use faultline_agent::state::StateFolder;
use faultline_agent::target::{Ground, HostTarget};

use super::{
    Agent, Answer, FaultRequest, Injected, MustStop, NotInjected, NotPlanned, Planned, Presence, ReadRequest, Undone,
    UndoneAlone,
};
use crate::experiment::document::WHOLE_HOST;

/// The agent of this host, in this process.
#[derive(Debug)]
pub struct LocalAgent {
    node: Arc<Node>,
    ground: Mutex<Ground>,
}

impl LocalAgent {
    /// Sweeps what a crash left on this host, and starts the guard.
    ///
    /// # Errors
    /// If the state folder cannot be used or the guard cannot be started.
    pub fn open(state: &StateFolder, ground: Ground) -> Result<Self, String> {
        let node = Node::open(state).map_err(|error| error.told())?;
        Ok(Self { node: Arc::new(node), ground: Mutex::new(ground) })
    }

    /// What the run brought to this host, as last told.
    fn ground(&self) -> Ground {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run's services are these processes now, and their keepers are spared whatever a target says.
    pub fn serve(
        &self,
        services: std::collections::BTreeMap<String, Vec<ProcessIdentity>>,
        keepers: Vec<ProcessIdentity>,
    ) {
        self.node.protect(keepers);
        self.ground.lock().unwrap_or_else(PoisonError::into_inner).services = services;
    }

    /// Whom a `host` signal reads: what a target is now.
    ///
    /// # Errors
    /// If it is nowhere to be found.
    pub fn subject(&self, name: &str, target: Option<&HostTarget>, seed: u64) -> Result<HostSubject, String> {
        self.node.subject(name, target, seed, &self.ground()).map_err(|error| error.to_string())
    }

    /// Asks the node on a thread that may wait; `broken` is the answer if that thread breaks.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Node, &Ground) -> T + Send + 'static,
        broken: impl FnOnce(String) -> T + Send + 'static,
    ) -> Answer<T> {
        let (node, ground) = (Arc::clone(&self.node), self.ground());
        let asked = tokio::task::spawn_blocking(move || question(&node, &ground));
        Box::pin(async move { asked.await.unwrap_or_else(|error| broken(format!("a defect of Faultline: {error}"))) })
    }
}

impl Agent for LocalAgent {
    fn host(&self) -> &str {
        WHOLE_HOST
    }

    fn new_id(&self) -> FaultId {
        self.node.new_id()
    }

    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        self.ask(
            move |node, ground| node.plan(&request, ground),
            |reason| Err(NotPlanned { reason, unsupported: false }),
        )
    }

    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        self.ask(
            move |node, ground| node.inject(&request, ground),
            |reason| Err(NotInjected { reason, verified: false }),
        )
    }

    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>> {
        self.ask(move |node, _| node.evidence(&fault), Err)
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        let broken = |reason: String| {
            tracing::error!(reason, "an undo broke; the guard has it now");
            Undone { steps: Vec::new(), verified: false, took: Duration::ZERO }
        };
        self.ask(move |node, _| node.undo(&fault), broken)
    }

    fn read(&self, request: ReadRequest) -> Answer<Result<HostReading, String>> {
        self.ask(move |node, ground| node.read(&request, ground), Err)
    }

    fn heartbeat(&self) {
        self.node.heartbeat();
    }

    fn must_stop(&self) -> Option<MustStop> {
        self.node.must_stop().map(MustStop::from)
    }

    /// The run and the agent are one process: where one is, the other is.
    fn presence(&self) -> Presence {
        Presence::default()
    }

    /// Nothing: it undoes what the run asks for, and a guard that had to undo ends the run.
    fn undone_alone(&self, _: &FaultId) -> Option<UndoneAlone> {
        None
    }
}
