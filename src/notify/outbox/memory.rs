//! An outbox that is gone with its process: for tests, and for programs that tell without a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Message, NewMessage, Outbox, OutboxError};

/// What became of a message that waits no more, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Closed {
    Delivered,
    GivenUp(String),
}

#[derive(Debug, Default)]
struct Kept {
    waiting: BTreeMap<String, Message>,
    closed: BTreeMap<String, Closed>,
    /// The time that was set; else the clock's.
    now: Option<Timestamp>,
}

/// An outbox in memory.
#[derive(Debug, Default)]
pub struct MemoryOutbox {
    kept: Mutex<Kept>,
}

impl MemoryOutbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it is this time, until another is set.
    pub fn set_time(&self, now: Timestamp) {
        self.kept().now = Some(now);
    }

    /// The ids of what was given up or dropped, and why.
    pub fn given_up(&self) -> Vec<(String, String)> {
        let kept = self.kept();
        let each = kept.closed.iter().filter_map(|(id, closed)| match closed {
            Closed::GivenUp(why) => Some((id.clone(), why.clone())),
            Closed::Delivered => None,
        });
        each.collect()
    }

    /// The ids of what was delivered.
    pub fn delivered_ids(&self) -> Vec<String> {
        let kept = self.kept();
        kept.closed.iter().filter(|(_, closed)| **closed == Closed::Delivered).map(|(id, _)| id.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, message: &Message, closed: Closed) -> bool {
        let mut kept = self.kept();
        let latest = kept.waiting.get(&message.id).is_some_and(|known| known.attempts == message.attempts);
        if latest {
            kept.waiting.remove(&message.id);
            kept.closed.insert(message.id.clone(), closed);
        }
        latest
    }
}

impl Outbox for MemoryOutbox {
    async fn now(&self) -> Result<Timestamp, OutboxError> {
        Ok(self.kept().now.unwrap_or_else(Timestamp::now))
    }

    async fn put(&self, messages: &[NewMessage], now: Timestamp) -> Result<u64, OutboxError> {
        let mut kept = self.kept();
        let mut new = 0;
        for NewMessage { id, endpoint, payload } in messages {
            if kept.waiting.contains_key(id) || kept.closed.contains_key(id) {
                continue;
            }
            let message = Message {
                id: id.clone(),
                endpoint: endpoint.clone(),
                payload: payload.clone(),
                created_at: now,
                attempts: 0,
                next_attempt: now,
            };
            kept.waiting.insert(id.clone(), message);
            new += 1;
        }
        Ok(new)
    }

    async fn count(&self, endpoint: &str) -> Result<usize, OutboxError> {
        Ok(self.kept().waiting.values().filter(|message| message.endpoint == endpoint).count())
    }

    async fn endpoints(&self) -> Result<Vec<String>, OutboxError> {
        let names: BTreeSet<String> = self.kept().waiting.values().map(|message| message.endpoint.clone()).collect();
        Ok(names.into_iter().collect())
    }

    async fn waiting(&self, endpoint: &str) -> Result<Vec<Message>, OutboxError> {
        Ok(self.kept().waiting.values().filter(|message| message.endpoint == endpoint).cloned().collect())
    }

    async fn take(&self, id: &str, lease: Duration, now: Timestamp) -> Result<Option<Message>, OutboxError> {
        let mut kept = self.kept();
        let Some(message) = kept.waiting.get_mut(id).filter(|message| message.next_attempt <= now) else {
            return Ok(None);
        };
        message.attempts += 1;
        message.next_attempt = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        Ok(Some(message.clone()))
    }

    async fn delivered(&self, message: &Message, _: Timestamp) -> Result<bool, OutboxError> {
        Ok(self.close(message, Closed::Delivered))
    }

    async fn retry(&self, message: &Message, _: &str, next: Timestamp, _: Timestamp) -> Result<bool, OutboxError> {
        let mut kept = self.kept();
        let Some(known) = kept.waiting.get_mut(&message.id).filter(|known| known.attempts == message.attempts) else {
            return Ok(false);
        };
        known.next_attempt = next;
        Ok(true)
    }

    async fn give_up(&self, message: &Message, error: &str, _: Timestamp) -> Result<bool, OutboxError> {
        Ok(self.close(message, Closed::GivenUp(error.to_owned())))
    }
}
