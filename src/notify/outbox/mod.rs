//! Where messages wait until they are delivered. What is in it survives a restart, if its store does.

mod memory;
mod order;
mod stored;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

pub use self::memory::MemoryOutbox;
pub(super) use self::order::{Choice, Queue, least_important};

/// A message to be put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id: the occurrence's and the endpoint's name. One that is there already is not put in again.
    pub id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The [`Occurrence`](super::Occurrence) in JSON.
    pub payload: String,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The [`Occurrence`](super::Occurrence) in JSON.
    pub payload: String,
    /// When it was put in.
    pub created_at: Timestamp,
    /// How often it was taken for delivery. It marks the attempt: only the latest may report.
    pub attempts: u32,
    /// When it may be taken next.
    pub next_attempt: Timestamp,
}

/// Why the outbox could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OutboxError(Box<dyn std::error::Error + Send + Sync>);

impl OutboxError {
    /// With the store's own error.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Keeps messages. Two that use the same one at a time do no harm: a message taken by one is not the other's until its
/// lease is over.
pub trait Outbox: Send + Sync + 'static {
    /// The time by which leases and attempts are counted: the store's, where several share it.
    fn now(&self) -> impl Future<Output = Result<Timestamp, OutboxError>> + Send;

    /// Puts in messages, all or none, to be delivered at once. How many were new.
    fn put(&self, messages: &[NewMessage], now: Timestamp) -> impl Future<Output = Result<u64, OutboxError>> + Send;

    /// How many messages wait for an endpoint.
    fn count(&self, endpoint: &str) -> impl Future<Output = Result<usize, OutboxError>> + Send;

    /// The names of the endpoints for which messages wait.
    fn endpoints(&self) -> impl Future<Output = Result<Vec<String>, OutboxError>> + Send;

    /// The messages that wait for an endpoint, those that are taken too.
    fn waiting(&self, endpoint: &str) -> impl Future<Output = Result<Vec<Message>, OutboxError>> + Send;

    /// Takes a message that is due until `now + lease`; `None` if somebody else did, or it is closed.
    fn take(
        &self,
        id: &str,
        lease: Duration,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Message>, OutboxError>> + Send;

    /// This attempt has delivered it. `false` if it was taken again or closed since.
    fn delivered(&self, message: &Message, now: Timestamp) -> impl Future<Output = Result<bool, OutboxError>> + Send;

    /// This attempt has failed; the next is at `next`. `false` as above.
    fn retry(
        &self,
        message: &Message,
        error: &str,
        next: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, OutboxError>> + Send;

    /// It is not delivered any more. `false` as above.
    fn give_up(
        &self,
        message: &Message,
        error: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, OutboxError>> + Send;
}

impl<T: Outbox> Outbox for std::sync::Arc<T> {
    fn now(&self) -> impl Future<Output = Result<Timestamp, OutboxError>> + Send {
        T::now(self)
    }

    fn put(&self, messages: &[NewMessage], now: Timestamp) -> impl Future<Output = Result<u64, OutboxError>> + Send {
        T::put(self, messages, now)
    }

    fn count(&self, endpoint: &str) -> impl Future<Output = Result<usize, OutboxError>> + Send {
        T::count(self, endpoint)
    }

    fn endpoints(&self) -> impl Future<Output = Result<Vec<String>, OutboxError>> + Send {
        T::endpoints(self)
    }

    fn waiting(&self, endpoint: &str) -> impl Future<Output = Result<Vec<Message>, OutboxError>> + Send {
        T::waiting(self, endpoint)
    }

    fn take(
        &self,
        id: &str,
        lease: Duration,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Message>, OutboxError>> + Send {
        T::take(self, id, lease, now)
    }

    fn delivered(&self, message: &Message, now: Timestamp) -> impl Future<Output = Result<bool, OutboxError>> + Send {
        T::delivered(self, message, now)
    }

    fn retry(
        &self,
        message: &Message,
        error: &str,
        next: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, OutboxError>> + Send {
        T::retry(self, message, error, next, now)
    }

    fn give_up(
        &self,
        message: &Message,
        error: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, OutboxError>> + Send {
        T::give_up(self, message, error, now)
    }
}
