use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{client, speak};
use super::desk::{Alone, Desk};
use super::dial::Stream;
use super::greeting::{Greeting, json, told};
use super::renew::renew;
use super::serve::{Requests, serve};
use super::trouble::Trouble;
use super::wire::agent_message::Message as Said;
use super::wire::controller_message::Message as Heard;
use super::wire::{AgentMessage, ControllerMessage, Goodbye, Heartbeat, Welcome};
use super::{Clock, Closing, Notifier, Renewal, limits};
use crate::lease::BootTime;
use crate::node::NodeStatus;

/// How much later than asked for an acknowledgement may come.
const LATE: Duration = Duration::from_secs(5);

/// News of the host wait for one another so long: an answer goes first, and many changes are told at once.
const NEWS: Duration = Duration::from_millis(200);

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The connection was lost, or the controller ended it.
    Lost { trouble: Trouble, had_stood: bool },
    /// The certificate was renewed, and the session goes on with the new one.
    Renewed,
    /// This agent ended it.
    Closed,
}

/// What a session needs of the agent.
pub(super) struct Party<'a, C> {
    pub(super) desk: &'a Arc<Desk<C>>,
    pub(super) greeting: &'a Greeting,
    pub(super) peer: &'a str,
    pub(super) closing: &'a mut Closing,
    pub(super) notifier: &'a Notifier,
    pub(super) renewal: Option<&'a Arc<dyn Renewal>>,
}

/// Holds one session over a fresh connection, until it is lost or this agent ends.
pub(super) async fn converse<C: Clock>(party: &mut Party<'_, C>, number: u64, stream: Box<dyn Stream>) -> End {
    let peer = party.peer.to_owned();
    let lost = |trouble: Trouble| End::Lost { trouble, had_stood: false };
    let (connection, driver) = match speak(stream).await {
        Ok(spoken) => spoken,
        Err(error) => return lost(Trouble::of(&peer, &error)),
    };
    // Ended with this session, whatever becomes of the other end.
    let _driver = Aborts(tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "the connection to the controller ended");
        }
    }));
    let alone = party.desk.take_alone();
    let status = party.desk.status().await;
    let (say, said) = mpsc::channel(limits::REQUESTS * 2);
    let hello = party.greeting.hello(number, party.desk.clock.now(), &status, &alone);
    let mut session = Session { desk: Arc::clone(party.desk), say, told: status, alone, asked: None, stands: false };
    session.send(Said::Hello(hello));
    let renewing = renew(connection.clone(), party.renewal.cloned());
    let mut client = client(connection);
    let opened = tokio::time::timeout(limits::CONNECT, client.session(ReceiverStream::new(said))).await;
    let end = match opened {
        Err(_) => lost(Trouble::unreachable(&peer, "it does not answer the greeting")),
        Ok(Err(status)) => lost(Trouble::of_status(&peer, &status)),
        Ok(Ok(response)) => tokio::select! {
            end = session.hold(party, response.into_inner()) => end,
            () = renewing => End::Renewed,
        },
    };
    // What it may not have heard is told again.
    session.desk.give_back(std::mem::take(&mut session.alone));
    end
}

struct Session<C> {
    desk: Arc<Desk<C>>,
    say: mpsc::Sender<AgentMessage>,
    /// The status that the controller knows.
    told: NodeStatus,
    /// What was undone alone and told, but not known to have been heard.
    alone: Vec<Alone>,
    /// The heartbeats that the controller wants, active and idle.
    asked: Option<(Duration, Duration)>,
    stands: bool,
}

impl<C: Clock> Session<C> {
    async fn hold(&mut self, party: &mut Party<'_, C>, mut heard: tonic::Streaming<ControllerMessage>) -> End {
        let mut requests = Requests::default();
        let (answers, mut answered) = mpsc::channel(limits::REQUESTS);
        let mut last_heard = Instant::now();
        let mut last_said = Instant::now();
        let mut news: Option<Instant> = None;
        loop {
            let desk = Arc::clone(&self.desk);
            let changed = desk.changed.notified();
            let deadline = last_heard + self.interval() + LATE;
            let turn = last_said + self.interval();
            let next = news.map_or(turn, |news| news.min(turn));
            tokio::select! {
                message = heard.message() => match message {
                    Ok(Some(message)) => {
                        last_heard = Instant::now();
                        if let Some(end) = self.hear(message, party, &mut requests, &answers) {
                            return end;
                        }
                    }
                    Ok(None) => return self.lost(Trouble::unreachable(party.peer, "it ended the session")),
                    Err(status) => return self.lost(Trouble::of_status(party.peer, &status)),
                },
                answer = answered.recv() => {
                    requests.open = requests.open.saturating_sub(1);
                    if let Some(answer) = answer {
                        self.send(Said::Answer(answer));
                    }
                    if news.is_none() && self.has_news() {
                        news = Some(Instant::now() + NEWS);
                    }
                }
                () = changed => {
                    if news.is_none() && self.has_news() {
                        news = Some(Instant::now() + NEWS);
                    }
                }
                () = tokio::time::sleep_until(next) => {
                    last_said = self.beat().await;
                    news = None;
                }
                () = tokio::time::sleep_until(deadline) => {
                    return self.lost(Trouble::unreachable(party.peer, "it does not answer any more"));
                }
                reason = party.closing.wait() => {
                    self.goodbye(&reason).await;
                    return End::Closed;
                }
            }
        }
    }

    fn hear(
        &mut self,
        message: ControllerMessage,
        party: &Party<'_, C>,
        requests: &mut Requests,
        answers: &mpsc::Sender<super::wire::Answer>,
    ) -> Option<End> {
        let peer = party.peer;
        if message.alive_ns > 0 {
            self.desk.alive(BootTime::from_nanoseconds(message.alive_ns));
        }
        match message.message {
            Some(Heard::Welcome(welcome)) => self.welcome(&welcome, party),
            Some(Heard::Acknowledgement(_)) => self.alone.clear(),
            Some(Heard::Request(request)) if self.stands => {
                let id = request.id;
                match requests.admit(&request, self.desk.clock.now()) {
                    Ok(()) => {
                        requests.open += 1;
                        let (desk, answers) = (Arc::clone(&self.desk), answers.clone());
                        tokio::spawn(async move {
                            // Done to its end also when nobody is left to hear of it.
                            let answer = serve(desk, request).await;
                            let _ = answers.send(answer).await;
                        });
                    }
                    Err(why) => {
                        let outcome = Some(super::wire::answer::Outcome::Refused(why));
                        self.send(Said::Answer(super::wire::Answer { id, outcome }));
                    }
                }
            }
            Some(Heard::Request(_)) => {
                return Some(self.lost(Trouble::unreachable(peer, "it asks before it has said welcome")));
            }
            Some(Heard::Ending(ending)) => {
                let message = format!("the controller at {peer} ends the session: {}", ending.reason);
                let hint = "see `faultline agents` there".to_owned();
                return Some(self.lost(Trouble { message, hint, lasting: !ending.come_back }));
            }
            // Of a newer controller: it only needs to be understood by those that know it.
            None => {}
        }
        None
    }

    fn welcome(&mut self, welcome: &Welcome, party: &Party<'_, C>) {
        let bound = |told: u32, least: u64, most: Duration| {
            Duration::from_millis(u64::from(told)).clamp(Duration::from_secs(least), most)
        };
        // Never so rarely that a lease runs out between two of them.
        let active = bound(welcome.heartbeat_active_ms, 1, limits::HEARTBEAT_ACTIVE);
        self.asked = Some((active, bound(welcome.heartbeat_idle_ms, 1, 4 * limits::HEARTBEAT_IDLE)));
        self.alone.clear();
        if !self.stands {
            tracing::info!(peer = party.peer, program = welcome.program, "the session with the controller stands");
            party.notifier.ready();
            party.notifier.status(&format!("connected to {}", party.peer));
        }
        self.stands = true;
    }

    fn interval(&self) -> Duration {
        let (active, idle) = self.asked.unwrap_or((limits::HEARTBEAT_ACTIVE, limits::HELLO));
        if self.desk.is_idle() { idle } else { active }
    }

    fn has_news(&self) -> bool {
        self.stands
            && (self.desk.has_alone()
                || self.desk.count() != self.told.active.len()
                || self.desk.must_stop() != self.told.must_stop)
    }

    async fn beat(&mut self) -> Instant {
        let status = self.desk.status().await;
        let changed = !same(&status, &self.told);
        let alone = self.desk.take_alone();
        let beat = Heartbeat {
            clock_ns: self.desk.clock.now().nanoseconds(),
            status: changed.then(|| json(&status)),
            undone_alone: alone.iter().map(told).collect(),
        };
        self.told = status;
        self.alone.extend(alone);
        self.send(Said::Heartbeat(beat));
        Instant::now()
    }

    async fn goodbye(&mut self, reason: &str) {
        let status = json(&self.desk.status().await);
        // What was undone for the farewell is told before it.
        self.beat().await;
        self.send(Said::Goodbye(Goodbye { reason: reason.to_owned(), status }));
        // The controller closes the stream once it has read that.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.say.closed()).await;
    }

    /// A message that the peer does not take in time is not waited for: the session is lost then, and both ends know
    /// from the silence.
    fn send(&self, message: Said) {
        let _ = self.say.try_send(AgentMessage { message: Some(message) });
    }

    fn lost(&self, trouble: Trouble) -> End {
        End::Lost { trouble, had_stood: self.stands }
    }
}

/// Whether two statuses say the same; the time that a fault has left goes down by itself.
fn same(one: &NodeStatus, other: &NodeStatus) -> bool {
    let timeless = |status: &NodeStatus| {
        let mut status = status.clone();
        status.active.iter_mut().for_each(|fault| fault.left_ms = 0);
        status
    };
    timeless(one) == timeless(other)
}

/// Ends a task when dropped.
struct Aborts(tokio::task::JoinHandle<()>);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}
