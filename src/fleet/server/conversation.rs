use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use faultline_agent::node::MustStop;
use faultline_agent::session::BY_THE_CONTROLLER;
use faultline_agent::session::limits::HELLO;
use faultline_agent::session::wire::agent_message::Message as Heard;
use faultline_agent::session::wire::answer::Outcome;
use faultline_agent::session::wire::controller_message::Message as Said;
use faultline_agent::session::wire::request::Kind;
use faultline_agent::session::wire::{
    Acknowledgement, AgentMessage, ControllerMessage, HaltOrder, Hello, ReleaseOrder,
};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::connection::Opened;
use crate::fleet::registry::{Greeted, Line, Outgoing, Peer, Registry};
use crate::fleet::remote::PATIENCE;

/// One session at the controller's side. It is the stream of what the controller says, and reads what the agent says
/// whenever it is polled: one task a session, and none that waits for a timer once the agent has greeted.
pub(super) struct Conversation {
    registry: Arc<Registry>,
    peer: Peer,
    address: String,
    heard: Streaming<AgentMessage>,
    stage: Stage,
    _opened: Opened,
}

enum Stage {
    /// Nothing was said yet; it must be, in time.
    Silent(Pin<Box<tokio::time::Sleep>>),
    Open {
        line: Arc<Line>,
        outgoing: Outgoing,
    },
    Over,
}

impl Conversation {
    pub(super) fn new(
        registry: Arc<Registry>,
        peer: Peer,
        address: String,
        heard: Streaming<AgentMessage>,
        opened: Opened,
    ) -> Self {
        let stage = Stage::Silent(Box::pin(tokio::time::sleep(HELLO)));
        Self { registry, peer, address, heard, stage, _opened: opened }
    }

    fn refuse(&mut self, reason: &str) -> Status {
        tracing::warn!(host = self.peer.name, address = self.address, reason, "a session is refused");
        self.stage = Stage::Over;
        Status::failed_precondition(reason)
    }

    fn greet(&mut self, hello: Hello) -> Result<ControllerMessage, Status> {
        match self.registry.greet(&self.peer, &self.address, hello) {
            Ok(Greeted { line, outgoing, welcome }) => {
                let message = ControllerMessage { alive_ns: line.alive_ns(), message: Some(Said::Welcome(welcome)) };
                align(&self.registry, &self.peer.name, &line);
                self.stage = Stage::Open { line, outgoing };
                Ok(message)
            }
            Err(reason) => Err(self.refuse(&reason)),
        }
    }

    /// What is to be answered at once, if anything is.
    fn hear(&mut self, message: AgentMessage) -> Option<Result<ControllerMessage, Status>> {
        let line = match (&self.stage, message.message) {
            (Stage::Silent(_), Some(Heard::Hello(hello))) => return Some(self.greet(hello)),
            (Stage::Silent(_), _) => return Some(Err(self.refuse("the first message must be a greeting"))),
            (Stage::Over, _) => return None,
            (Stage::Open { line, .. }, Some(message)) => (Arc::clone(line), message),
            // Of a newer agent.
            (Stage::Open { .. }, None) => return None,
        };
        let name = self.peer.name.clone();
        match line {
            (line, Heard::Heartbeat(beat)) => {
                // Exactly what it said, and not a moment more: this lengthens its leases.
                let alive_ns = beat.clock_ns;
                self.registry.beat(&name, &line, beat);
                let others = self.registry.others_for(&line);
                Some(Ok(ControllerMessage {
                    alive_ns,
                    message: Some(Said::Acknowledgement(Acknowledgement { others })),
                }))
            }
            (line, Heard::Answer(mut answer)) => {
                match answer.news.take() {
                    Some(mut news) => {
                        if let Some(Outcome::Halted(halted)) = &answer.outcome {
                            news.undone_alone.extend(halted.faults.iter().cloned());
                        }
                        self.registry.beat(&name, &line, news);
                    }
                    None => _ = self.registry.hear(&name, &line, None),
                }
                line.answered(answer);
                None
            }
            (line, Heard::Goodbye(goodbye)) => {
                self.registry.farewell(&name, &line, &goodbye);
                self.stage = Stage::Over;
                None
            }
            (line, Heard::Hello(_)) => {
                self.registry.lost(&name, &line, "it greeted twice in one session");
                Some(Err(self.refuse("a session has one greeting")))
            }
        }
    }

    fn over(&mut self, because: &str) {
        if let Stage::Open { line, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.registry.lost(&self.peer.name, &line, because);
        }
    }
}

/// How long after a host has joined it is rid of a halt that is not in force: one that another controller orders at this
/// moment is known here by then.
const RELEASE_AFTER: Duration = Duration::from_secs(5);

/// A host that joins is brought to the halt that is in force, or rid of one of ours that is not any more.
fn align(registry: &Arc<Registry>, name: &str, line: &Arc<Line>) {
    let halted = registry.halted();
    if halted.is_none() && !is_halted_by_us(registry, name) {
        return;
    }
    let (registry, name, line) = (Arc::clone(registry), name.to_owned(), Arc::clone(line));
    tokio::spawn(async move {
        let kind = match halted {
            Some(reason) => Kind::Halt(HaltOrder { reason, answer_after_ms: 0 }),
            None => {
                tokio::time::sleep(RELEASE_AFTER).await;
                let still = is_halted_by_us(&registry, &name);
                if registry.halted().is_some() || !still || line.has_ended() {
                    return;
                }
                Kind::Release(ReleaseOrder {})
            }
        };
        if let Err(error) = line.ask(kind, PATIENCE).await {
            tracing::warn!(host = name, %error, "a host that joined was not told whether a halt is in force");
        }
    });
}

fn is_halted_by_us(registry: &Registry, name: &str) -> bool {
    matches!(registry.must_stop(name), Some(MustStop::Halted(halt)) if halt.reason.starts_with(BY_THE_CONTROLLER))
}

impl Stream for Conversation {
    type Item = Result<ControllerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Over => return Poll::Ready(None),
                Stage::Open { line, outgoing } => match outgoing.poll_recv(context) {
                    Poll::Ready(Some(message)) => return Poll::Ready(Some(Ok(*message))),
                    Poll::Ready(None) => this.stage = Stage::Over,
                    // Everything was said, the ending too.
                    Poll::Pending if line.has_ended() => this.stage = Stage::Over,
                    Poll::Pending => {}
                },
                Stage::Silent(deadline) => {
                    if deadline.as_mut().poll(context).is_ready() {
                        return Poll::Ready(Some(Err(this.refuse("no greeting came in time"))));
                    }
                }
            }
            match Pin::new(&mut this.heard).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(answer) = this.hear(message) {
                        return Poll::Ready(Some(answer));
                    }
                }
                Poll::Ready(Some(Err(status))) => {
                    this.over(&format!("the connection was lost: {}", status.message()));
                    // The peer hears what it did wrong, such as a message that is too large.
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(None) => this.over("the connection was closed"),
                Poll::Pending if matches!(this.stage, Stage::Over) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.over("the connection was lost");
    }
}
