//! A run whose driver is gone: its journal is found, here or in the store, and goes on to the verdict.

use std::sync::Arc;

use faultline_agent::crash_point;

use super::Dispatcher;
use super::driving::leftovers;
use super::keep::StoreKeeper;
use crate::hypothesis::verdict::RunVerdict;
use crate::report::read_journal;
use crate::run::close;
use crate::run::folder::{JournalWriter, RunFolder};
use crate::run::journal::Entry;
use crate::store::Leftovers;
use crate::store::runs::{Run, RunState};

impl Dispatcher {
    /// Closes a run that this controller has taken over, or had before its restart.
    pub(super) fn close(self: &Arc<Self>, run: Run, because: &str) {
        self.running.begin_closing(&run.id, run.epoch);
        let (dispatcher, because) = (Arc::clone(self), because.to_owned());
        self.tasks.spawn(async move {
            let id = run.id.clone();
            dispatcher.close_now(run, &because).await;
            dispatcher.running.end(&id);
        });
    }

    pub(super) async fn close_now(self: &Arc<Self>, run: Run, because: &str) {
        if let Err(error) = self.store.record_state(&run.id, run.epoch, RunState::Closing).await {
            tracing::warn!(run = %run.id, %error, "it is closed without being recorded as such");
            if error.refusal().is_some() {
                return;
            }
        }
        match self.journal(&run).await {
            Ok((entries, writer, kept)) if !entries.is_empty() => {
                self.go_on(&run, because, entries, writer, kept).await;
            }
            // It never began: nothing was asked of anybody.
            Ok(_) => self.finish(&run, RunVerdict::Refused, because, Leftovers::NOTHING).await,
            Err(why) => {
                tracing::error!(run = %run.id, why, "its journal cannot be read");
                let left = Leftovers::Unknown(format!("the journal of the run cannot be read: {why}"));
                let because = format!("{because}, and its journal cannot be read: {why}");
                self.finish(&run, RunVerdict::CleanupUnverified, &because, left).await;
            }
        }
    }

    /// The entries so far: of this host's folder where it is, which has the samples too, else of the store. With what
    /// goes on writing them, and how many the store has.
    async fn journal(&self, run: &Run) -> Result<(Vec<Entry>, JournalWriter, u64), String> {
        let kept = self.store.entries(&run.id, 0).await.map_err(|error| error.to_string())?;
        let count = kept.len() as u64;
        if let Some(folder) = RunFolder::existing(&self.folder, &run.id) {
            let entries = read_journal(&folder.journal()).map_err(|error| error.to_string())?;
            let writer = JournalWriter::reopen(&folder).map_err(|error| error.to_string())?;
            return Ok((entries, writer, count));
        }
        let entries: Vec<Entry> = kept
            .iter()
            .map(|text| serde_json::from_str(text).map_err(|error| format!("an entry in the store: {error}")))
            .collect::<Result<_, _>>()?;
        let text = self.store.run_document(&run.id).await.map_err(|error| error.to_string())?.document;
        let folder = RunFolder::restore(&self.folder, &run.id, &text, &entries).map_err(|error| error.to_string())?;
        let writer = JournalWriter::reopen(&folder).map_err(|error| error.to_string())?;
        Ok((entries, writer, count))
    }

    async fn go_on(
        self: &Arc<Self>,
        run: &Run,
        because: &str,
        entries: Vec<Entry>,
        mut writer: JournalWriter,
        kept: u64,
    ) {
        self.keep_spending(&entries).await;
        let (keeper, writing) = StoreKeeper::new(self.store.clone(), run, kept);
        let writing = tokio::spawn(writing);
        let (hosts, listener, told) = (Arc::clone(&self.hosts), Arc::clone(&self.listener), run.clone());
        let closed = close::close(
            entries,
            because,
            |host| hosts.agent(host),
            |entry| {
                crash_point!("closing/{}/unwritten", entry.event.kind());
                if let Err(error) = writer.append(entry) {
                    tracing::error!(run = %told.id, %error, "the journal of a run that is being closed is not complete");
                }
                crash_point!("closing/{}/written", entry.event.kind());
                keeper.keep_later(entry);
                listener.entry(&told, entry);
            },
        )
        .await;
        drop(keeper);
        let _ = writing.await;
        tracing::warn!(
            run = %run.id, verdict = closed.verdict.word(), undone = closed.asked, "closed: {}", closed.because
        );
        self.finish(run, closed.verdict, &closed.because, leftovers(closed.left)).await;
    }
}
