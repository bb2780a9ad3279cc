//! The agent's end of the wire: it dials each controller of its fleet, holds one session with each, and goes on undoing
//! alone when cut off.
//!
//! Invariants:
//! - no fault is in place beyond min(its end, the last word of the controller that asked for it + lease), see [`lease`];
//!   losing another controller changes nothing of it, and any controller may undo it;
//! - a halt is the host's: whoever orders it, everything is undone, whoever asked for that;
//! - no step comes over the wire; what is asked for is planned by the host itself;
//! - an undo is never refused, and answered only when no injection of the same id is under way any more.

mod address;
pub mod backoff;
mod clock;
mod connection;
mod converse;
mod desk;
pub mod dial;
pub mod discover;
mod enrol;
pub mod enrolled;
mod greeting;
mod host;
mod keep;
mod known;
pub mod lease;
pub mod limits;
mod notify;
mod renew;
mod say;
mod serve;
mod sessions;
mod standing;
mod trouble;
mod unheard;
pub mod wire;

use std::sync::Arc;

use tokio::sync::watch;

pub use address::{Address, AddressError};
pub use clock::{Clock, HostClock};
pub use connection::{Connection, client, speak};
use desk::Desk;
pub use dial::Dial;
pub use enrol::{Enrolment, enrol};
pub use enrolled::{Enrolled, Renewal};
pub use greeting::Greeting;
pub use host::{Answer, BY_THE_CONTROLLER, Host, NodeHost};
pub use known::KnownControllers;
pub use notify::Notifier;
pub use sessions::Directory;
use sessions::{Shared, hold_all};
pub use trouble::Trouble;

use crate::node::NodeStatus;

/// What an agent is made of.
pub struct AgentOptions<C> {
    /// What it acts on.
    pub host: Arc<dyn Host>,
    /// How it reaches each controller that it was told of at its start. It has a session with every one of them.
    pub dials: Vec<Arc<dyn Dial>>,
    /// What it does with addresses of further controllers; nothing if only those above are to be dialled.
    pub directory: Option<Arc<dyn Directory>>,
    /// The clock of its leases.
    pub clock: C,
    /// What it says of itself.
    pub greeting: Greeting,
    /// The seed of the jitter of its reconnects.
    pub seed: u64,
    /// Who supervises it.
    pub notifier: Notifier,
    /// How its certificate is renewed; nothing where there is none.
    pub renewal: Option<Arc<dyn Renewal>>,
}

impl<C> std::fmt::Debug for AgentOptions<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AgentOptions").field("greeting", &self.greeting).finish_non_exhaustive()
    }
}

/// How an agent ended, after everything was undone that could be.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Why.
    pub reason: String,
    /// Whether its guard was lost: it must be started again before it can inject.
    pub guard_lost: bool,
    /// How its host stands.
    pub status: NodeStatus,
}

/// Is the agent of a host until `stop` is set to a reason, or the guard is lost. Everything is undone when this returns,
/// but for what is stuck. To be called inside a runtime of tokio, of one thread or of many.
pub async fn run<C: Clock>(options: AgentOptions<C>, stop: watch::Receiver<Option<String>>) -> Ended {
    let AgentOptions { host, dials, directory, clock, greeting, seed, notifier, renewal } = options;
    let desk = Arc::new(Desk::new(host, clock));
    let (close, closed) = watch::channel(None);
    let (shared, heard) = Shared::new(Arc::clone(&desk), greeting, seed, notifier.clone(), renewal);
    let connecting = hold_all(shared, dials, directory, heard, Closing(closed));
    let keeping = keep::keep(Arc::clone(&desk));
    let watchdog = notifier.watchdog();
    let ending = async {
        let mut stop = Closing(stop);
        let (reason, guard_lost) = tokio::select! {
            reason = stop.wait() => (reason, false),
            _ = keeping => ("the guard is gone".to_owned(), true),
            () = watchdog => ("the watchdog is over".to_owned(), false),
        };
        notifier.stopping(&reason);
        desk.close();
        desk.undo_all(&format!("the agent ends: {reason}")).await;
        // Each session says goodbye once everything is undone.
        let _ = close.send(Some(reason.clone()));
        (reason, guard_lost)
    };
    let ((reason, guard_lost), ()) = tokio::join!(ending, connecting);
    Ended { reason, guard_lost, status: desk.status().await }
}

/// Tells when the agent, or one of its sessions, is to end, and why.
#[derive(Debug)]
struct Closing(watch::Receiver<Option<String>>);

impl Closing {
    async fn wait(&mut self) -> String {
        match self.0.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // Nobody is left who could say why.
            Err(_) => "its owner is gone".into(),
        }
    }
}
