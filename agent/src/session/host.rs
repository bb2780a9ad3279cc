use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::halt::{self, Halt};
use crate::identity::FaultId;
use crate::node::{
    FaultRequest, Injected, MustStop, Node, NodeStatus, NotInjected, NotPlanned, Planned, ReadRequest, Undone,
};
use crate::plan::Evidence;
use crate::signals::HostReading;
use crate::target::Ground;

/// What is answered later.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a session asks of the host on which it runs: a [`Node`], or the host of a simulation.
pub trait Host: Send + Sync + 'static {
    /// What a fault would do.
    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>>;
    /// Puts a fault in place.
    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>>;
    /// What a fault in place was measured to do.
    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>>;
    /// Undoes a fault, also one that was never there.
    fn undo(&self, fault: FaultId) -> Answer<Undone>;
    /// Reads the host's resources.
    fn read(&self, request: ReadRequest) -> Answer<Result<HostReading, String>>;
    /// From now on nothing is put in place here, for this reason of the controller.
    fn halt(&self, reason: String) -> Answer<Result<(), String>>;
    /// Takes the controller's halt back; answers what is in force all the same.
    fn release(&self) -> Answer<Result<Option<Halt>, String>>;
    /// What is in place, what is stuck, whether the host is halted.
    fn status(&self) -> Answer<NodeStatus>;
    /// Why everything must end at once, if it must. Does not wait.
    fn must_stop(&self) -> Option<MustStop>;
    /// Shows the guard that this process lives. Does not wait.
    fn heartbeat(&self);
}

/// How the reason of a halt begins that the controller ordered: it takes back these alone, and none that a person set on
/// the host.
pub const BY_THE_CONTROLLER: &str = "controller: ";

/// A run that is driven from elsewhere brought nothing to this host.
fn ground(run: &str) -> Ground {
    Ground { run: run.to_owned(), ..Ground::default() }
}

/// A [`Node`], asked on the threads that may block.
#[derive(Debug, Clone)]
pub struct NodeHost(Arc<Node>);

impl NodeHost {
    /// That of a node.
    pub fn new(node: Arc<Node>) -> Self {
        Self(node)
    }

    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Node) -> T + Send + 'static,
        failed: impl FnOnce(String) -> T + Send + 'static,
    ) -> Answer<T> {
        let node = Arc::clone(&self.0);
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || ask(&node)).await;
            asked.unwrap_or_else(|error| failed(format!("the agent failed while it was at it: {error}")))
        })
    }
}

impl Host for NodeHost {
    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>> {
        self.ask(
            move |node| node.plan(&request, &ground(&request.run)),
            |reason| Err(NotPlanned { reason, unsupported: false }),
        )
    }

    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>> {
        self.ask(
            move |node| node.inject(&request, &ground(&request.run)),
            |reason| Err(NotInjected { reason, verified: false }),
        )
    }

    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>> {
        self.ask(move |node| node.evidence(&fault), Err)
    }

    fn undo(&self, fault: FaultId) -> Answer<Undone> {
        self.ask(
            move |node| node.undo(&fault),
            |reason| {
                let step = crate::node::UndoneStep { step: "undo".into(), outcome: reason, clean: false };
                Undone { steps: vec![step], verified: false, took: Duration::ZERO }
            },
        )
    }

    fn read(&self, request: ReadRequest) -> Answer<Result<HostReading, String>> {
        self.ask(move |node| node.read(&request, &ground(&request.run)), Err)
    }

    fn halt(&self, reason: String) -> Answer<Result<(), String>> {
        let reason = format!("{BY_THE_CONTROLLER}{reason}");
        self.ask(move |node| halt::set(node.state(), &reason).map_err(|error| error.to_string()), Err)
    }

    fn release(&self) -> Answer<Result<Option<Halt>, String>> {
        self.ask(
            |node| {
                let ours = |halt: &Halt| halt.reason.starts_with(BY_THE_CONTROLLER);
                if halt::read(node.state()).as_ref().is_some_and(ours) {
                    halt::release(node.state()).map_err(|error| error.to_string())?;
                }
                Ok(halt::read(node.state()))
            },
            Err,
        )
    }

    fn status(&self) -> Answer<NodeStatus> {
        self.ask(Node::status, |_| NodeStatus::default())
    }

    fn must_stop(&self) -> Option<MustStop> {
        self.0.must_stop()
    }

    fn heartbeat(&self) {
        self.0.heartbeat();
    }
}
