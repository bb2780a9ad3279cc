//! Everything that happens in a run, written down as it happens: to the journal first, then shown to who watches.

use std::time::Instant;

use faultline_agent::crash_point;

use super::folder::JournalWriter;
use super::journal::{Entry, Event};

/// Who watches a run: the live view, a log, a test.
pub trait Watcher: Send {
    /// Something happened; it is in the journal already.
    fn entry(&mut self, entry: &Entry);
    /// Some time passed: so many seconds since the run began.
    fn tick(&mut self, now: f64);
}

/// Who keeps a copy of what decides a run beside its journal, so that another controller can end it: every entry but the
/// samples.
pub trait Keeper: Send {
    /// Keeps an entry. When this returns, a crash of this process does not lose it.
    ///
    /// # Errors
    /// Why it is not kept: the run must end then, since nobody else could clean up after it.
    fn keep(&mut self, entry: &Entry) -> Result<(), String>;
}

/// The record of one run.
pub struct Record<'a> {
    epoch: Instant,
    journal: JournalWriter,
    watcher: &'a mut dyn Watcher,
    keeper: Option<Box<dyn Keeper>>,
    entries: Vec<Entry>,
    broken: Option<String>,
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Record").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl<'a> Record<'a> {
    /// A record that counts its seconds from now.
    pub fn new(journal: JournalWriter, watcher: &'a mut dyn Watcher) -> Self {
        Self { epoch: Instant::now(), journal, watcher, keeper: None, entries: Vec::new(), broken: None }
    }

    /// The same, with a copy of what decides the run.
    #[must_use]
    pub fn kept_by(mut self, keeper: Option<Box<dyn Keeper>>) -> Self {
        self.keeper = keeper;
        self
    }

    /// The moment from which seconds are counted.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Seconds since the run began.
    pub fn now(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    /// Writes down what happens now, and returns it as written.
    pub fn write(&mut self, event: Event) -> &Entry {
        let entry = Entry { at: self.now(), event };
        crash_point!("run/{}/unwritten", entry.event.kind());
        if let Err(error) = self.journal.append(&entry) {
            self.broken.get_or_insert(error.to_string());
        }
        crash_point!("run/{}/written", entry.event.kind());
        if let Some(keeper) = self.keeper.as_mut().filter(|_| !matches!(entry.event, Event::Sample(_)))
            && let Err(error) = keeper.keep(&entry)
        {
            self.broken.get_or_insert(error);
        }
        crash_point!("run/{}/kept", entry.event.kind());
        self.watcher.entry(&entry);
        self.entries.push(entry);
        &self.entries[self.entries.len() - 1]
    }

    /// Hands what is written to the kernel, and lets the watcher know that time passes.
    pub fn tick(&mut self) {
        if let Err(error) = self.journal.flush() {
            self.broken.get_or_insert(error.to_string());
        }
        self.watcher.tick(self.now());
    }

    /// Why the journal is no longer complete, if it is not: asked again and again, told once.
    pub fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Everything that was written.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything that was written, when nothing more is.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}
