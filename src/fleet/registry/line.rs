use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faultline_agent::session::limits;
use faultline_agent::session::wire::answer::Outcome;
use faultline_agent::session::wire::controller_message::Message;
use faultline_agent::session::wire::request::Kind;
use faultline_agent::session::wire::{Answer, ControllerMessage, Ending, RenewOrder, Request};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::targets::hosts::HostLife;

/// The line to one connected agent: how to ask it, and what its clock says.
#[derive(Debug)]
pub(crate) struct Line {
    /// Tells this line from every other of this controller.
    pub(crate) number: u64,
    /// Of which boot and which process the agent at its end is.
    pub(crate) life: HostLife,
    // Boxed, so that the room kept for messages of an idle agent is small.
    outgoing: mpsc::Sender<Box<ControllerMessage>>,
    state: Mutex<State>,
    /// Which list of the other controllers the agent was told last.
    pub(super) others_told: AtomicU64,
    /// Whether the agent was told to renew its certificate. Each certificate has a line of its own.
    renewal_ordered: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// What the agent's clock said, and when that was heard.
    clock: (u64, Instant),
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    ended: bool,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The line was lost. Whether the request was carried out is not known.
    #[error("the connection was lost before the answer came")]
    Lost,
    /// It took too long.
    #[error("no answer came in time")]
    Late,
    /// There are too many requests already.
    #[error("{} requests to it have no answer yet, which is as many as one host takes", limits::REQUESTS)]
    Full,
}

/// A request that was sent, and has no answer yet. When this is dropped nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    line: &'a Line,
    id: u64,
    told: oneshot::Receiver<Outcome>,
    until: Instant,
}

impl Asked<'_> {
    pub(crate) async fn answer(mut self) -> Result<Outcome, NoAnswer> {
        match tokio::time::timeout_at(self.until, &mut self.told).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(NoAnswer::Lost),
            Err(_) => Err(NoAnswer::Late),
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.line.state().waiting.remove(&self.id);
    }
}

/// The end of a line at which its messages come out.
pub(crate) type Outgoing = mpsc::Receiver<Box<ControllerMessage>>;

impl Line {
    pub(crate) fn new(number: u64, life: HostLife, clock_ns: u64) -> (Self, Outgoing) {
        // Two more than can be asked: the welcome and the ending.
        let (outgoing, out) = mpsc::channel(limits::REQUESTS + 2);
        let state = State { clock: (clock_ns, Instant::now()), next: 1, waiting: BTreeMap::new(), ended: false };
        (
            Self {
                number,
                life,
                outgoing,
                state: Mutex::new(state),
                others_told: AtomicU64::new(0),
                renewal_ordered: AtomicBool::new(false),
            },
            out,
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent's clock said this just now.
    pub(crate) fn heard_clock(&self, clock_ns: u64) {
        self.state().clock = (clock_ns, Instant::now());
    }

    /// What the agent's clock says now at the least: what it said when it was last heard, and the time since.
    pub(crate) fn alive_ns(&self) -> u64 {
        self.state().alive_ns()
    }

    /// Asks, and waits for the answer for so long. To be told to the agent, which begins nothing later than that.
    pub(crate) async fn ask(&self, kind: Kind, within: Duration) -> Result<Outcome, NoAnswer> {
        self.send(kind, within)?.answer().await
    }

    /// Asks; the answer is to be waited for, for so long.
    pub(crate) fn send(&self, kind: Kind, within: Duration) -> Result<Asked<'_>, NoAnswer> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state();
        if state.ended {
            return Err(NoAnswer::Lost);
        }
        if state.waiting.len() >= limits::REQUESTS && !matches!(kind, Kind::Undo(_) | Kind::Halt(_)) {
            return Err(NoAnswer::Full);
        }
        let (id, alive_ns) = (state.next, state.alive_ns());
        let span = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        let request = Request { id, expires_ns: alive_ns.saturating_add(span), kind: Some(kind) };
        let message = ControllerMessage { alive_ns, message: Some(Message::Request(request)) };
        // Sent under the lock, so that ids leave in their order.
        self.outgoing.try_send(Box::new(message)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoAnswer::Full,
            mpsc::error::TrySendError::Closed(_) => NoAnswer::Lost,
        })?;
        state.next += 1;
        state.waiting.insert(id, tell);
        Ok(Asked { line: self, id, told, until: Instant::now() + within })
    }

    /// Tells the agent to renew its certificate now; whether that was not told before over this line.
    pub(crate) fn order_renewal(&self) -> bool {
        if self.renewal_ordered.swap(true, Ordering::Relaxed) {
            return false;
        }
        let message = ControllerMessage { alive_ns: self.alive_ns(), message: Some(Message::Renew(RenewOrder {})) };
        let told = self.outgoing.try_send(Box::new(message)).is_ok();
        // Where it does not fit, it is told another time.
        self.renewal_ordered.store(told, Ordering::Relaxed);
        told
    }

    /// An answer came. One that nobody waits for is nobody's.
    pub(crate) fn answered(&self, answer: Answer) {
        let waiting = self.state().waiting.remove(&answer.id);
        if let (Some(waiting), Some(outcome)) = (waiting, answer.outcome) {
            let _ = waiting.send(outcome);
        }
    }

    /// Ends the line: tells the agent why, and everybody who waits that no answer comes.
    pub(crate) fn end(&self, reason: &str, come_back: bool) {
        let mut state = self.state();
        let ending = Ending { reason: reason.to_owned(), come_back };
        let message = ControllerMessage { alive_ns: state.alive_ns(), message: Some(Message::Ending(ending)) };
        state.ended = true;
        state.waiting.clear();
        // Where even this does not fit, the agent does not read, and finds the stream ended.
        let _ = self.outgoing.try_send(Box::new(message));
    }

    /// Whether nothing more comes from here.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended
    }
}

impl State {
    fn alive_ns(&self) -> u64 {
        let since = u64::try_from(self.clock.1.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clock.0.saturating_add(since)
    }
}
