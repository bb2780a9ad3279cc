//! The agent's end of the wire: it dials the controller, holds one session, and goes on undoing alone when cut off.
//!
//! Invariants:
//! - no fault of a session is in place beyond min(its end, the last word of the controller + lease), see [`lease`];
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
pub mod lease;
pub mod limits;
mod notify;
mod renew;
mod serve;
mod trouble;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

pub use address::{Address, AddressError};
pub use clock::{Clock, HostClock};
pub use connection::{Connection, client, speak};
use converse::{End, Party, converse};
use desk::Desk;
pub use dial::Dial;
pub use enrol::{Enrolment, enrol};
pub use enrolled::{Enrolled, Renewal};
pub use greeting::Greeting;
pub use host::{Answer, BY_THE_CONTROLLER, Host, NodeHost};
pub use notify::Notifier;
pub use trouble::Trouble;

use crate::node::NodeStatus;

/// What an agent is made of.
pub struct AgentOptions<C> {
    /// What it acts on.
    pub host: Arc<dyn Host>,
    /// How it reaches the controller.
    pub dial: Arc<dyn Dial>,
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
    let AgentOptions { host, dial, clock, greeting, seed, notifier, renewal } = options;
    let desk = Arc::new(Desk::new(host, clock));
    let (close, closed) = watch::channel(None);
    let ways = Ways { dial: dial.as_ref(), greeting: &greeting, seed, notifier: &notifier, renewal: renewal.as_ref() };
    let connecting = connect(&desk, ways, Closing(closed));
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
        // The session says goodbye once everything is undone.
        let _ = close.send(Some(reason.clone()));
        (reason, guard_lost)
    };
    let ((reason, guard_lost), ()) = tokio::join!(ending, connecting);
    Ended { reason, guard_lost, status: desk.status().await }
}

/// How sessions are made.
struct Ways<'a> {
    dial: &'a dyn Dial,
    greeting: &'a Greeting,
    seed: u64,
    notifier: &'a Notifier,
    renewal: Option<&'a Arc<dyn Renewal>>,
}

/// Holds sessions one after the other until the agent ends.
async fn connect<C: Clock>(desk: &Arc<Desk<C>>, ways: Ways<'_>, mut closing: Closing) {
    let Ways { dial, greeting, seed, notifier, renewal } = ways;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut failures = 0;
    let peer = dial.peer();
    let mut told = None;
    for number in 0_u64.. {
        let dialled = tokio::select! {
            dialled = dial.dial() => dialled,
            _ = closing.wait() => return,
        };
        let end = match dialled {
            Err(trouble) => End::Lost { trouble, had_stood: false },
            Ok(stream) => {
                let mut party = Party { desk, greeting, peer: &peer, closing: &mut closing, notifier, renewal };
                converse(&mut party, number, stream).await
            }
        };
        let (trouble, had_stood) = match end {
            End::Lost { trouble, had_stood } => (trouble, had_stood),
            // Dialled again at once, with the new certificate.
            End::Renewed => continue,
            End::Closed => return,
        };
        failures = if had_stood { 1 } else { failures + 1 };
        if trouble.lasting {
            // Nothing changes by asking often; a person is needed.
            failures = failures.max(7);
        }
        // Said once, and again when it is another trouble.
        if told.as_ref() != Some(&trouble) || had_stood {
            tracing::warn!(hint = trouble.hint, "{trouble}");
            notifier.status(&trouble.message);
            told = Some(trouble);
        }
        let pause = backoff::wait(failures, random.random_range(0.0..1.0), !desk.is_idle());
        tokio::select! {
            () = tokio::time::sleep(pause.max(Duration::from_millis(10))) => {}
            _ = closing.wait() => return,
        }
    }
}

/// Tells when the agent is to end, and why.
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
