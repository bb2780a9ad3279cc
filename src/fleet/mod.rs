//! Agents, as a run sees them: who plans, injects, proves and undoes on one host.
//!
//! A run talks to [`Agent`] alone. The one of `faultline run` lives in the same process ([`local`]).

#[cfg(test)]
pub(crate) mod fake;
pub mod halt;
pub mod local;
pub mod registry;
pub mod remote;
pub mod server;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use faultline_agent::halt::Halt;
use faultline_agent::identity::FaultId;
pub use faultline_agent::node::{
    FaultRequest, Injected, NotInjected, NotPlanned, Planned, ReadRequest, Undone, UndoneStep,
};
use faultline_agent::plan::Evidence;
use faultline_agent::signals::HostReading;

use crate::targets::hosts::HostLife;

/// What an agent will answer. It may take as long as the kernel needs, which is milliseconds, up to the speed of the disk
/// for a speed-limited fill, and up to the patience of a request when the host is out of reach.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One host's agent.
pub trait Agent: Send + Sync + std::fmt::Debug {
    /// The host's name.
    fn host(&self) -> &str;

    /// A new fault's name.
    fn new_id(&self) -> FaultId;

    /// What a fault would do.
    fn plan(&self, request: FaultRequest) -> Answer<Result<Planned, NotPlanned>>;

    /// Puts a fault in place, planned as things are then. The same request again does nothing.
    fn inject(&self, request: FaultRequest) -> Answer<Result<Injected, NotInjected>>;

    /// What a fault in place was measured to do so far, or why that cannot be told.
    fn evidence(&self, fault: FaultId) -> Answer<Result<Evidence, String>>;

    /// Undoes a fault. What could not be undone, or not be verified, is in the answer.
    fn undo(&self, fault: FaultId) -> Answer<Undone>;

    /// Reads the kernel for a `host` signal, or says why that is missing.
    fn read(&self, request: ReadRequest) -> Answer<Result<HostReading, String>>;

    /// Shows that the run is alive, where nobody else does.
    fn heartbeat(&self);

    /// Why the run must end at once, if it must.
    fn must_stop(&self) -> Option<MustStop>;

    /// Whether the host is there.
    fn presence(&self) -> Presence;

    /// Why the host undid a fault without being asked, and whether it saw that gone, if it said so.
    fn undone_alone(&self, fault: &FaultId) -> Option<UndoneAlone>;
}

/// Whether a host is there, and which life of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// The boot and the process that are heard, or were heard last.
    pub life: HostLife,
    /// How long ago it was heard last, if that is so long that it has undone everything by itself.
    pub silent: Option<Duration>,
}

/// A fault that a host undid of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneAlone {
    /// Why, in the agent's words.
    pub because: String,
    /// Whether it was seen to be gone.
    pub verified: bool,
}

/// Why an agent wants its run to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MustStop {
    /// The host was halted, for this reason.
    Halted(Halt),
    /// The guard is gone: nobody would undo if the agent died now.
    GuardLost,
    /// For a reason that only a newer agent knows, as it says it.
    Newer(String),
}

impl From<faultline_agent::node::MustStop> for MustStop {
    fn from(why: faultline_agent::node::MustStop) -> Self {
        match why {
            faultline_agent::node::MustStop::Halted(halt) => Self::Halted(halt),
            faultline_agent::node::MustStop::GuardLost => Self::GuardLost,
            faultline_agent::node::MustStop::Newer(why) => Self::Newer(why.to_string()),
        }
    }
}
