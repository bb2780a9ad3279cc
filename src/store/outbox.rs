//! What is still to be told to others: notifications, each until it is delivered or given up.
//!
//! A message has an id that says what it is about, such as `run/7/finished/pager`, so that putting it in twice after a
//! crash tells it once. Delivery is at least once: a controller that dies between the delivery and
//! [`Store::delivered`] leaves the message to be delivered again.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::{Columns, after, micros, words};
use super::error::Fault;
use super::transaction::Under;
use super::{Store, StoreError};

words! {
    /// What became of a message.
    MessageState {
        /// It is to be delivered.
        Waiting = "waiting",
        /// It was.
        Delivered = "delivered",
        /// It was tried long enough.
        GivenUp = "given-up",
    }
}

/// A message to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id: what it is about, and for which endpoint.
    pub id: String,
    /// The name of the endpoint.
    pub endpoint: String,
    /// What is to be delivered, a JSON text.
    pub payload: String,
    /// It is not delivered before this time.
    pub not_before: Timestamp,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The name of the endpoint.
    pub endpoint: String,
    /// What is to be delivered, a JSON text.
    pub payload: String,
    /// When it was put in.
    pub created_at: Timestamp,
    /// What became of it.
    pub state: MessageState,
    /// How often it was taken for delivery. It marks the attempt: only the latest may report.
    pub attempts: i64,
    /// When it may be taken next.
    pub next_attempt: Timestamp,
    /// When it was delivered or given up.
    pub closed_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl Store {
    /// Puts in messages, all or none. One whose id is there already is left as it is. How many were new.
    ///
    /// # Errors
    /// The store's own.
    pub async fn enqueue(&self, messages: &[NewMessage], now: Timestamp) -> Result<u64, StoreError> {
        self.done("put in notifications", || async {
            let mut work = self.begin(Under::Rows).await?;
            let mut new = 0;
            for message in messages {
                new += sqlx::query(
                    "INSERT INTO outbox (id, endpoint, payload, created_at, state, attempts, next_attempt)
                     VALUES ($1, $2, $3, $4, 'waiting', 0, $5) ON CONFLICT (id) DO NOTHING",
                )
                .bind(message.id.as_str())
                .bind(message.endpoint.as_str())
                .bind(message.payload.as_str())
                .bind(micros(now))
                .bind(micros(message.not_before))
                .execute(work.on())
                .await?
                .rows_affected();
            }
            work.commit().await?;
            Ok(new)
        })
        .await
    }

    /// Takes at most `limit` messages that are due, the longest due first, for delivery until `now + lease`: no other
    /// controller gets them before that.
    ///
    /// # Errors
    /// The store's own.
    pub async fn take_due(&self, limit: u32, lease: Duration, now: Timestamp) -> Result<Vec<Message>, StoreError> {
        self.done("take notifications for delivery", || async {
            let mut work = self.begin(Under::Rows).await?;
            let due = sqlx::query(
                "SELECT id FROM outbox WHERE state = 'waiting' AND next_attempt <= $1
                 ORDER BY next_attempt, id LIMIT $2",
            )
            .bind(micros(now))
            .bind(i64::from(limit))
            .fetch_all(work.on())
            .await?;
            let mut taken = Vec::with_capacity(due.len());
            for row in &due {
                // The condition again: on PostgreSQL another controller may have taken it since.
                let row = sqlx::query(
                    "UPDATE outbox SET attempts = attempts + 1, next_attempt = $2
                     WHERE id = $1 AND state = 'waiting' AND next_attempt <= $3 RETURNING *",
                )
                .bind(row.text("id")?)
                .bind(after(now, lease))
                .bind(micros(now))
                .fetch_optional(work.on())
                .await?;
                taken.extend(row.as_ref().map(Message::read).transpose()?);
            }
            work.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// Takes one message, if it is due, as [`Store::take_due`] does. `None` if somebody else has it, or it is closed.
    ///
    /// # Errors
    /// The store's own.
    pub async fn take(&self, id: &str, lease: Duration, now: Timestamp) -> Result<Option<Message>, StoreError> {
        self.done("take a notification for delivery", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE outbox SET attempts = attempts + 1, next_attempt = $2
                 WHERE id = $1 AND state = 'waiting' AND next_attempt <= $3 RETURNING *",
            )
            .bind(id)
            .bind(after(now, lease))
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let taken = row.as_ref().map(Message::read).transpose()?;
            work.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// The messages that wait for an endpoint, taken or not, the oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn waiting_for(&self, endpoint: &str) -> Result<Vec<Message>, StoreError> {
        self.done("list the notifications that wait", || async {
            let rows =
                sqlx::query("SELECT * FROM outbox WHERE endpoint = $1 AND state = 'waiting' ORDER BY created_at, id")
                    .bind(endpoint)
                    .fetch_all(&self.readers)
                    .await?;
            rows.iter().map(Message::read).collect()
        })
        .await
    }

    /// The names of the endpoints for which messages wait.
    ///
    /// # Errors
    /// The store's own.
    pub async fn endpoints_waited_for(&self) -> Result<Vec<String>, StoreError> {
        self.done("list the endpoints that have notifications to come", || async {
            let query = "SELECT DISTINCT endpoint FROM outbox WHERE state = 'waiting' ORDER BY endpoint";
            let rows = sqlx::query(query).fetch_all(&self.readers).await?;
            rows.iter().map(|row| row.text("endpoint")).collect()
        })
        .await
    }

    /// How many messages wait for an endpoint.
    ///
    /// # Errors
    /// The store's own.
    pub async fn count_waiting_for(&self, endpoint: &str) -> Result<u64, StoreError> {
        self.done("count the notifications that wait", || async {
            let query = "SELECT COUNT(*) AS waiting FROM outbox WHERE endpoint = $1 AND state = 'waiting'";
            let waiting = sqlx::query(query).bind(endpoint).fetch_one(&self.readers).await?.number("waiting")?;
            Ok(u64::try_from(waiting).unwrap_or_default())
        })
        .await
    }

    /// This attempt has delivered the message. `false` if it was closed already or taken again meanwhile.
    ///
    /// # Errors
    /// The store's own.
    pub async fn delivered(&self, message: &Message, now: Timestamp) -> Result<bool, StoreError> {
        self.attempted(message, MessageState::Delivered, now, now, None).await
    }

    /// This attempt has failed; the next is at `next` or later. `false` as above.
    ///
    /// # Errors
    /// The store's own.
    pub async fn retry(
        &self,
        message: &Message,
        error: &str,
        next: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.attempted(message, MessageState::Waiting, next, now, Some(error)).await
    }

    /// This attempt has failed and was the last. `false` as above.
    ///
    /// # Errors
    /// The store's own.
    pub async fn give_up(&self, message: &Message, error: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.attempted(message, MessageState::GivenUp, now, now, Some(error)).await
    }

    async fn attempted(
        &self,
        message: &Message,
        state: MessageState,
        next: Timestamp,
        now: Timestamp,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.done("note the delivery of a notification", || async {
            let mut work = self.begin(Under::Rows).await?;
            let changed = sqlx::query(
                "UPDATE outbox SET state = $3, next_attempt = $4, last_error = $5, closed_at = $6
                 WHERE id = $1 AND attempts = $2 AND state = 'waiting'",
            )
            .bind(message.id.as_str())
            .bind(message.attempts)
            .bind(state.as_str())
            .bind(micros(next))
            .bind(error)
            .bind((state != MessageState::Waiting).then(|| micros(now)))
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(changed.rows_affected() == 1)
        })
        .await
    }

    /// Messages, the newest first, at most `limit`; only those in a state, if it is given.
    ///
    /// # Errors
    /// The store's own.
    pub async fn messages(&self, state: Option<MessageState>, limit: u32) -> Result<Vec<Message>, StoreError> {
        self.done("list notifications", || async {
            let rows = sqlx::query(
                "SELECT * FROM outbox WHERE $1 IS NULL OR state = $1 ORDER BY created_at DESC, id LIMIT $2",
            )
            .bind(state.map(MessageState::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(Message::read).collect()
        })
        .await
    }

    /// Forgets messages that were delivered or given up before this time.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune_outbox(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.forget(
            "forget old notifications",
            "DELETE FROM outbox WHERE state <> 'waiting' AND closed_at < $1",
            before,
        )
        .await
    }
}

impl Message {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.text("id")?,
            endpoint: row.text("endpoint")?,
            payload: row.text("payload")?,
            created_at: row.time("created_at")?,
            state: row.word("state")?,
            attempts: row.number("attempts")?,
            next_attempt: row.time("next_attempt")?,
            closed_at: row.optional_time("closed_at")?,
            last_error: row.optional_text("last_error")?,
        })
    }
}
