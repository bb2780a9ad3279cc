//! What happened in a run: its journal, and reports made from it.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
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
            let path = self.journal_of(&run).await?;
            let page = tokio::task::spawn_blocking(move || page(&path, from))
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
        let path = self.journal_of(&run).await?;
        if !path.is_file() {
            return Err(ControllerError::NotBegun { run: run.id, state: run.state });
        }
        let made = tokio::task::spawn_blocking(move || {
            let report = RunReport::from_journal(&Journal::read(&path)?)?;
            render(&report, format)
        });
        Ok(made.await.map_err(|error| ControllerError::Broken(error.to_string()))??)
    }

    /// Where the journal of a run is, or will be.
    async fn journal_of(&self, run: &Run) -> Result<PathBuf, ControllerError> {
        let path = self.runs_folder().join(&run.id).join(JOURNAL);
        match &run.controller {
            Some(controller) if *controller != self.id && !path.is_file() => {
                let controllers = self.store.controllers().await?;
                let address = controllers.into_iter().find(|other| other.id == *controller).map(|other| other.address);
                Err(ControllerError::Elsewhere { run: run.id.clone(), controller: controller.clone(), address })
            }
            _ => Ok(path),
        }
    }
}

/// The whole lines of a journal from this byte on.
fn page(path: &Path, from: u64) -> Result<JournalPage, ControllerError> {
    let failed = |source| ReportError::Read { path: path.into(), source };
    let mut page = JournalPage { entries: Vec::new(), next: from, over: false };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(page),
        file => file.map_err(failed)?,
    };
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut reader = BufReader::new(file);
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
    use super::page;
    use crate::report::fixture::{Ending, journal, lines};

    #[test]
    fn pages_follow_each_other_and_a_torn_line_waits_for_its_end() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("journal.jsonl");
        assert_eq!(page(&path, 0).unwrap().entries, []);
        let entries = journal(Ending::Held);
        let text = lines(&entries[..5]);
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        let first = page(&path, 0).unwrap();
        assert_eq!(first.entries, entries[..4]);
        std::fs::write(&path, &text).unwrap();
        let second = page(&path, first.next).unwrap();
        assert_eq!(second.entries, entries[4..5]);
        assert_eq!(second.next, text.len() as u64);
        assert_eq!(page(&path, second.next).unwrap().entries, []);
        let error = page(&path, first.next - 2).unwrap_err();
        assert_eq!(error.class().0, 400, "{error}");
    }
}
