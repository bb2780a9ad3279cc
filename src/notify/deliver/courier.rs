//! Delivers what waits for one endpoint, one message at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio_util::sync::CancellationToken;

use super::post::post;
use crate::notify::counts::Counters;
use crate::notify::occurrence::{Importance, Occurrence};
use crate::notify::outbox::{Choice, Message, Outbox, OutboxError, Queue};
use crate::notify::retry::{Next, Outcome, Rule};
use crate::notify::settings::Endpoint;

/// A message is another's after the endpoint's timeout and this: time enough to note what came of it.
const MARGIN: Duration = Duration::from_secs(30);

/// After so many deliveries the queue is read again, since something more important may have come.
const AT_ONCE: usize = 16;

/// The longest pause before something vital is tried again.
const LONGEST_FOR_VITAL: Duration = Duration::from_secs(60);

/// What a turn left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notify) enum Turn {
    /// There may be more at once.
    More,
    /// Nothing is due before this time.
    Until(Timestamp),
    /// Nothing waits.
    Idle,
}

/// Delivers to one endpoint.
pub(in crate::notify) struct Courier<O> {
    source: String,
    endpoint: Arc<Endpoint>,
    outbox: O,
    counters: Arc<Counters>,
    chance: ChaCha8Rng,
    /// How many attempts failed one after the other, and until when the endpoint is left alone.
    failures: u32,
    rests_until: Option<Timestamp>,
}

impl<O: Outbox> Courier<O> {
    /// `seed` decides the pauses.
    pub(in crate::notify) fn new(
        source: String,
        endpoint: Arc<Endpoint>,
        outbox: O,
        counters: Arc<Counters>,
        seed: u64,
    ) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Self { source, endpoint, outbox, counters, chance, failures: 0, rests_until: None }
    }

    /// Delivers what is due, until the endpoint fails or [`AT_ONCE`] are delivered.
    pub(in crate::notify) async fn turn(&mut self, stop: &CancellationToken) -> Result<Turn, OutboxError> {
        let now = self.outbox.now().await?;
        if let Some(until) = self.rests_until.filter(|until| *until > now) {
            return Ok(Turn::Until(until));
        }
        let mut queue = Queue::of(self.outbox.waiting(&self.endpoint.name).await?);
        for _ in 0..AT_ONCE {
            let now = self.outbox.now().await?;
            let id = match queue.next(now) {
                Choice::Due(message) => message.id,
                Choice::Later(at) => return Ok(Turn::Until(at)),
                Choice::Empty => return Ok(Turn::Idle),
            };
            queue.remove(&id);
            let lease = self.endpoint.timeout.duration() + MARGIN;
            let Some(message) = self.outbox.take(&id, lease, now).await? else { return Ok(Turn::More) };
            if !self.deliver(&message, now, stop).await? {
                return Ok(Turn::More);
            }
        }
        Ok(Turn::More)
    }

    /// Whether the endpoint answered, so that the next may follow at once.
    async fn deliver(
        &mut self,
        message: &Message,
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<bool, OutboxError> {
        let Ok(occurrence) = serde_json::from_str::<Occurrence>(&message.payload) else {
            let because = "it is no occurrence that this version of Faultline knows";
            self.give_up(message, because, now).await?;
            return Ok(true);
        };
        let sending = post(&self.endpoint, &self.source, &occurrence, now);
        let outcome = tokio::select! {
            outcome = sending => outcome,
            () = stop.cancelled() => {
                // Whoever starts next need not wait for the lease to end.
                let now = self.outbox.now().await?;
                self.outbox.retry(message, "the controller was stopped", now, now).await?;
                return Ok(false);
            }
        };
        let now = self.outbox.now().await?;
        let asked = match &outcome {
            Outcome::Answered { retry_after, .. } => *retry_after,
            _ => None,
        };
        let rule = self.rule(&occurrence);
        match rule.next(outcome, message.attempts, message.created_at, now, self.chance.random()) {
            Next::Delivered => {
                self.failures = 0;
                self.rests_until = None;
                self.outbox.delivered(message, now).await?;
                self.counters.delivered.fetch_add(1, Relaxed);
                tracing::debug!(endpoint = self.endpoint.name, message = message.id, "notification delivered");
                Ok(true)
            }
            Next::GivenUp { because } => {
                self.failures = 0;
                self.give_up(message, &because, now).await?;
                Ok(true)
            }
            Next::Again { at, because } => {
                self.failures = self.failures.saturating_add(1);
                let rest = rule.pause(self.failures, asked, self.chance.random());
                let until = now.checked_add(rest).unwrap_or(Timestamp::MAX);
                self.rests_until = Some(until);
                self.outbox.retry(message, &because, at, now).await?;
                self.counters.failed.fetch_add(1, Relaxed);
                tracing::warn!(
                    endpoint = self.endpoint.name, message = message.id, attempt = message.attempts, next = %at,
                    because, "notification not delivered yet"
                );
                Ok(false)
            }
        }
    }

    fn rule(&self, occurrence: &Occurrence) -> Rule {
        let rule = self.endpoint.rule;
        match occurrence.importance() {
            Importance::Vital => Rule { longest: rule.longest.min(LONGEST_FOR_VITAL), ..rule },
            _ => rule,
        }
    }

    async fn give_up(&self, message: &Message, because: &str, now: Timestamp) -> Result<(), OutboxError> {
        self.outbox.give_up(message, because, now).await?;
        self.counters.given_up.fetch_add(1, Relaxed);
        tracing::error!(endpoint = self.endpoint.name, message = message.id, because, "notification given up");
        Ok(())
    }
}
