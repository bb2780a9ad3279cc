use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{client, speak};
use super::desk::Desk;
use super::dial::Stream;
use super::say::in_answer;
use super::serve::{Requests, answered_later, serve};
use super::sessions::Shared;
use super::trouble::Trouble;
use super::unheard::Unheard;
use super::wire::agent_message::Message as Said;
use super::wire::controller_message::Message as Heard;
use super::wire::{AgentMessage, ControllerMessage, Welcome};
use super::{Clock, Closing, limits};
use crate::crash_point;
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

/// One address at which a controller is, and what is known of who is there.
pub(super) struct Party<'a, C> {
    pub(super) shared: &'a Shared<C>,
    pub(super) peer: &'a str,
    pub(super) closing: &'a mut Closing,
    /// The controller that was there the last time, by its id.
    pub(super) controller: &'a mut Option<Arc<str>>,
    /// The generation of the certificate with which it was dialled.
    pub(super) dialled_with: u64,
}

/// Holds one session over a fresh connection, until it is lost or this agent ends.
pub(super) async fn converse<C: Clock>(party: &mut Party<'_, C>, stream: Box<dyn Stream>) -> End {
    let peer = party.peer.to_owned();
    let shared = party.shared;
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
    // Whoever was there the last time is there again, most likely; else it is told what another knows already.
    let alone = party.controller.as_deref().map(|known| shared.desk.take_alone(known)).unwrap_or_default();
    let status = shared.desk.status().await;
    let (say, said) = mpsc::channel(limits::REQUESTS * 2);
    let hello = shared.greeting.hello(shared.next_number(), shared.desk.clock.now(), &status, &alone);
    let ordered = Arc::new(Notify::new());
    let mut session = Session {
        desk: Arc::clone(&shared.desk),
        controller: party.controller.clone(),
        say,
        told: status,
        alone: Unheard::of_greeting(alone),
        asked: None,
        news_wait: NEWS,
        stands: false,
        renew: Arc::clone(&ordered),
    };
    session.send(Said::Hello(hello));
    let renewing = shared.renewing.renew(connection.clone(), party.dialled_with, &ordered);
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
    shared.standing.leave(&peer);
    // What it may not have heard is told again.
    let untold = session.alone.take();
    if let Some(controller) = &session.controller {
        shared.desk.give_back(controller, untold);
    }
    *party.controller = session.controller;
    end
}

pub(super) struct Session<C> {
    pub(super) desk: Arc<Desk<C>>,
    /// The controller's id; before its welcome that of who was there the last time.
    pub(super) controller: Option<Arc<str>>,
    pub(super) say: mpsc::Sender<AgentMessage>,
    /// The status that the controller knows.
    pub(super) told: NodeStatus,
    pub(super) alone: Unheard,
    /// The heartbeats that the controller wants, active and idle.
    asked: Option<(Duration, Duration)>,
    /// How long news wait for an answer to go with.
    news_wait: Duration,
    pub(super) stands: bool,
    /// Told when the controller orders a new certificate.
    renew: Arc<Notify>,
}

impl<C: Clock> Session<C> {
    async fn hold(&mut self, party: &mut Party<'_, C>, mut heard: tonic::Streaming<ControllerMessage>) -> End {
        let mut requests = Requests::default();
        let (answers, mut answered) = mpsc::channel::<super::wire::Answer>(limits::REQUESTS);
        let mut last_heard = Instant::now();
        let mut last_said = Instant::now();
        let mut news: Option<Instant> = None;
        let (turn, silence) = (tokio::time::sleep_until(last_said), tokio::time::sleep_until(last_heard));
        tokio::pin!(turn, silence);
        let desk = Arc::clone(&self.desk);
        loop {
            let changed = desk.changed.notified();
            let next = last_said + self.interval();
            let next = news.map_or(next, |news| news.min(next));
            let deadline = last_heard + self.interval() + LATE;
            wake_by(turn.as_mut(), next);
            wake_by(silence.as_mut(), deadline);
            // In an order that is always the same, so that the same history is the same run: what is due is never kept
            // waiting by what is heard, and a peer that was heard is not taken for silent.
            tokio::select! {
                biased;
                reason = party.closing.wait() => {
                    self.goodbye(&reason).await;
                    return End::Closed;
                }
                () = turn.as_mut() => {
                    if turn.deadline() < next {
                        continue;
                    }
                    self.beat().await;
                    (last_said, news, self.news_wait) = (Instant::now(), None, NEWS);
                }
                answer = answered.recv() => {
                    requests.open = requests.open.saturating_sub(1);
                    let Some(mut answer) = answer else { continue };
                    if self.has_news() {
                        // One message for both: of ten thousand hosts that are asked at once, half as many.
                        answer.news = Some(self.news(self.alone.next(), &in_answer(&answer)).await);
                        (last_said, news, self.news_wait) = (Instant::now(), None, NEWS);
                    }
                    self.send(Said::Answer(answer));
                }
                () = changed => {
                    if news.is_none() && self.has_news() {
                        news = Some(Instant::now() + self.news_wait);
                    }
                }
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
                () = silence.as_mut() => {
                    if silence.deadline() < deadline {
                        continue;
                    }
                    return self.lost(Trouble::unreachable(party.peer, "it does not answer any more"));
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
        if let Some(Heard::Welcome(welcome)) = &message.message {
            self.welcome(welcome, party);
        }
        // Nobody's word counts before he has said who he is.
        let known = self.controller.clone().filter(|_| self.stands);
        if let Some(controller) = known.as_deref().filter(|_| message.alive_ns > 0) {
            self.desk.alive(controller, BootTime::from_nanoseconds(message.alive_ns));
        }
        match (message.message, known) {
            (Some(Heard::Welcome(_)), _) => {}
            (Some(Heard::Acknowledgement(acknowledgement)), known) => {
                self.alone.acknowledged();
                if let (Some(others), Some(controller)) = (acknowledgement.others, known) {
                    party.shared.heard_of(&controller, others);
                }
            }
            (Some(Heard::Request(request)), Some(controller)) => {
                let id = request.id;
                match requests.admit(&request, self.desk.clock.now()) {
                    Ok(()) => {
                        requests.open += 1;
                        let later = answered_later(&request);
                        self.news_wait = self.news_wait.max(NEWS + later);
                        let (desk, answers) = (Arc::clone(&self.desk), answers.clone());
                        tokio::spawn(async move {
                            // Done to its end also when nobody is left to hear of it.
                            let answer = serve(desk, controller, request).await;
                            if !later.is_zero() {
                                tokio::time::sleep(later).await;
                            }
                            let _ = answers.send(answer).await;
                        });
                    }
                    Err(why) => {
                        let outcome = Some(super::wire::answer::Outcome::Refused(why));
                        self.send(Said::Answer(super::wire::Answer { id, outcome, news: None }));
                    }
                }
            }
            (Some(Heard::Request(_)), None) => {
                return Some(self.lost(Trouble::unreachable(peer, "it asks before it has said welcome")));
            }
            (Some(Heard::Renew(_)), _) => self.renew.notify_one(),
            (Some(Heard::Ending(ending)), _) => {
                let message = format!("the controller at {peer} ends the session: {}", ending.reason);
                let hint = "see `faultline agents` there".to_owned();
                return Some(self.lost(Trouble { message, hint, lasting: !ending.come_back }));
            }
            // Of a newer controller: it only needs to be understood by those that know it.
            (None, _) => {}
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
        let id = if welcome.controller.is_empty() { party.peer } else { welcome.controller.as_str() };
        if let Some(before) = self.controller.as_deref().filter(|before| *before != id) {
            // It was greeted as another one, which has to hear it still.
            self.desk.give_back(before, self.alone.take());
        }
        self.alone.welcomed();
        let controller: Arc<str> = id.into();
        self.desk.meet(&controller);
        if !self.stands {
            crash_point!("session/welcomed");
            let program = &welcome.program;
            tracing::info!(peer = party.peer, controller = id, program, "the session with the controller stands");
            party.shared.standing.enter(&controller, party.peer);
        }
        if let Some(others) = welcome.others.clone() {
            party.shared.heard_of(&controller, others);
        }
        self.controller = Some(controller);
        self.stands = true;
    }

    fn interval(&self) -> Duration {
        let (active, idle) = self.asked.unwrap_or((limits::HEARTBEAT_ACTIVE, limits::HELLO));
        if self.desk.is_idle() { idle } else { active }
    }

    /// A message that the peer does not take in time is not waited for: the session is lost then, and both ends know
    /// from the silence.
    pub(super) fn send(&self, message: Said) {
        let _ = self.say.try_send(AgentMessage { message: Some(message) });
    }

    fn lost(&self, trouble: Trouble) -> End {
        End::Lost { trouble, had_stood: self.stands }
    }
}

/// Has a timer wake by that moment. One that is set to an earlier moment stays: moments move on with every message, and
/// it is set anew once it wakes too early.
fn wake_by(mut timer: Pin<&mut Sleep>, moment: Instant) {
    if moment < timer.deadline() || timer.is_elapsed() {
        timer.as_mut().reset(moment);
    }
}

/// Ends a task when dropped.
struct Aborts(tokio::task::JoinHandle<()>);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}
