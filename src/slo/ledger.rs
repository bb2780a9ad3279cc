//! What chaos spent of error budgets on this host: one line a run, in a file of the state folder.
//!
//! A line is appended under the file's lock and synced; one that a crash tore is left aside when the file is read, and the
//! next is written behind it on a line of its own. A run that crashed before its line was written is found by its journal.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use faultline_agent::state::StateFolder;
use faultline_agent::units::TimeSpan;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{self, percent};
use super::spent::BudgetSpent;
use crate::report::Journal;
use crate::run::folder::JOURNAL;
use crate::run::journal::{Entry, Event};

/// The name of the file in the state folder.
const FILE: &str = "budgets.jsonl";

/// What one run spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spending {
    /// The run.
    pub run: String,
    /// Its experiment.
    pub experiment: String,
    /// When it began.
    pub time: Timestamp,
    /// What it found and what it spent.
    #[serde(flatten)]
    pub spent: BudgetSpent,
}

/// What chaos spent of one budget in its present window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetLine {
    /// The service whose budget it is.
    pub service: String,
    /// The SLO.
    pub slo: String,
    /// The window.
    pub window: TimeSpan,
    /// The runs that spent it.
    pub runs: Vec<String>,
    /// The bad events of all of them.
    pub bad: f64,
    /// Which share of the budget that is, each run by the budget of its day: 0.01 is 1%.
    pub share: f64,
    /// In one sentence.
    pub sentence: String,
}

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the ledger of error budgets {}: {source} (hint: what a run spent is in its journal too)", path.display())]
pub struct LedgerError {
    path: PathBuf,
    source: io::Error,
}

impl Spending {
    /// What a run spent, from the entries of its journal; nothing if it has no budget, or injected nothing on purpose.
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let Event::Started(started) = &entries.first()?.event else { return None };
        if started.placebo {
            return None;
        }
        Some(Self {
            run: started.run.clone(),
            experiment: started.experiment.metadata.name.clone(),
            time: started.time.parse().ok()?,
            spent: BudgetSpent::of(entries)?,
        })
    }
}

/// Adds what a run spent. A run that is in it already is not added again.
///
/// # Errors
/// [`LedgerError`] if the file cannot be read or written to its end.
pub fn append(state: &StateFolder, spending: &Spending) -> Result<(), LedgerError> {
    let path = state.path().join(FILE);
    append_to(&path, spending).map_err(|source| LedgerError { path, source })
}

fn append_to(path: &Path, spending: &Spending) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    file.lock()?;
    let (known, torn) = lines(&mut file)?;
    if known.iter().any(|known| known.run == spending.run) {
        return Ok(());
    }
    let mut line = serde_json::to_vec(spending).map_err(io::Error::other)?;
    line.push(b'\n');
    if torn {
        line.insert(0, b'\n');
    }
    // One write, so that a reader without the lock sees all of it or none.
    file.write_all(&line)?;
    file.sync_all()
}

/// Every whole line, and whether the last one has no end.
fn lines(file: &mut File) -> io::Result<(Vec<Spending>, bool)> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    let known = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((known, !text.is_empty() && !text.ends_with('\n')))
}

/// Everything that runs on this host spent: of the ledger, and of the journals of runs that are not in it.
///
/// # Errors
/// [`LedgerError`] if the ledger is there and cannot be read.
pub fn read(state: &Path) -> Result<Vec<Spending>, LedgerError> {
    let path = state.join(FILE);
    let known = match File::open(&path) {
        Ok(mut file) => lines(&mut file).map_err(|source| LedgerError { path, source })?.0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(LedgerError { path, source }),
    };
    let mut all: BTreeMap<String, Spending> = known.into_iter().map(|spent| (spent.run.clone(), spent)).collect();
    let runs = std::fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    for run in runs {
        if run.file_name().to_str().is_some_and(|name| all.contains_key(name)) {
            continue;
        }
        if let Some(spending) =
            Journal::read(&run.path().join(JOURNAL)).ok().and_then(|journal| Spending::of(&journal.entries))
        {
            all.insert(spending.run.clone(), spending);
        }
    }
    Ok(all.into_values().collect())
}

/// What of it counts in the present window of each budget, by service and SLO.
pub fn present(all: &[Spending], now: Timestamp) -> Vec<BudgetLine> {
    let mut lines: BTreeMap<(String, String), Vec<&Spending>> = BTreeMap::new();
    for spending in all {
        let before = &spending.spent.before;
        let since = before.calendar.as_ref().and_then(|calendar| budget::began(calendar, now).ok());
        let since = since.unwrap_or_else(|| {
            let window = jiff::SignedDuration::try_from(before.window.duration()).unwrap_or_default();
            now.checked_sub(window).unwrap_or(Timestamp::MIN)
        });
        if spending.time >= since {
            lines.entry((before.service.clone(), before.slo.clone())).or_default().push(spending);
        }
    }
    lines
        .into_iter()
        .filter_map(|((service, slo), spendings)| {
            let before = &spendings.last()?.spent.before;
            let bad = spendings.iter().map(|spending| spending.spent.bad).sum();
            let share = spendings.iter().map(|spending| spending.spent.share()).sum();
            let runs: Vec<String> = spendings.iter().map(|spending| spending.run.clone()).collect();
            let counted = if runs.len() == 1 { "1 run".to_owned() } else { format!("{} runs", runs.len()) };
            let sentence = format!("chaos spent {} of {} ({slo}, {counted})", percent(share), before.name());
            Some(BudgetLine { service, slo, window: before.window, runs, bad, share, sentence })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spending(run: &str, time: &str, bad: f64) -> Spending {
        serde_json::from_value(serde_json::json!({
            "run": run, "experiment": "pause", "time": time, "bad": bad,
            "before": {"slo": "checkout", "service": "shop", "window": "30d", "events": 1e6, "budget": 1000.0,
                "spent": 0.0, "allowance": 10.0},
        }))
        .unwrap()
    }

    #[test]
    fn the_ledger_keeps_each_run_once_and_survives_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        append_to(&path, &spending("a", "2026-11-01T00:00:00Z", 1.0)).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"run\": \"torn").unwrap();
        append_to(&path, &spending("b", "2026-11-20T00:00:00Z", 2.1)).unwrap();
        append_to(&path, &spending("b", "2026-11-20T00:00:00Z", 2.1)).unwrap();
        let read = read(folder.path()).unwrap();
        assert_eq!(read, [spending("a", "2026-11-01T00:00:00Z", 1.0), spending("b", "2026-11-20T00:00:00Z", 2.1)]);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        append_to(path, &spending(&format!("{writer}-{number}"), "2026-11-01T00:00:00Z", 1.0)).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(folder.path()).unwrap().len(), 40);
    }

    #[test]
    fn what_lies_before_the_window_counts_no_more() {
        let all = [
            spending("a", "2026-10-01T00:00:00Z", 500.0),
            spending("b", "2026-11-20T00:00:00Z", 2.0),
            spending("c", "2026-11-21T00:00:00Z", 1.1),
        ];
        let lines = present(&all, "2026-11-22T00:00:00Z".parse().unwrap());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].sentence, "chaos spent 0.31% of the 30d budget of shop (checkout, 2 runs)");
    }
}
