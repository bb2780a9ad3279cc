//! Puts occurrences into the outbox, for each endpoint that wants them, and has them delivered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::counts::{Counters, Counts};
use super::deliver::{Courier, Turn};
use super::occurrence::{Importance, Occurrence};
use super::outbox::{NewMessage, Outbox, OutboxError, least_important};
use super::retry::Rule;
use super::settings::{Endpoint, Settings};

/// How often the outbox is looked at for what another controller put in.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked for messages that nobody delivers.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Tells endpoints what happened. All clones are one.
pub struct Notifier<O> {
    shared: Arc<Shared<O>>,
}

struct Shared<O> {
    source: String,
    receivers: Vec<Receiver>,
    outbox: Arc<O>,
    seed: u64,
}

struct Receiver {
    endpoint: Arc<Endpoint>,
    counters: Arc<Counters>,
    /// Something was put in.
    woken: Notify,
}

impl<O> Clone for Notifier<O> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<O> fmt::Debug for Notifier<O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.shared.receivers.iter().map(|receiver| &receiver.endpoint).collect();
        formatter.debug_struct("Notifier").field("endpoints", &endpoints).finish_non_exhaustive()
    }
}

impl<O: Outbox> Notifier<O> {
    /// With these settings and this outbox. `seed` decides how pauses are spread.
    pub fn new(settings: Settings, outbox: O, seed: u64) -> Self {
        let receivers = settings.endpoints.into_iter().map(|endpoint| Receiver {
            endpoint: Arc::new(endpoint),
            counters: Arc::default(),
            woken: Notify::new(),
        });
        let receivers = receivers.collect();
        Self { shared: Arc::new(Shared { source: settings.source, receivers, outbox: Arc::new(outbox), seed }) }
    }

    /// Puts an occurrence into the queue of each endpoint that wants it, for good once this returns. It waits for the
    /// outbox, never for a receiver. Telling the same again does nothing.
    ///
    /// A queue that is full makes room by dropping its least important message, the oldest of those; never one about a
    /// halt, or about what is or may be left behind, for which it grows instead. Each drop is counted and logged.
    ///
    /// # Errors
    /// The outbox's own.
    pub async fn tell(&self, occurrence: &Occurrence) -> Result<(), OutboxError> {
        let wanting: Vec<&Receiver> =
            self.shared.receivers.iter().filter(|receiver| receiver.endpoint.wants(occurrence)).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let now = self.shared.outbox.now().await?;
        let payload = serde_json::to_string(occurrence).map_err(OutboxError::new)?;
        let mut messages = Vec::with_capacity(wanting.len());
        for receiver in &wanting {
            if self.has_room(receiver, occurrence, now).await? {
                let endpoint = receiver.endpoint.name.clone();
                messages.push(NewMessage {
                    id: format!("{}/{endpoint}", occurrence.id),
                    endpoint,
                    payload: payload.clone(),
                });
            }
        }
        self.shared.outbox.put(&messages, now).await?;
        for receiver in wanting {
            receiver.woken.notify_one();
        }
        Ok(())
    }

    /// Whether there is room for it, after something was dropped if need be.
    async fn has_room(&self, receiver: &Receiver, new: &Occurrence, now: Timestamp) -> Result<bool, OutboxError> {
        let Receiver { endpoint, counters, .. } = receiver;
        if self.shared.outbox.count(&endpoint.name).await? < endpoint.queue {
            return Ok(true);
        }
        let because = format!("dropped: {} messages were waiting", endpoint.queue);
        let waiting = self.shared.outbox.waiting(&endpoint.name).await?;
        for message in least_important(waiting, new.importance()) {
            // It may be on its way just now.
            if self.shared.outbox.give_up(&message, &because, now).await? {
                counters.dropped.fetch_add(1, Relaxed);
                tracing::warn!(endpoint = endpoint.name, message = message.id, because, "notification dropped");
                return Ok(true);
            }
        }
        if new.importance() == Importance::Vital {
            return Ok(true);
        }
        counters.dropped.fetch_add(1, Relaxed);
        tracing::warn!(endpoint = endpoint.name, message = new.id, because, "notification dropped");
        Ok(false)
    }

    /// Delivers until it is stopped; a delivery under way is then put back. Of several controllers over one store the one
    /// that leads does this: two would do no harm but to the order.
    pub async fn deliver(&self, stop: CancellationToken) {
        let mut couriers = JoinSet::new();
        for (index, receiver) in self.shared.receivers.iter().enumerate() {
            let shared = &self.shared;
            let courier = Courier::new(
                shared.source.clone(),
                receiver.endpoint.clone(),
                shared.outbox.clone(),
                receiver.counters.clone(),
                shared.seed.wrapping_add(index as u64),
            );
            couriers.spawn(work(courier, shared.clone(), index, stop.clone()));
        }
        loop {
            if let Err(error) = self.forget_strangers().await {
                tracing::error!(%error, "the outbox cannot be read");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
        }
        while couriers.join_next().await.is_some() {}
    }

    /// Gives up what has long waited for endpoints that the settings no longer have: nobody would ever deliver it.
    async fn forget_strangers(&self) -> Result<(), OutboxError> {
        let outbox = &self.shared.outbox;
        let now = outbox.now().await?;
        for name in outbox.endpoints().await? {
            if self.shared.receivers.iter().any(|receiver| receiver.endpoint.name == name) {
                continue;
            }
            for message in outbox.waiting(&name).await? {
                let age = Duration::try_from(now.duration_since(message.created_at)).unwrap_or_default();
                if age >= Rule::default().give_up_after {
                    outbox.give_up(&message, "the settings have no such endpoint any more", now).await?;
                    tracing::warn!(endpoint = name, message = message.id, "notification given up: no such endpoint");
                }
            }
        }
        Ok(())
    }

    /// What became of messages since the start, by endpoint.
    pub fn counts(&self) -> Vec<Counts> {
        let each = self.shared.receivers.iter();
        each.map(|receiver| receiver.counters.counts(&receiver.endpoint.name)).collect()
    }

    /// How many messages wait, by endpoint.
    ///
    /// # Errors
    /// The outbox's own.
    pub async fn waiting(&self) -> Result<Vec<(String, usize)>, OutboxError> {
        let mut all = Vec::with_capacity(self.shared.receivers.len());
        for receiver in &self.shared.receivers {
            let name = &receiver.endpoint.name;
            all.push((name.clone(), self.shared.outbox.count(name).await?));
        }
        Ok(all)
    }
}

async fn work<O: Outbox>(mut courier: Courier<Arc<O>>, shared: Arc<Shared<O>>, index: usize, stop: CancellationToken) {
    let receiver = &shared.receivers[index];
    while !stop.is_cancelled() {
        let idle = match courier.turn(&stop).await {
            Ok(Turn::More) => Duration::ZERO,
            Ok(Turn::Idle) => LOOK_EVERY,
            Ok(Turn::Until(at)) => match shared.outbox.now().await {
                Ok(now) => Duration::try_from(at.duration_since(now)).unwrap_or_default().min(LOOK_EVERY),
                Err(_) => LOOK_EVERY,
            },
            Err(error) => {
                tracing::error!(endpoint = receiver.endpoint.name, %error, "the outbox cannot be read");
                LOOK_EVERY
            }
        };
        if idle.is_zero() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = receiver.woken.notified() => {}
            () = tokio::time::sleep(idle) => {}
        }
    }
}
