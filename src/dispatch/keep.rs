use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::run::journal::Entry;
use crate::run::record::Keeper;
use crate::store::runs::Run;
use crate::store::{Store, StoreError};

/// How long a run waits for the store to keep an entry.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps what decides a run in the store, under the run's epoch. The run waits for each entry.
pub(super) struct StoreKeeper {
    entries: UnboundedSender<(Entry, SyncSender<Result<(), String>>)>,
}

impl StoreKeeper {
    /// A keeper, and the task that writes for it, which ends with the keeper.
    pub(super) fn new(store: Store, run: &Run, first: u64) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (entries, received) = unbounded_channel();
        (Self { entries }, write(store, run.id.clone(), run.epoch, first, received))
    }

    /// Keeps an entry without waiting: of a run that injects nothing more.
    pub(super) fn keep_later(&self, entry: &Entry) {
        let (answer, _) = sync_channel(1);
        // Whoever closes the run again, if need be, asks the agents again.
        let _ = self.entries.send((entry.clone(), answer));
    }
}

impl Keeper for StoreKeeper {
    fn keep(&mut self, entry: &Entry) -> Result<(), String> {
        let (answer, answered): (_, Receiver<Result<(), String>>) = sync_channel(1);
        let gone = || "whoever writes it to the store is gone".to_owned();
        self.entries.send((entry.clone(), answer)).map_err(|_| gone())?;
        match answered.recv_timeout(PATIENCE) {
            Ok(kept) => kept,
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("the store did not keep an entry within {} s", PATIENCE.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

async fn write(
    store: Store,
    run: String,
    epoch: i64,
    first: u64,
    mut entries: UnboundedReceiver<(Entry, SyncSender<Result<(), String>>)>,
) {
    let mut number = first;
    while let Some((entry, answer)) = entries.recv().await {
        let kept = append(&store, &run, epoch, number, &entry).await;
        number += u64::from(kept.is_ok());
        if let Err(error) = &kept {
            tracing::warn!(run, %error, "an entry of the journal is not in the store");
        }
        // A run that waits no longer has ended already.
        let _ = answer.send(kept.map_err(|error| format!("the store does not keep it: {error}")));
    }
}

async fn append(store: &Store, run: &str, epoch: i64, number: u64, entry: &Entry) -> Result<(), StoreError> {
    let text = serde_json::to_string(entry).unwrap_or_default();
    store.keep_entry(run, epoch, number, &text).await
}
