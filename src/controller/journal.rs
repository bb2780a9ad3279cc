//! What happened in a run: its journal, and reports made from it.
//!
//! The whole journal is where the run was driven or closed. While that controller lives, others say where it is; of one that
//! is gone they answer with what the store has: everything that decided the run, and no samples.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::report::{Format, Journal, ReportError, RunReport, render};
use crate::run::folder::JOURNAL;
use crate::run::journal::Entry;
use crate::store::ALIVE;
use crate::store::runs::Run;

/// A part of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalPage {
    /// The entries, in their order.
    pub entries: Vec<Entry>,
    /// Give this as `from` for those that come after.
    pub next: u64,
    /// Whether the run is over and this is the end of its journal.
    pub over: bool,
}

/// As many bytes of a journal are read for one page.
const PAGE: u64 = 1 << 20;
/// The longest time that a reader waits for more.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(100);

impl Controller {
    /// The journal of a run from this byte on, as far as it is written. Where there is nothing yet, it is waited for so
    /// long; a run that has not begun has an empty journal.
    ///
    /// # Errors
    /// If `who` may not, there is no such run, another controller has its journal, or it cannot be read.
    pub async fn journal(
        &self,
        who: &Principal,
        id: &str,
        from: u64,
        wait: Duration,
    ) -> Result<JournalPage, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_run(id).await?).await?;
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut next_question = Instant::now();
        let mut run = self.store.run(id).await?;
        loop {
            // Whether it is over is read before its journal, so that the journal is then whole.
            if Instant::now() >= next_question {
                run = self.store.run(id).await?;
                next_question = Instant::now() + LOOK * 10;
            }
            let over = run.state.is_over();
            let kept = self.journal_of(&run).await?;
            let page = tokio::task::spawn_blocking(move || kept.page(from))
                .await
                .map_err(|error| ControllerError::Broken(error.to_string()))??;
            let waited = Instant::now() >= until || self.stopping.is_cancelled();
            if over || waited || !page.entries.is_empty() {
                // More than a page may be there.
                let over = over && page.entries.is_empty();
                return Ok(JournalPage { over, ..page });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The report of a run in a format, as far as its journal is written.
    ///
    /// # Errors
    /// If `who` may not, there is no such run, it has no journal yet, another controller has it, or it cannot be read.
    pub async fn report(&self, who: &Principal, id: &str, format: Format) -> Result<String, ControllerError> {
        self.authorise(who, Action::See, &self.object_of_run(id).await?).await?;
        let run = self.store.run(id).await?;
        let kept = self.journal_of(&run).await?;
        if !kept.has_begun() {
            return Err(ControllerError::NotBegun { run: run.id, state: run.state });
        }
        let made = tokio::task::spawn_blocking(move || {
            let report = match &kept {
                Kept::File(path) => RunReport::from_journal(&Journal::read(path)?)?,
                Kept::Text(_) => RunReport::from_entries(&kept.whole()?)?,
            };
            Ok::<_, ControllerError>(render(&report, format)?)
        });
        made.await.map_err(|error| ControllerError::Broken(error.to_string()))?
    }

    /// The journal of a run, as far as it can be had here.
    async fn journal_of(&self, run: &Run) -> Result<Kept, ControllerError> {
        let Some(driver) = run.controller.as_ref().filter(|driver| **driver != self.id) else {
            let path = self.runs_folder().join(&run.id).join(JOURNAL);
            if run.state.is_over() && !path.is_file() {
                return self.kept_in_the_store(run).await;
            }
            return Ok(Kept::File(path));
        };
        let since = self.now().await? - ALIVE;
        let other = self.store.controllers().await?.into_iter().find(|other| other.id == *driver);
        if let Some(other) = other.filter(|other| other.seen_at > since) {
            let address = Some(other.address).filter(|address| !address.is_empty());
            return Err(ControllerError::Elsewhere { run: run.id.clone(), controller: driver.clone(), address });
        }
        self.kept_in_the_store(run).await
    }

    /// The bytes of its journal where another controller takes it over, or where its folder is gone.
    async fn kept_in_the_store(&self, run: &Run) -> Result<Kept, ControllerError> {
        let entries = self.store.entries(&run.id, 0).await?;
        Ok(Kept::Text(entries.into_iter().map(|entry| entry + "\n").collect()))
    }
}

/// A journal, one entry a line.
#[derive(Debug)]
enum Kept {
    /// In the folder of the run, which need not be there yet.
    File(PathBuf),
    /// As the store has it.
    Text(String),
}

impl Kept {
    fn has_begun(&self) -> bool {
        match self {
            Self::File(path) => path.is_file(),
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// The whole lines from this byte on.
    fn page(&self, from: u64) -> Result<JournalPage, ControllerError> {
        match self {
            Self::File(path) => match File::open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Ok(JournalPage { entries: Vec::new(), next: from, over: false })
                }
                Err(source) => Err(ReportError::Read { path: path.into(), source }.into()),
                Ok(file) => page(path, BufReader::new(file), from),
            },
            Self::Text(text) => page(Path::new("the store"), Cursor::new(text), from),
        }
    }

    fn whole(&self) -> Result<Vec<Entry>, ControllerError> {
        let mut entries = Vec::new();
        let mut from = 0;
        loop {
            let page = self.page(from)?;
            if page.entries.is_empty() {
                return Ok(entries);
            }
            entries.extend(page.entries);
            from = page.next;
        }
    }
}

/// The whole lines of a journal from this byte on.
fn page(path: &Path, mut reader: impl BufRead + Seek, from: u64) -> Result<JournalPage, ControllerError> {
    let failed = |source| ReportError::Read { path: path.into(), source };
    let mut page = JournalPage { entries: Vec::new(), next: from, over: false };
    reader.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut line = Vec::new();
    while page.next - from < PAGE {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry = serde_json::from_slice(&line).map_err(|source| {
            let hint = "`from` must be a `next` of an earlier answer, or 0";
            match page.entries.is_empty() && from > 0 {
                true => ControllerError::request(format!("no entry of the journal begins at byte {from}"), hint),
                false => ReportError::Line { path: path.into(), line: page.entries.len() + 1, source }.into(),
            }
        })?;
        page.entries.push(entry);
        page.next += read as u64;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::Kept;
    use crate::report::fixture::{Ending, journal, lines};

    #[test]
    fn pages_follow_each_other_and_a_torn_line_waits_for_its_end() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("journal.jsonl");
        let kept = Kept::File(path.clone());
        let page = |from| kept.page(from);
        assert!(!kept.has_begun());
        assert_eq!(page(0).unwrap().entries, []);
        let entries = journal(Ending::Held);
        let text = lines(&entries[..5]);
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        let first = page(0).unwrap();
        assert_eq!(first.entries, entries[..4]);
        std::fs::write(&path, &text).unwrap();
        let second = page(first.next).unwrap();
        assert_eq!(second.entries, entries[4..5]);
        assert_eq!(second.next, text.len() as u64);
        assert_eq!(page(second.next).unwrap().entries, []);
        let error = page(first.next - 2).unwrap_err();
        assert_eq!(error.class().0, 400, "{error}");
    }

    #[test]
    fn what_the_store_has_is_paged_as_a_file_is() {
        let entries = journal(Ending::Held);
        let kept = Kept::Text(lines(&entries));
        assert_eq!(kept.whole().unwrap(), entries);
        assert_eq!(kept.page(lines(&entries[..3]).len() as u64).unwrap().entries, entries[3..]);
        assert!(!Kept::Text(String::new()).has_begun());
    }
}
