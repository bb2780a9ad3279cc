//! The outbox in the controller's store: what is in it survives the controller.

use std::time::Duration;

use jiff::Timestamp;

use super::{Message, NewMessage, Outbox, OutboxError};
use crate::store::{self, Store, StoreError};

impl From<StoreError> for OutboxError {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}

impl Outbox for Store {
    async fn now(&self) -> Result<Timestamp, OutboxError> {
        Ok(Store::now(self).await?)
    }

    async fn put(&self, messages: &[NewMessage], now: Timestamp) -> Result<u64, OutboxError> {
        let stored: Vec<store::NewMessage> = messages
            .iter()
            .map(|message| store::NewMessage {
                id: message.id.clone(),
                endpoint: message.endpoint.clone(),
                payload: message.payload.clone(),
                not_before: now,
            })
            .collect();
        Ok(self.enqueue(&stored, now).await?)
    }

    async fn count(&self, endpoint: &str) -> Result<usize, OutboxError> {
        Ok(usize::try_from(self.count_waiting_for(endpoint).await?).unwrap_or(usize::MAX))
    }

    async fn endpoints(&self) -> Result<Vec<String>, OutboxError> {
        Ok(self.endpoints_waited_for().await?)
    }

    async fn waiting(&self, endpoint: &str) -> Result<Vec<Message>, OutboxError> {
        Ok(self.waiting_for(endpoint).await?.into_iter().map(from_store).collect())
    }

    async fn take(&self, id: &str, lease: Duration, now: Timestamp) -> Result<Option<Message>, OutboxError> {
        Ok(Store::take(self, id, lease, now).await?.map(from_store))
    }

    async fn delivered(&self, message: &Message, now: Timestamp) -> Result<bool, OutboxError> {
        Ok(Store::delivered(self, &to_store(message), now).await?)
    }

    async fn retry(
        &self,
        message: &Message,
        error: &str,
        next: Timestamp,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        Ok(Store::retry(self, &to_store(message), error, next, now).await?)
    }

    async fn give_up(&self, message: &Message, error: &str, now: Timestamp) -> Result<bool, OutboxError> {
        Ok(Store::give_up(self, &to_store(message), error, now).await?)
    }
}

fn from_store(message: store::Message) -> Message {
    Message {
        id: message.id,
        endpoint: message.endpoint,
        payload: message.payload,
        created_at: message.created_at,
        attempts: u32::try_from(message.attempts).unwrap_or(u32::MAX),
        next_attempt: message.next_attempt,
    }
}

fn to_store(message: &Message) -> store::Message {
    store::Message {
        id: message.id.clone(),
        endpoint: message.endpoint.clone(),
        payload: message.payload.clone(),
        created_at: message.created_at,
        state: store::MessageState::Waiting,
        attempts: i64::from(message.attempts),
        next_attempt: message.next_attempt,
        closed_at: None,
        last_error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MessageState, StoreAddress};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn message(id: &str, endpoint: &str) -> NewMessage {
        NewMessage { id: id.into(), endpoint: endpoint.into(), payload: "{}".into() }
    }

    const LEASE: Duration = Duration::from_secs(40);

    /// What couriers rely on, of an outbox of either kind.
    async fn keeps_its_promises(outbox: &impl Outbox) {
        assert_eq!(
            outbox.put(&[message("a", "one"), message("b", "one"), message("c", "two")], at(0)).await.unwrap(),
            3
        );
        assert_eq!(outbox.put(&[message("a", "one"), message("d", "one")], at(1)).await.unwrap(), 1);
        assert_eq!(outbox.count("one").await.unwrap(), 3);
        let ids: Vec<String> = outbox.waiting("one").await.unwrap().into_iter().map(|message| message.id).collect();
        assert_eq!(ids, ["a", "b", "d"]);
        assert_eq!(outbox.endpoints().await.unwrap(), ["one", "two"]);
        let first = outbox.take("a", LEASE, at(2)).await.unwrap().unwrap();
        assert_eq!((first.attempts, first.created_at, first.next_attempt), (1, at(0), at(42)));
        assert_eq!(outbox.take("a", LEASE, at(41)).await.unwrap(), None);
        assert_eq!(outbox.take("nothing", LEASE, at(41)).await.unwrap(), None);
        let second = outbox.take("a", LEASE, at(42)).await.unwrap().unwrap();
        assert!(!outbox.delivered(&first, at(43)).await.unwrap(), "its lease was over");
        assert!(outbox.retry(&second, "no", at(100), at(43)).await.unwrap());
        assert_eq!(outbox.take("a", LEASE, at(99)).await.unwrap(), None);
        let third = outbox.take("a", LEASE, at(100)).await.unwrap().unwrap();
        assert_eq!(third.attempts, 3);
        assert!(outbox.delivered(&third, at(101)).await.unwrap());
        assert!(!outbox.give_up(&third, "late", at(101)).await.unwrap());
        assert_eq!(outbox.put(&[message("a", "one")], at(102)).await.unwrap(), 0, "it was delivered");
        let [b, _] = outbox.waiting("one").await.unwrap().try_into().unwrap();
        assert!(outbox.give_up(&b, "dropped", at(103)).await.unwrap(), "without having been taken");
        assert_eq!((outbox.count("one").await.unwrap(), outbox.count("two").await.unwrap()), (1, 1));
    }

    #[tokio::test]
    async fn both_kinds_of_outbox_keep_the_same_promises() {
        keeps_its_promises(&super::super::MemoryOutbox::new()).await;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreAddress::in_folder(folder.path())).await.unwrap();
        keeps_its_promises(&store).await;
        let given_up = store.messages(Some(MessageState::GivenUp), 10).await.unwrap();
        assert_eq!(given_up[0].last_error.as_deref(), Some("dropped"));
    }

    #[tokio::test]
    async fn what_waits_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let address = StoreAddress::in_folder(folder.path());
        let store = Store::open(&address).await.unwrap();
        store.put(&[message("a", "one"), message("b", "one")], at(0)).await.unwrap();
        let taken = Outbox::take(&store, "a", LEASE, at(1)).await.unwrap().unwrap();
        store.close().await;
        let store = Store::open(&address).await.unwrap();
        let waiting = store.waiting("one").await.unwrap();
        assert_eq!((waiting.len(), waiting[0].clone()), (2, taken));
        assert!(Outbox::take(&store, "a", LEASE, at(41)).await.unwrap().is_some(), "its taker is dead");
    }
}
